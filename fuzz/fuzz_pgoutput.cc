// Fuzzes the change stream's decoder. The first byte chooses: an envelope, or a message. What is decoded lies within the
// input, and decodes to the same again from a copy.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "storage/postgres/stream/pgoutput.h"

namespace {

using namespace freshet::storage::postgres::pgoutput;

// Every view must lie inside the input; the texts of all of them are gathered, so that the sanitizer sees each byte read.
class Gatherer {
 public:
  explicit Gatherer(std::string_view input) : input_(input) {}

  void operator()(const Begin& begin) { number(begin.commit ^ begin.xid); }
  void operator()(const Commit& commit) { number(commit.commit ^ commit.end); }
  void operator()(const Origin& origin) { view(origin.name); }
  void operator()(const Relation& relation) {
    view(relation.schema);
    view(relation.name);
    for (const auto& column : relation.columns) {
      view(column.name);
      number(column.type);
    }
  }
  void operator()(const Type& type) {
    view(type.schema);
    view(type.name);
  }
  void operator()(const Insert& insert) { row(insert.row); }
  void operator()(const Update& update) {
    row(update.old_row);
    row(update.row);
  }
  void operator()(const Delete& erased) { row(erased.old_row); }
  void operator()(const Truncate& truncate) {
    for (const auto relation : truncate.relations) number(relation);
  }
  void operator()(const LogicalMessage& message) {
    view(message.prefix);
    view(message.content);
  }
  const std::string& text() const { return text_; }

 private:
  void view(std::string_view view) {
    if (view.empty()) return;
    if (view.data() < input_.data() || view.data() + view.size() > input_.data() + input_.size()) std::abort();
    text_ += view;
  }
  void number(std::uint64_t value) { text_ += std::to_string(value); }
  void row(Row row) {
    if (row.size() > kColumnsMax) std::abort();
    for (const auto& cell : row) {
      number(static_cast<std::uint64_t>(cell.kind));
      view(cell.bytes);
    }
  }

  std::string_view input_;
  std::string text_;
};

std::string decoded(Decoder& decoder, std::string_view input) {
  const auto message = decoder.decode(input);
  if (!message) return message.error().what;
  Gatherer gatherer(input);
  std::visit(gatherer, *message);
  return gatherer.text();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::vector<char> bytes(data + 1, data + size);
  std::string_view input(bytes.data(), bytes.size());
  if (data[0] % 2 == 1) {
    const auto envelope = open_envelope(input);
    if (!envelope || !std::holds_alternative<WalData>(*envelope)) return 0;
    input = std::get<WalData>(*envelope).message;
  }
  Decoder decoder;
  const std::vector<char> copy(input.begin(), input.end());
  if (decoded(decoder, input) != decoded(decoder, {copy.data(), copy.size()})) std::abort();
  return 0;
}
