// The demo's client that reads each key three times: through Freshet, linearizable and bounded, then from PostgreSQL
// itself, with libpq, over the same kind of socket. The answers go to the same checker: linearizable reads through Freshet
// agree with plain SELECTs on the primary.
#include <chrono>
#include <optional>
#include <string>

#include "cli/demo_load.h"
#include "storage/postgres/libpq.h"

namespace freshet::cli {
namespace {

// Enough for steady quantiles, and little enough to leave the processors to the clients.
constexpr int kPairsPerTurn = 50;
constexpr base::Nanoseconds kTurn = 100 * base::kMillisecond;
constexpr const char* kStatement = "freshet_demo_read";
constexpr const char* kQuery = "SELECT document FROM freshet_demo_records WHERE id = $1";

using storage::postgres::Rows;

Rows ask(PGconn* connection, std::uint32_t index) {
  const auto id = std::to_string(index);
  const char* const values[] = {id.c_str()};
  return Rows(PQexecPrepared(connection, kStatement, 1, values, nullptr, nullptr, 0));
}

std::optional<std::string> value_of(const PGresult* row) {
  if (PQntuples(row) != 1) return std::nullopt;
  return std::string(PQgetvalue(row, 0, 0), static_cast<std::size_t>(PQgetlength(row, 0, 0)));
}

}  // namespace

void DemoLoad::run_paired_reader(std::uint32_t id) {
  const storage::postgres::ConnectionPointer connection(PQconnectdb(options_.storage_url.c_str()));
  if (PQstatus(connection.get()) != CONNECTION_OK) return fail(storage::postgres::message_of(connection.get()));
  const Rows prepared(PQprepare(connection.get(), kStatement, kQuery, 1, nullptr));
  if (PQresultStatus(prepared.get()) != PGRES_COMMAND_OK) return fail(storage::postgres::message_of(connection.get()));
  auto freshet = client::Connection::connect(options_.target, base::deadline_after(base::now(), base::kSecond));
  if (!freshet) return fail(freshet.error().what);

  base::Random random(options_.seed + id);
  while (!stopping_) {
    const auto next_turn = base::now() + kTurn;
    for (int i = 0; i < kPairsPerTurn && !stopping_; ++i) {
      const auto index = popularity_.draw(random);
      read(*freshet, id, index, paired_ns_);
      if (freshet->is_open()) read_bounded(*freshet, index);
      if (!freshet->is_open()) return fail("the paced client lost its connection to Freshet");
      auto operation = begin(id, checker::Kind::get, index);
      operation.source = checker::Source::sql;
      const auto floor = keys_[index].history.version_floor();
      const Quiet quiet = quiet_of(index);
      const Rows answer = ask(connection.get(), index);
      operation.returned_ns = base::now();
      if (!storage::postgres::succeeded(answer.get())) return fail(storage::postgres::message_of(connection.get()));
      ++direct_reads_;
      direct_ns_.record(static_cast<std::uint64_t>(operation.returned_ns - operation.invoked_ns));
      const auto document = value_of(answer.get());
      check_read(operation, index, document ? &*document : nullptr, floor, quiet);
    }
    std::unique_lock lock(mutex_);
    stopped_.wait_for(lock, std::chrono::nanoseconds(next_turn - base::now()), [&] { return stopping_.load(); });
  }
}

}  // namespace freshet::cli
