// Which states explain a read. See observed_states.h.
#include "observed_states.h"

#include <algorithm>

#include <fmt/format.h>

namespace freshet::testing {

void ObservedStates::begin(State next) {
  std::lock_guard lock(mutex_);
  states_.push_back(std::move(next));
}

void ObservedStates::acknowledge() {
  std::lock_guard lock(mutex_);
  acknowledged_ = states_.size() - 1;
}

void ObservedStates::withdraw() {
  std::lock_guard lock(mutex_);
  states_.pop_back();
}

std::size_t ObservedStates::acknowledged() const {
  std::lock_guard lock(mutex_);
  return acknowledged_;
}

std::size_t ObservedStates::sharp() const {
  std::lock_guard lock(mutex_);
  return sharp_;
}

bool ObservedStates::shows(const State& state, const State& seen) {
  return std::all_of(seen.begin(), seen.end(), [&](const auto& value) {
    const auto found = state.find(value.first);
    return (found == state.end() ? std::string() : found->second) == value.second;
  });
}

std::string ObservedStates::unexplained(std::size_t acknowledged, const State& seen) const {
  std::lock_guard lock(mutex_);
  if (acknowledged + 1 == states_.size()) ++sharp_;
  for (auto at = acknowledged; at < states_.size(); ++at) {
    if (shows(states_[at], seen)) return "";
  }
  std::string text = fmt::format("no state from {} to {} shows", acknowledged, states_.size() - 1);
  for (const auto& [key, value] : seen) text += fmt::format(" {} = '{}'", key, value);
  for (auto at = acknowledged; at-- > 0;) {
    if (shows(states_[at], seen)) return text + fmt::format("; state {} did", at);
  }
  return text + "; none before did";
}

}  // namespace freshet::testing
