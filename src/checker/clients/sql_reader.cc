// Reads by SQL, one at a time. A read that fails proves nothing and is left out.
#include "checker/clients/sql_reader.h"

namespace freshet::checker {
namespace {

constexpr base::Nanoseconds kReconnectPause = 50 * base::kMillisecond;
constexpr const char* kRead = "SELECT value, version FROM freshet.kv WHERE key = $1";

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t number = 0;
  for (const char byte : bytes) number = number << 8 | static_cast<unsigned char>(byte);
  return number;
}

}  // namespace

SqlReader::SqlReader(std::string url, std::uint32_t number, std::uint64_t seed, KeySpace& keys, Findings& findings)
    : number_(number), random_(seed), keys_(keys), findings_(findings), connection_(std::move(url)) {}

Result<void> SqlReader::probe(SqlConnection& connection) {
  const SqlAnswer answer = connection.run_binary(kRead, {""});
  if (answer.ok()) return {};
  return Error::of(ErrorCode::unavailable, "cannot read freshet.kv: " + answer.message(),
                   "name Freshet's database, and a role that may SELECT from freshet.kv");
}

void SqlReader::run() {
  while (!findings_.stop.requested()) {
    if (ensure_connected()) step();
  }
}

bool SqlReader::ensure_connected() {
  if (connection_.is_open()) return true;
  if (connection_.was_opened()) findings_.reconnects.fetch_add(1, std::memory_order_relaxed);
  const auto opened = connection_.open();
  if (opened) return true;
  findings_.count_error("SQL " + opened.error().what);
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
  const SqlAnswer answer = connection_.run_binary(kRead, {key->name()});
  operation.returned_ns = base::now();
  if (!answer.ok()) {
    operation.outcome = Outcome::failed;
    findings_.count_error("SQL " + answer.message());
  } else if (const auto value = answer.rows() == 1 ? answer.field(0, 0) : std::nullopt) {
    operation.result.emplace(*value);
    operation.version = big_endian(answer.field(0, 1).value_or(""));
  }
  findings_.count_operations(1);
  if (const auto violation = key->end(std::move(operation))) {
    findings_.report(violation->reason + '\n' + render_timeline(violation->offending));
  }
}

}  // namespace freshet::checker
