// The clients that go through Freshet.
#include "cli/demo_load.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "checker/judge.h"

namespace freshet::cli {
namespace {

using checker::Kind;
using checker::Operation;
using checker::Outcome;

constexpr double kZipfExponent = 0.99;
// Of a client's writes: records that are deleted, to be written again by a later write.
constexpr double kEraseShare = 0.02;
constexpr std::uint32_t kFillBatchKeys = 128;
// Above the server's own deadlines, so that it is the server that says what became of a write.
constexpr base::Nanoseconds kCallTime = 15 * base::kSecond;
constexpr base::Nanoseconds kConnectTime = 5 * base::kSecond;

base::Nanoseconds call_deadline() { return base::deadline_after(base::now(), kCallTime); }

Error error_of_reply(const client::Reply& reply) { return Error::of(ErrorCode::unavailable, reply.text); }

}  // namespace

DemoLoad::DemoLoad(DemoLoadOptions options)
    : options_(std::move(options)), popularity_(options_.keys, kZipfExponent), keys_(options_.keys) {}

DemoLoad::~DemoLoad() { stop(); }

void DemoLoad::start() {
  started_at_ = base::now();
  for (int id = 0; id < options_.clients; ++id) {
    threads_.emplace_back([this, id] { run_client(static_cast<std::uint32_t>(id)); });
  }
  threads_.emplace_back([this] { run_paired_reader(static_cast<std::uint32_t>(options_.clients)); });
}

void DemoLoad::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

Operation DemoLoad::begin(std::uint32_t id, Kind kind, std::uint32_t index) const {
  Operation operation;
  operation.client = id;
  operation.kind = kind;
  operation.key = demo_key(options_.run, index);
  operation.invoked_ns = base::now();
  return operation;
}

void DemoLoad::run_client(std::uint32_t id) {
  auto connection = client::Connection::connect(options_.target, base::deadline_after(base::now(), kConnectTime));
  if (!connection) return fail(connection.error().what);
  base::Random random(options_.seed + id);
  for (std::uint64_t turn = 0; !stopping_; ++turn) {
    const auto index = popularity_.draw(random);
    if (!random.chance(options_.write_share)) {
      read(*connection, id, index, read_ns_);
    } else if (random.chance(kEraseShare)) {
      erase(*connection, id, index);
    } else {
      write(*connection, id, index, fmt::format("{}-{}", id, turn));
    }
    if (connection->is_open()) continue;
    connection = client::Connection::connect(options_.target, base::deadline_after(base::now(), kConnectTime));
    if (!connection) return fail(connection.error().what);
  }
}

DemoLoad::Quiet DemoLoad::quiet_of(std::uint32_t index) const {
  return {keys_[index].writes_begun.load(), keys_[index].writes_in_flight.load() > 0};
}

void DemoLoad::read(client::Connection& connection, std::uint32_t id, std::uint32_t index, base::Histogram& latency_ns) {
  Operation operation = begin(id, Kind::get, index);
  const auto floor = keys_[index].history.version_floor();
  const Quiet quiet = quiet_of(index);
  const auto reply = connection.call({"GET", operation.key}, call_deadline());
  operation.returned_ns = base::now();
  if (!reply || reply->is_error()) {
    ++reads_failed_;
    return;
  }
  ++reads_;
  latency_ns.record(static_cast<std::uint64_t>(operation.returned_ns - operation.invoked_ns));
  check_read(operation, index, reply->is_null() ? nullptr : &reply->text, floor, quiet);
}

void DemoLoad::check_read(Operation& operation, std::uint32_t index, const std::string* document, std::uint64_t floor,
                          const Quiet& quiet) {
  const Quiet after = quiet_of(index);
  if (quiet.in_flight || after.in_flight || quiet.writes_begun != after.writes_begun) ++contended_;
  ++checked_;
  if (document != nullptr) {
    operation.result = revision_of(index, *document);
    if (!operation.result) return report(fmt::format("{} holds what nobody wrote: {}\n", operation.key, *document));
  }
  if (const auto violation = keys_[index].history.ended(operation, floor)) {
    report(checker::report_of(violation->reason, violation->offending));
  }
}

void DemoLoad::write(client::Connection& connection, std::uint32_t id, std::uint32_t index, std::string revision) {
  Operation operation = begin(id, Kind::set, index);
  operation.argument = std::move(revision);
  const std::string document = demo_document(index, operation.argument);
  call_write(connection, operation, index, {"SET", operation.key, document});
}

void DemoLoad::erase(client::Connection& connection, std::uint32_t id, std::uint32_t index) {
  Operation operation = begin(id, Kind::erase, index);
  call_write(connection, operation, index, {"DEL", operation.key});
}

void DemoLoad::call_write(client::Connection& connection, Operation& operation, std::uint32_t index,
                          std::initializer_list<std::string_view> command) {
  Key& key = keys_[index];
  const auto floor = key.history.version_floor();
  key.history.write_begins(operation);
  ++key.writes_in_flight;
  ++key.writes_begun;
  const auto reply = connection.call(command, call_deadline());
  operation.returned_ns = base::now();
  --key.writes_in_flight;
  if (!reply) {
    operation.outcome = reply.error().code == ErrorCode::unknown_outcome ? Outcome::unknown : Outcome::failed;
  } else if (reply->is_error()) {
    operation.outcome = reply->text.starts_with("UNKNOWN") ? Outcome::unknown : Outcome::failed;
  } else if (operation.kind == Kind::erase) {
    operation.applied = reply->integer == 1;
  }
  operation.outcome == Outcome::ok ? ++writes_ : ++writes_failed_;
  if (const auto violation = key.history.ended(operation, floor)) {
    report(checker::report_of(violation->reason, violation->offending));
  }
}

Result<void> DemoLoad::fill() {
  auto connection = client::Connection::connect(options_.target, base::deadline_after(base::now(), kConnectTime));
  if (!connection) return connection.error();
  for (std::uint32_t first = 0; first < options_.keys; first += kFillBatchKeys) {
    auto filled = fill_batch(*connection, first, std::min(first + kFillBatchKeys, options_.keys));
    if (!filled) return filled;
  }
  return {};
}

Result<void> DemoLoad::fill_batch(client::Connection& connection, std::uint32_t first, std::uint32_t last) {
  std::vector<Operation> operations;
  std::vector<std::string> words = {"MSET"};
  const auto id = static_cast<std::uint32_t>(options_.clients) + 1;
  for (auto index = first; index < last; ++index) {
    operations.push_back(begin(id, Kind::set, index));
    operations.back().argument = fmt::format("fill-{}", index);
    keys_[index].history.write_begins(operations.back());
    words.push_back(operations.back().key);
    words.push_back(demo_document(index, operations.back().argument));
  }
  const std::vector<std::string_view> command(words.begin(), words.end());
  const auto reply = connection.call(command, call_deadline());
  if (!reply) return reply.error();
  if (reply->is_error()) return error_of_reply(*reply);
  for (auto& operation : operations) {
    operation.returned_ns = base::now();
    keys_[first + static_cast<std::size_t>(&operation - operations.data())].history.ended(operation, 0);
  }
  return {};
}

Result<void> DemoLoad::clean() {
  auto connection = client::Connection::connect(options_.target, base::deadline_after(base::now(), kConnectTime));
  if (!connection) return connection.error();
  for (std::uint32_t first = 0; first < options_.keys; first += kFillBatchKeys) {
    std::vector<std::string> words = {"DEL"};
    for (auto index = first; index < std::min(first + kFillBatchKeys, options_.keys); ++index) {
      words.push_back(demo_key(options_.run, index));
    }
    const std::vector<std::string_view> command(words.begin(), words.end());
    const auto reply = connection->call(command, call_deadline());
    if (!reply) return reply.error();
    if (reply->is_error()) return error_of_reply(*reply);
  }
  return {};
}

void DemoLoad::report(std::string text) {
  ++violations_;
  const std::lock_guard lock(mutex_);
  if (reports_.size() < kReportsMax) reports_.push_back(std::move(text));
}

void DemoLoad::fail(const std::string& what) {
  const std::lock_guard lock(mutex_);
  if (failure_.empty()) failure_ = what;
}

DemoFigures DemoLoad::figures() const {
  DemoFigures figures;
  figures.seconds = static_cast<double>(base::now() - started_at_) / static_cast<double>(base::kSecond);
  figures.reads = reads_;
  figures.writes = writes_;
  figures.writes_failed = writes_failed_;
  figures.reads_failed = reads_failed_;
  figures.direct_reads = direct_reads_;
  figures.checked = checked_;
  figures.contended = contended_;
  figures.violations = violations_;
  figures.read_ns = read_ns_;
  figures.paired_ns = paired_ns_;
  figures.direct_ns = direct_ns_;
  return figures;
}

std::vector<std::string> DemoLoad::reports() const {
  const std::lock_guard lock(mutex_);
  return reports_;
}

std::string DemoLoad::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

}  // namespace freshet::cli
