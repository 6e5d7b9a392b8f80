// How fast one core decodes a change stream that lies in memory: transactions of ten changes of a table with eight columns,
// half of them updates, each message in its envelope as libpq hands it over. Every cell's length is read, as consumers
// must.
//
// Run: pgoutput_bench [seconds, default 2]. Prints messages, row changes and bytes a second.
#include <fmt/format.h>

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "storage/postgres/stream/message_bytes.h"
#include "storage/postgres/stream/pgoutput.h"

namespace freshet::storage::postgres::pgoutput {
namespace {

constexpr std::uint64_t kTransactions = 20'000;
constexpr std::uint64_t kChangesATransaction = 10;
constexpr int kColumns = 8;
constexpr Oid kTable = 16384;

// The recorded stream: messages one after the other, and where each begins.
class Recording {
 public:
  Recording() {
    begins_.push_back(0);
    for (std::uint64_t i = 0; i < kTransactions; ++i) add_transaction(i);
  }
  std::size_t messages() const { return begins_.size() - 1; }
  std::string_view message(std::size_t i) const {
    return std::string_view(bytes_).substr(begins_[i], begins_[i + 1] - begins_[i]);
  }
  std::size_t bytes() const { return bytes_.size(); }

 private:
  void add_transaction(std::uint64_t number) {
    add(MessageBytes('B').eight(number * 4096).eight(number).four(number));
    for (std::uint64_t i = 0; i < kChangesATransaction; ++i) add_change(number * kChangesATransaction + i);
    add(MessageBytes('C').byte(0).eight(number * 4096).eight(number * 4096 + 1024).eight(number));
  }
  void add_change(std::uint64_t number) {
    std::vector<std::optional<std::string>> cells;
    for (int column = 0; column < kColumns - 1; ++column) {
      cells.emplace_back(column % 2 == 0 ? std::to_string(number) : "a text of twenty-four b.");
    }
    cells.emplace_back(std::nullopt);
    add(MessageBytes(number % 2 == 0 ? 'I' : 'U').four(kTable).row('N', cells));
  }
  void add(const MessageBytes& message) {
    bytes_ += MessageBytes('w').eight(0x16'b374d848).eight(0x16'b374d848).eight(1).get();
    bytes_ += message.get();
    begins_.push_back(bytes_.size());
  }

  std::string bytes_;
  std::vector<std::size_t> begins_;
};

[[noreturn]] void give_up(const Error& error) {
  fmt::print(stderr, "{}\n", error.what);
  std::exit(1);
}

struct Totals {
  std::uint64_t changes = 0;
  std::uint64_t cell_bytes = 0;
};

void decode_all(const Recording& recording, Decoder& decoder, Totals& totals) {
  for (std::size_t i = 0; i < recording.messages(); ++i) {
    const auto envelope = open_envelope(recording.message(i));
    if (!envelope) give_up(envelope.error());
    const auto message = decoder.decode(std::get<WalData>(*envelope).message);
    if (!message) give_up(message.error());
    Row row;
    if (const auto* insert = std::get_if<Insert>(&*message)) row = insert->row;
    if (const auto* update = std::get_if<Update>(&*message)) row = update->row;
    totals.changes += !row.empty();
    for (const auto& cell : row) totals.cell_bytes += cell.bytes.size();
  }
}

void run(double seconds) {
  const Recording recording;
  Decoder decoder;
  Totals totals;
  decode_all(recording, decoder, totals);
  totals = {};
  int rounds = 0;
  const auto begin = base::now();
  const auto end = begin + static_cast<base::Nanoseconds>(seconds * base::kSecond);
  for (; base::now() < end; ++rounds) decode_all(recording, decoder, totals);
  const double elapsed = static_cast<double>(base::now() - begin) / base::kSecond;
  const double messages = static_cast<double>(recording.messages()) * rounds;
  fmt::print("pgoutput, one core: {:5.2f} M messages/s, {:5.2f} M row changes/s, {:4.0f} MB/s ({} columns, {} bytes "
             "of cells a change)\n",
             messages / elapsed / 1e6, static_cast<double>(totals.changes) / elapsed / 1e6,
             static_cast<double>(recording.bytes()) * rounds / elapsed / 1e6, kColumns,
             totals.changes == 0 ? 0 : totals.cell_bytes / totals.changes);
}

}  // namespace
}  // namespace freshet::storage::postgres::pgoutput

int main(int argc, char** argv) {
  freshet::storage::postgres::pgoutput::run(argc > 1 ? std::atof(argv[1]) : 2);
  return 0;
}
