// Reads by libpq, one at a time. A read that fails proves nothing and is left out.
#include "checker/sql_reader.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <array>
#include <bit>
#include <cstring>

namespace freshet::checker {
namespace {

constexpr base::Nanoseconds kReconnectPause = 50 * base::kMillisecond;
// Server and network may not hold a reader for longer.
constexpr const char* kConnectSeconds = "2";
constexpr const char* kSilenceMs = "5000";
constexpr const char* kRead = "SELECT value, version FROM freshet.kv WHERE key = $1";

using ResultRef = std::unique_ptr<PGresult, decltype(&PQclear)>;

pg_conn* connect(const std::string& url) {
  const std::array<const char*, 5> names{"connect_timeout", "tcp_user_timeout", "application_name", "dbname", nullptr};
  const std::array<const char*, 5> values{kConnectSeconds, kSilenceMs, "freshet check", url.c_str(), nullptr};
  return PQconnectdbParams(names.data(), values.data(), 1);
}

ResultRef read_key(pg_conn* connection, const std::string& key) {
  const char* value = key.data();
  const int length = static_cast<int>(key.size());
  const int binary = 1;
  return {PQexecParams(connection, kRead, 1, nullptr, &value, &length, &binary, 1), &PQclear};
}

std::uint64_t big_endian(const char* bytes) {
  std::uint64_t number = 0;
  for (int i = 0; i < 8; ++i) number = number << 8 | static_cast<unsigned char>(bytes[i]);
  return number;
}

std::string first_line(const char* text) {
  const std::string_view whole(text);
  return std::string(whole.substr(0, whole.find('\n')));
}

}  // namespace

SqlReader::SqlReader(std::string url, std::uint32_t number, std::uint64_t seed, KeySpace& keys, Findings& findings)
    : url_(std::move(url)), number_(number), random_(seed), keys_(keys), findings_(findings) {}

SqlReader::~SqlReader() { PQfinish(connection_); }

Result<void> SqlReader::probe(const std::string& url) {
  const std::unique_ptr<pg_conn, decltype(&PQfinish)> connection(connect(url), &PQfinish);
  if (PQstatus(connection.get()) != CONNECTION_OK) {
    return Error::of(ErrorCode::unavailable, "cannot connect by SQL: " + first_line(PQerrorMessage(connection.get())),
                     "see that --via-sql names the database behind the target");
  }
  const ResultRef answer = read_key(connection.get(), "");
  if (PQresultStatus(answer.get()) != PGRES_TUPLES_OK) {
    return Error::of(ErrorCode::unavailable, "cannot read freshet.kv: " + first_line(PQerrorMessage(connection.get())),
                     "name Freshet's database, and a role that may SELECT from freshet.kv");
  }
  const ResultRef recovery(PQexec(connection.get(), "SELECT pg_is_in_recovery()"), &PQclear);
  if (PQresultStatus(recovery.get()) == PGRES_TUPLES_OK && *PQgetvalue(recovery.get(), 0, 0) == 't') {
    return Error::of(ErrorCode::invalid_argument, "--via-sql names a standby, whose reads lag", "name the primary");
  }
  return {};
}

void SqlReader::run() {
  while (!findings_.stop.requested()) {
    if (ensure_connected()) step();
  }
}

bool SqlReader::ensure_connected() {
  if (connection_ != nullptr && PQstatus(connection_) == CONNECTION_OK) return true;
  if (connection_ != nullptr) findings_.reconnects.fetch_add(1, std::memory_order_relaxed);
  PQfinish(connection_);
  connection_ = connect(url_);
  if (PQstatus(connection_) == CONNECTION_OK) return true;
  findings_.count_error("SQL " + first_line(PQerrorMessage(connection_)));
  findings_.stop.wait_until(base::now() + kReconnectPause);
  return false;
}

void SqlReader::step() {
  const auto slot = static_cast<int>(random_.below(static_cast<std::uint64_t>(keys_.size())));
  const std::shared_ptr<TrackedKey> key = keys_.take(slot);
  Operation operation;
  operation.client = number_;
  operation.kind = Kind::get_version;
  operation.source = Source::sql;
  operation.key = key->name();
  key->begin(operation);
  const ResultRef answer = read_key(connection_, key->name());
  operation.returned_ns = base::now();
  if (PQresultStatus(answer.get()) != PGRES_TUPLES_OK) {
    operation.outcome = Outcome::failed;
    findings_.count_error("SQL " + first_line(PQerrorMessage(connection_)));
  } else if (PQntuples(answer.get()) == 1 && PQgetisnull(answer.get(), 0, 0) == 0) {
    operation.result.emplace(PQgetvalue(answer.get(), 0, 0), static_cast<std::size_t>(PQgetlength(answer.get(), 0, 0)));
    operation.version = big_endian(PQgetvalue(answer.get(), 0, 1));
  }
  findings_.count_operations(1);
  if (const auto violation = key->end(std::move(operation))) {
    findings_.report(violation->reason + '\n' + render_timeline(violation->offending));
  }
}

}  // namespace freshet::checker
