// Recording one key.
#include "checker/history/tracked_key.h"

#include <algorithm>

namespace freshet::checker {

void TrackedKey::begin(Operation& operation) {
  if (has_unique_values()) logs_[operation.client].floor = values_.version_floor();
  operation.invoked_ns = base::now();
  if (has_unique_values() && !is_read(operation)) values_.write_begins(operation);
}

std::optional<ValueViolation> TrackedKey::end(Operation operation) {
  Log& log = logs_[operation.client];
  std::optional<ValueViolation> violation;
  if (has_unique_values()) violation = values_.ended(with_slack(operation), log.floor);
  if (operation.outcome == Outcome::unknown) unknown_.fetch_add(1, std::memory_order_relaxed);
  if (operation.outcome != Outcome::failed) log.operations.push_back(std::move(operation));
  return violation;
}

std::vector<Operation> TrackedKey::take_history() {
  std::vector<Operation> history;
  for (Log& log : logs_) {
    std::ranges::move(log.operations, std::back_inserter(history));
    log.operations.clear();
  }
  std::ranges::stable_sort(history, {}, &Operation::invoked_ns);
  return history;
}

}  // namespace freshet::checker
