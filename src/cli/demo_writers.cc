// The demo's writers: anybody who has a PostgreSQL client. They know nothing of Freshet.
#include <fmt/format.h>

#include <string>

#include "checker/history/judge.h"
#include "cli/demo_load.h"

namespace freshet::cli {
namespace {

using checker::Kind;
using checker::Operation;
using checker::Outcome;
using storage::postgres::ConnectionPointer;
using storage::postgres::Rows;

// Of the writes: records that are deleted, to be written again by a later write.
constexpr double kEraseShare = 0.02;
constexpr const char* kUpsert = "freshet_demo_upsert";
constexpr const char* kErase = "freshet_demo_erase";

Error refused(PGconn* connection, const char* doing) {
  return Error::of(ErrorCode::unavailable, fmt::format("{}: {}", doing, storage::postgres::message_of(connection)));
}

Result<ConnectionPointer> connect(const std::string& url) {
  ConnectionPointer connection(PQconnectdb(url.c_str()));
  if (PQstatus(connection.get()) != CONNECTION_OK) return refused(connection.get(), "connecting");
  return connection;
}

bool prepare(PGconn* connection, const char* name, const std::string& sql) {
  return storage::postgres::succeeded(Rows(PQprepare(connection, name, sql.c_str(), 0, nullptr)).get());
}

Result<void> run(const std::string& url, const std::string& sql, const char* doing) {
  auto connection = connect(url);
  if (!connection) return std::move(connection).error();
  if (!storage::postgres::succeeded(Rows(PQexec(connection->get(), sql.c_str())).get())) {
    return refused(connection->get(), doing);
  }
  return {};
}

}  // namespace

Result<void> DemoLoad::fill(const std::string& storage_url, std::uint32_t keys) {
  auto made = run(storage_url, fmt::format("DROP TABLE IF EXISTS {0}; CREATE TABLE {0} (id int PRIMARY KEY, document text "
                                           "NOT NULL)", kDemoTable), "making the demo's table");
  if (!made) return made;
  auto connection = connect(storage_url);
  if (!connection) return std::move(connection).error();
  PGconn* const pq = connection->get();
  Rows copying(PQexec(pq, fmt::format("COPY {} FROM STDIN", kDemoTable).c_str()));
  bool fine = PQresultStatus(copying.get()) == PGRES_COPY_IN;
  for (std::uint32_t index = 0; fine && index < keys; ++index) {
    const auto row = fmt::format("{}\t{}\n", index, demo_document(index, first_revision(index)));
    fine = PQputCopyData(pq, row.data(), static_cast<int>(row.size())) == 1;
  }
  fine = fine && PQputCopyEnd(pq, nullptr) == 1;
  fine = fine && storage::postgres::succeeded(Rows(PQgetResult(pq)).get());
  if (!fine) return refused(pq, "filling the demo's table");
  return {};
}

Result<void> DemoLoad::clean(const std::string& storage_url) {
  const auto drop = fmt::format("DROP TABLE IF EXISTS {}; DROP PUBLICATION IF EXISTS freshet_{}", kDemoTable, kDemoFleet);
  return run(storage_url, drop, "dropping the demo's table");
}

void DemoLoad::run_writer(std::uint32_t id) {
  const auto connection = connect(options_.storage_url);
  if (!connection) return fail(connection.error().what);
  PGconn* const pq = connection->get();
  const bool prepared =
      prepare(pq, kUpsert, fmt::format("INSERT INTO {} VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET document = $2",
                                       kDemoTable)) &&
      prepare(pq, kErase, fmt::format("DELETE FROM {} WHERE id = $1 AND $2 = ''", kDemoTable));
  if (!prepared) return fail(storage::postgres::message_of(pq));
  base::Random random(options_.seed + id);
  for (std::uint64_t turn = 0; !stopping_; ++turn) {
    const auto index = popularity_.draw(random);
    const bool erases = random.chance(kEraseShare);
    auto operation = begin(id, erases ? Kind::erase : Kind::set, index);
    if (!erases) operation.argument = fmt::format("{}-{}", id, turn);
    if (!write(pq, std::move(operation), index, erases ? kErase : kUpsert)) return fail(storage::postgres::message_of(pq));
  }
}

bool DemoLoad::write(PGconn* connection, Operation operation, std::uint32_t index, const char* statement) {
  Key& key = keys_[index];
  const auto id = std::to_string(index);
  const auto document = operation.kind == Kind::set ? demo_document(index, operation.argument) : std::string();
  const char* const values[] = {id.c_str(), document.c_str()};
  key.history.write_begins(operation);
  ++key.writes_in_flight;
  ++key.writes_begun;
  const Rows answer(PQexecPrepared(connection, statement, 2, values, nullptr, nullptr, 0));
  operation.returned_ns = base::now();
  --key.writes_in_flight;
  const bool done = storage::postgres::succeeded(answer.get());
  operation.outcome = done ? Outcome::ok : Outcome::unknown;
  done ? ++writes_ : ++writes_failed_;
  // A DELETE that waited for a row which then was written again finds nothing, and proves nothing.
  if (done && operation.kind == Kind::erase && *PQcmdTuples(answer.get()) == '0') operation.outcome = Outcome::failed;
  if (const auto violation = key.history.ended(operation, 0)) {
    report(checker::report_of(violation->reason, violation->offending));
  }
  return PQstatus(connection) == CONNECTION_OK;
}

}  // namespace freshet::cli
