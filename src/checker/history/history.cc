// Recorded operations: merging them, and showing them to people.
#include "checker/history/history.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

namespace freshet::checker {
namespace {

// The widest value shown in full, and the width of a timeline's bars.
constexpr std::size_t kShownBytesMax = 80;
constexpr std::int64_t kBarColumns = 40;

std::string quoted(std::string_view bytes) {
  std::string text = "'";
  for (unsigned char c : bytes.substr(0, kShownBytesMax)) {
    if (c >= 0x20 && c < 0x7f) {
      text.push_back(static_cast<char>(c));
    } else {
      text += fmt::format("\\x{:02x}", c);
    }
  }
  return text + (bytes.size() > kShownBytesMax ? fmt::format("…' ({} bytes)", bytes.size()) : "'");
}

std::string request_of(const Operation& operation) {
  switch (operation.kind) {
    case Kind::get:
    case Kind::get_version:
      return std::string(name_of(operation.kind));
    case Kind::increment:
      return fmt::format("increment {:+}", operation.delta);
    case Kind::erase:
      return "erase";
    case Kind::compare_value:
      return fmt::format("set {} if value is {}", quoted(operation.argument), quoted(operation.expected));
    case Kind::compare_version:
      return fmt::format("set {} if version is {}", quoted(operation.argument), operation.expected_version);
    default:
      return fmt::format("{} {}", name_of(operation.kind), quoted(operation.argument));
  }
}

std::string answer_of(const Operation& operation) {
  if (operation.outcome == Outcome::unknown) return "no answer: may have been applied";
  if (operation.outcome == Outcome::failed) return "error: not applied";
  std::string text;
  if (is_read(operation) || operation.kind == Kind::increment || operation.kind == Kind::exchange) {
    text = operation.result ? quoted(*operation.result) : "absent";
  } else if (operation.kind == Kind::erase) {
    text = operation.applied ? "erased" : "was absent";
  } else {
    text = operation.applied ? "ok" : "condition did not hold";
  }
  if (operation.length >= 0) text += fmt::format(", length {}", operation.length);
  if (operation.version != 0) text += fmt::format(", version {}", operation.version);
  if (operation.source == Source::memory) text += ", from memory";
  if (operation.source == Source::storage) text += ", from storage";
  if (operation.source == Source::sql) text += ", by SQL";
  if (operation.found) text += *operation.found ? ", was there" : ", was absent";
  return text;
}

std::string_view way_of(Via via) {
  switch (via) {
    case Via::command:
      return "";
    case Via::transaction:
      return " in MULTI";
    case Via::guarded_sql:
      return " by guarded SQL";
    case Via::passed_sql:
      return " by freshet.pass";
    case Via::forbidden_sql:
      return " past the guard";
  }
  return "";
}

// Where `at` stands between `first` and `last`, in columns of the bar.
std::int64_t column_of(base::Nanoseconds at, base::Nanoseconds first, base::Nanoseconds last) {
  if (last <= first) return 0;
  return static_cast<std::int64_t>(static_cast<double>(at - first) / static_cast<double>(last - first) * (kBarColumns - 1));
}

}  // namespace

bool may_have_written(const Operation& operation) {
  if (is_read(operation) || operation.outcome == Outcome::failed) return false;
  return operation.outcome == Outcome::unknown || operation.applied;
}

Operation with_slack(Operation operation) {
  operation.invoked_ns -= operation.slack_ns;
  operation.slack_ns = 0;
  return operation;
}

std::string_view name_of(Kind kind) {
  switch (kind) {
    case Kind::get:
      return "get";
    case Kind::get_version:
      return "get with version";
    case Kind::set:
      return "set";
    case Kind::increment:
      return "increment";
    case Kind::append:
      return "append";
    case Kind::erase:
      return "erase";
    case Kind::set_if_absent:
      return "set if absent";
    case Kind::compare_value:
      return "compare value and set";
    case Kind::compare_version:
      return "compare version and set";
    case Kind::set_if_present:
      return "set if present";
    case Kind::exchange:
      return "exchange";
  }
  return "";
}

std::string describe(const Operation& operation) {
  return fmt::format("client {:<3} {}{}  -> {}", operation.client, request_of(operation), way_of(operation.via),
                     answer_of(operation));
}

std::string render_timeline(const std::vector<Operation>& operations) {
  if (operations.empty()) return {};
  std::vector<const Operation*> sorted;
  for (const Operation& operation : operations) sorted.push_back(&operation);
  std::ranges::stable_sort(sorted, {}, [](const Operation* operation) { return operation->invoked_ns; });
  const base::Nanoseconds first = sorted.front()->invoked_ns;
  base::Nanoseconds last = first;
  for (const Operation* operation : sorted) last = std::max(last, operation->returned_ns);

  std::string text = fmt::format("key {}\n", quoted(operations.front().key));
  for (const Operation* operation : sorted) {
    const bool open = operation->outcome == Outcome::unknown;
    const std::int64_t from = column_of(operation->invoked_ns, first, last);
    const base::Nanoseconds until_ns = operation->returned_ns > operation->invoked_ns ? operation->returned_ns : last;
    const std::int64_t to = open ? kBarColumns - 1 : column_of(until_ns, first, last);
    std::string bar(kBarColumns, ' ');
    for (std::int64_t column = from; column <= to; ++column) bar[static_cast<std::size_t>(column)] = open ? '~' : '=';
    const double from_us = static_cast<double>(operation->invoked_ns - first) / base::kMicrosecond;
    const double to_us = static_cast<double>(until_ns - first) / base::kMicrosecond;
    text += fmt::format("  {:>12.1f} .. {:>12.1f} us |{}| {}\n", from_us, to_us, bar, describe(*operation));
  }
  return text;
}

HistoryRecorder::HistoryRecorder(std::size_t clients) {
  for (std::size_t client = 0; client < clients; ++client) logs_.push_back(std::make_unique<Log>());
}

void HistoryRecorder::record(Operation operation) {
  assert(operation.client < logs_.size());
  Log& log = *logs_[operation.client];
  std::lock_guard lock(log.mutex);
  log.operations.push_back(std::move(operation));
}

Histories HistoryRecorder::take() {
  Histories histories;
  for (const auto& log : logs_) {
    std::lock_guard lock(log->mutex);
    for (Operation& operation : log->operations) {
      std::vector<Operation>& history = histories[operation.key];
      history.push_back(std::move(operation));
    }
    log->operations.clear();
  }
  for (auto& [key, history] : histories) {
    std::ranges::stable_sort(history, {}, &Operation::invoked_ns);
  }
  return histories;
}

}  // namespace freshet::checker
