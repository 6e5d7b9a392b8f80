// The clients that read through Freshet, and what is known of each record. The writers stand in demo_writers.cc.
#include "cli/demo_load.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "checker/history/judge.h"

namespace freshet::cli {
namespace {

using checker::Kind;
using checker::Operation;
using checker::Outcome;

constexpr double kZipfExponent = 0.99;
// Above the server's own deadlines, so that it is the server that says why.
constexpr base::Nanoseconds kCallTime = 15 * base::kSecond;
constexpr base::Nanoseconds kConnectTime = 5 * base::kSecond;

base::Nanoseconds call_deadline() { return base::deadline_after(base::now(), kCallTime); }

}  // namespace

DemoLoad::DemoLoad(DemoLoadOptions options)
    : options_(std::move(options)), popularity_(options_.keys, kZipfExponent), keys_(options_.keys) {
  // The table was filled before the load began.
  for (std::uint32_t index = 0; index < options_.keys; ++index) {
    Operation filled = begin(static_cast<std::uint32_t>(options_.clients), Kind::set, index);
    filled.argument = first_revision(index);
    keys_[index].history.write_begins(filled);
    filled.returned_ns = base::now();
    keys_[index].history.ended(filled, 0);
  }
}

DemoLoad::~DemoLoad() { stop(); }

void DemoLoad::start() {
  started_at_ = base::now();
  std::uint32_t id = 0;
  for (int i = 0; i < options_.clients; ++i, ++id) threads_.emplace_back([this, id] { run_client(id); });
  for (int i = 0; i < options_.writers; ++i, ++id) threads_.emplace_back([this, id] { run_writer(id); });
  threads_.emplace_back([this, id] { run_paired_reader(id); });
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
  operation.key = demo_key(index);
  operation.invoked_ns = base::now();
  return operation;
}

void DemoLoad::run_client(std::uint32_t id) {
  auto connection = client::Connection::connect(options_.target, base::deadline_after(base::now(), kConnectTime));
  if (!connection) return fail(connection.error().what);
  base::Random random(options_.seed + id);
  while (!stopping_) {
    read(*connection, id, popularity_.draw(random), read_ns_);
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
  const auto reply = connection.call({"HGET", operation.key, "document"}, call_deadline());
  operation.returned_ns = base::now();
  if (!reply || reply->is_error()) {
    ++reads_failed_;
    return;
  }
  ++reads_;
  latency_ns.record(static_cast<std::uint64_t>(operation.returned_ns - operation.invoked_ns));
  check_read(operation, index, reply->is_null() ? nullptr : &reply->text, floor, quiet);
}

// It may be up to 50 ms old, so the checker, which knows the order of writes and not their times, only says that somebody
// wrote it.
void DemoLoad::read_bounded(client::Connection& connection, std::uint32_t index) {
  const auto key = begin(0, Kind::get, index).key;
  const auto called = base::now();
  const auto reply = connection.call({"FRESHET.WITH", "LEVEL", "bounded", "50", "HGET", key, "document"}, call_deadline());
  const auto returned = base::now();
  if (!reply || reply->is_error()) {
    ++reads_failed_;
    return;
  }
  ++reads_;
  bounded_ns_.record(static_cast<std::uint64_t>(returned - called));
  if (!reply->is_null() && !revision_of(index, reply->text)) {
    report(fmt::format("{} holds what nobody wrote: {}\n", key, reply->text));
  }
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
  figures.bounded_ns = bounded_ns_;
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
