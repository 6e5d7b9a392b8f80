// The online checker of one key.
#include "checker/history/value_history.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

namespace freshet::checker {
namespace {

bool writes_value(const Operation& operation) {
  return !is_read(operation) && operation.kind != Kind::erase;
}

bool answers_present(const Operation& operation) {
  return is_read(operation) ? operation.result.has_value() : writes_value(operation) && operation.applied;
}

}  // namespace

ValueHistory::ValueHistory() : live_absences_{Absence{UINT32_MAX, INT64_MIN}} {}

std::uint64_t ValueHistory::version_floor() const {
  std::lock_guard lock(mutex_);
  return newest_.empty() ? 0 : newest_.back().version;
}

void ValueHistory::write_begins(const Operation& operation) {
  std::lock_guard lock(mutex_);
  if (operation.kind == Kind::erase) {
    live_absences_.push_back({operation.client, base::kForever});
    return;
  }
  Value& value = values_[operation.argument];
  value.write = operation;
  value.write.outcome = Outcome::unknown;  // Until it ends, for whoever reads of it meanwhile.
  if (live_.size() == kLiveValuesMax) live_.erase(live_.begin());
  live_.push_back(&value);
}

std::optional<ValueViolation> ValueHistory::ended(const Operation& operation, std::uint64_t floor) {
  std::lock_guard lock(mutex_);
  Violation violation;
  if (is_read(operation)) {
    if (operation.outcome != Outcome::ok) return std::nullopt;
    violation = operation.result ? judge_value(operation) : judge_absent(operation);
  } else {
    violation = operation.kind == Kind::erase ? erase_ended(operation) : write_ended(operation);
  }
  if (!violation) violation = judge_version(operation, floor);
  return violation;
}

ValueHistory::Violation ValueHistory::write_ended(const Operation& operation) {
  const auto at = values_.find(operation.argument);
  if (at == values_.end()) return std::nullopt;
  Value& value = at->second;
  value.write = operation;
  if (operation.outcome == Outcome::unknown) return std::nullopt;
  if (operation.outcome == Outcome::ok && operation.applied) {
    value.effective_by_ns = std::min(value.effective_by_ns, operation.returned_ns);
    shows(operation, &value);
    return std::nullopt;
  }
  value.refused = true;
  std::erase(live_, &value);
  if (!value.seen_by) return std::nullopt;
  return ValueViolation{"a value was read whose write was refused", {value.write, *value.seen_by}};
}

ValueHistory::Violation ValueHistory::erase_ended(const Operation& operation) {
  const auto at = std::ranges::find_if(live_absences_, [&](const Absence& absence) {
    return absence.client == operation.client && absence.effective_by_ns == base::kForever;
  });
  if (operation.outcome == Outcome::ok && operation.applied) {
    if (at != live_absences_.end()) at->effective_by_ns = operation.returned_ns;
    shows(operation, nullptr);
    return std::nullopt;
  }
  if (at != live_absences_.end()) live_absences_.erase(at);
  if (operation.outcome == Outcome::unknown) erase_lost_ = true;
  return operation.outcome == Outcome::ok ? judge_absent(operation) : std::nullopt;
}

ValueHistory::Violation ValueHistory::judge_value(const Operation& read) {
  const auto at = values_.find(*read.result);
  if (at == values_.end()) return ValueViolation{"a value was read that nobody wrote", {read}};
  Value& value = at->second;
  if (value.refused) return ValueViolation{"a value was read whose write was refused", {value.write, read}};
  if (value.write.invoked_ns > read.returned_ns) {
    return ValueViolation{"a value was read before its write began", {read, value.write}};
  }
  if (value.ended_by_ns < read.invoked_ns) {
    std::vector<Operation> offending{value.write};
    const bool by_its_read = value.seen_by && value.seen_by->returned_ns <= value.effective_by_ns;
    if (by_its_read) offending.push_back(*value.seen_by);
    offending.push_back(value.ended_by);
    if (!value.ended_by.result && is_read(value.ended_by)) {
      return ValueViolation{"a value was read after the key had been read as absent", {value.write, value.ended_by, read}};
    }
    offending.push_back(read);
    return ValueViolation{"a stale read: another value had followed before it began", std::move(offending)};
  }
  value.effective_by_ns = std::min(value.effective_by_ns, read.returned_ns);
  if (!value.seen_by || read.returned_ns < value.seen_by->returned_ns) value.seen_by = read;
  shows(read, &value);
  return std::nullopt;
}

ValueHistory::Violation ValueHistory::judge_absent(const Operation& operation) {
  if (!erase_lost_ && live_absences_.empty() && absence_ended_by_ns_ < operation.invoked_ns) {
    return ValueViolation{"the key was absent, but a value had been there before and no erase followed",
                          {absence_ended_by_, operation}};
  }
  shows(operation, nullptr);
  return std::nullopt;
}

void ValueHistory::shows(const Operation& operation, const Value* current) {
  std::erase_if(live_, [&](Value* other) {
    if (other == current || other->effective_by_ns >= operation.invoked_ns) return false;
    other->ended_by_ns = operation.returned_ns;
    other->ended_by = operation;
    return true;
  });
  if (current == nullptr) return;
  std::erase_if(live_absences_, [&](const Absence& absence) {
    if (absence.effective_by_ns >= operation.invoked_ns) return false;
    if (operation.returned_ns > absence_ended_by_ns_) {
      absence_ended_by_ns_ = operation.returned_ns;
      absence_ended_by_ = operation;
    }
    return true;
  });
}

ValueHistory::Violation ValueHistory::judge_version(const Operation& operation, std::uint64_t floor) {
  if (operation.outcome != Outcome::ok || operation.version == 0 || !answers_present(operation)) return std::nullopt;
  const bool went_back = is_read(operation) ? operation.version < floor : operation.version <= floor;
  if (went_back) {
    const auto peak = std::ranges::lower_bound(newest_, floor, {}, &Operation::version);
    return ValueViolation{"a version went back", {*peak, operation}};
  }
  if (newest_.empty() || newest_.back().version < operation.version) newest_.push_back(operation);
  return judge_value_version(operation);
}

ValueHistory::Violation ValueHistory::judge_value_version(const Operation& operation) {
  const auto at = values_.find(is_read(operation) ? *operation.result : operation.argument);
  if (at == values_.end()) return std::nullopt;
  Value& value = at->second;
  if (value.version == 0) value.version = operation.version;
  if (value.version == operation.version) return std::nullopt;
  return ValueViolation{fmt::format("one value was answered at two versions, {} and {}", value.version, operation.version),
                        {value.write, operation}};
}

bool has_unique_values(const std::vector<Operation>& history) {
  std::unordered_set<std::string> values;
  return std::ranges::all_of(history, [&](const Operation& operation) {
    if (operation.kind == Kind::increment || operation.kind == Kind::append) return false;
    return !writes_value(operation) || values.insert(operation.argument).second;
  });
}

std::optional<ValueViolation> replay(const std::vector<Operation>& history) {
  struct Event {
    base::Nanoseconds at_ns;
    bool returns;
    std::size_t index;
  };
  std::vector<Event> events;
  for (std::size_t index = 0; index < history.size(); ++index) {
    events.push_back({history[index].invoked_ns, false, index});
    events.push_back({history[index].returned_ns, true, index});
  }
  std::ranges::stable_sort(events, [](const Event& a, const Event& b) {
    return a.at_ns != b.at_ns ? a.at_ns < b.at_ns : a.returns < b.returns;
  });
  ValueHistory values;
  std::vector<std::uint64_t> floors(history.size());
  std::optional<ValueViolation> first;
  for (const Event& event : events) {
    const Operation& operation = history[event.index];
    if (event.returns) {
      auto violation = values.ended(with_slack(operation), floors[event.index]);
      if (!first) first = std::move(violation);
    } else {
      floors[event.index] = values.version_floor();
      if (!is_read(operation)) values.write_begins(operation);
    }
  }
  return first;
}

}  // namespace freshet::checker
