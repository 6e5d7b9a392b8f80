// What each operation does to a key's state.
#include "checker/history/register_model.h"

#include "protocol/number.h"

namespace freshet::checker {
namespace {

// A conditional write's condition in some state: what is known about it.
struct Truth {
  bool may_hold = false;
  bool may_fail = false;
};

Truth certain(bool holds) { return {holds, !holds}; }

Truth version_is(std::uint64_t expected, const State& state) {
  if (expected == 0 || state.value == kAbsent) return certain(expected == 0 && state.value == kAbsent);
  if (!state.moved) return certain(state.version == expected);
  return {expected > state.version, true};
}

}  // namespace

void Hidden::add(const Operation& operation) {
  if (!may_have_written(operation)) return;
  if (operation.kind == Kind::erase) {
    erases = true;
    return;
  }
  writes = true;
  if (operation.kind == Kind::append) {
    anything = true;
  } else if (operation.kind == Kind::increment) {
    anything |= !operation.result;
    if (operation.result) values.insert(*operation.result);
  } else {
    values.insert(operation.argument);
  }
}

RegisterModel::RegisterModel(Hidden hidden) : hidden_(std::move(hidden)), values_(kFirstValue) {}

ValueId RegisterModel::number_of(std::string_view text) {
  const auto [at, added] = numbers_.try_emplace(std::string(text), static_cast<ValueId>(values_.size()));
  if (added) values_.push_back({at->first, protocol::parse_integer(text), hidden_.values.contains(at->first)});
  return at->second;
}

Step RegisterModel::prepare(const Operation& operation) {
  Step step{&operation};
  step.argument = number_of(operation.argument);
  step.expected = number_of(operation.expected);
  step.result = operation.result ? number_of(*operation.result) : kAbsent;
  return step;
}

bool RegisterModel::may_be(ValueId value, const State& state) const {
  if (state.value == kAnyValue) return value != kAbsent;
  if (state.value == kHiddenValue) return value != kAbsent && values_[value].hidden;
  return state.value == value;
}

std::optional<State> RegisterModel::apply(const Step& step, const State& state) {
  switch (step.operation->kind) {
    case Kind::get:
    case Kind::get_version:
      return read(step, state);
    case Kind::set:
    case Kind::exchange:
      return overwrite(step, state);
    case Kind::erase:
      return erase(*step.operation, state);
    case Kind::increment:
      return increment(step, state);
    case Kind::append:
      return append(step, state);
    default:
      return conditional(step, state);
  }
}

std::optional<State> RegisterModel::read(const Step& step, const State& state) const {
  const Operation& operation = *step.operation;
  if (operation.outcome == Outcome::unknown || !may_be(step.result, state)) return std::nullopt;
  State after = state;
  after.value = step.result;
  if (operation.version == 0 || step.result == kAbsent) return after;
  if (state.moved ? operation.version <= state.version : operation.version != state.version) return std::nullopt;
  return State{step.result, false, operation.version};
}

std::optional<State> RegisterModel::write(const Operation& operation, ValueId value, const State& state) const {
  if (operation.version == 0) return State{value, true, state.version};
  if (operation.version <= state.version) return std::nullopt;
  return State{value, false, operation.version};
}

std::optional<State> RegisterModel::overwrite(const Step& step, const State& state) const {
  const Operation& operation = *step.operation;
  if (operation.outcome == Outcome::ok) {
    if (operation.found && *operation.found != (state.value != kAbsent)) return std::nullopt;
    if (operation.kind == Kind::exchange && !may_be(step.result, state)) return std::nullopt;
  }
  return write(operation, step.argument, state);
}

std::optional<State> RegisterModel::erase(const Operation& operation, const State& state) const {
  const bool present = state.value != kAbsent;
  if (operation.outcome == Outcome::unknown) {
    return present ? std::optional(State{kAbsent, false, state.version}) : std::nullopt;
  }
  if (present != operation.applied) return std::nullopt;
  return State{kAbsent, false, state.version};
}

std::optional<State> RegisterModel::increment(const Step& step, const State& state) {
  const Operation& operation = *step.operation;
  const bool answered = operation.outcome == Outcome::ok;
  if (state.value == kHiddenValue || state.value == kAnyValue) {
    if (!answered) return write(operation, kAnyValue, state);
    const std::optional<std::int64_t> sum = values_[step.result].integer;
    std::int64_t start = 0;
    if (!sum || __builtin_sub_overflow(*sum, operation.delta, &start)) return std::nullopt;
    const ValueId before = number_of(std::to_string(start));
    return may_be(before, state) ? write(operation, step.result, state) : std::nullopt;
  }
  const std::optional<std::int64_t> before = state.value == kAbsent ? 0 : values_[state.value].integer;
  std::int64_t sum = 0;
  if (!before || __builtin_add_overflow(*before, operation.delta, &sum)) return std::nullopt;
  const ValueId after = number_of(std::to_string(sum));
  if (answered && after != step.result) return std::nullopt;
  return write(operation, after, state);
}

std::optional<State> RegisterModel::append(const Step& step, const State& state) {
  const Operation& operation = *step.operation;
  if (state.value == kHiddenValue || state.value == kAnyValue) return write(operation, kAnyValue, state);
  const std::uint64_t pair = static_cast<std::uint64_t>(state.value) << 32 | step.argument;
  auto at = appended_.find(pair);
  if (at == appended_.end()) {
    const ValueId after = number_of(values_[state.value].text + values_[step.argument].text);
    at = appended_.emplace(pair, after).first;
  }
  if (operation.length >= 0 && values_[at->second].text.size() != static_cast<std::size_t>(operation.length)) {
    return std::nullopt;
  }
  return write(operation, at->second, state);
}

std::optional<State> RegisterModel::conditional(const Step& step, const State& state) const {
  const Operation& operation = *step.operation;
  const bool open = state.value == kHiddenValue || state.value == kAnyValue;
  Truth truth;
  State base = state;
  if (operation.kind == Kind::set_if_absent) {
    truth = certain(state.value == kAbsent);
  } else if (operation.kind == Kind::set_if_present) {
    truth = certain(state.value != kAbsent);
  } else if (operation.kind == Kind::compare_value) {
    truth = {may_be(step.expected, state), open || state.value != step.expected};
  } else {
    truth = version_is(operation.expected_version, state);
  }
  if (operation.outcome == Outcome::ok && !operation.applied) return truth.may_fail ? std::optional(state) : std::nullopt;
  if (!truth.may_hold) return std::nullopt;
  if (operation.kind == Kind::compare_version && operation.expected_version != 0) base.version = operation.expected_version;
  return write(operation, step.argument, base);
}

std::vector<State> RegisterModel::hidden_moves(const State& state) const {
  std::vector<State> states;
  if (hidden_.writes) states.push_back({hidden_.anything ? kAnyValue : kHiddenValue, true, state.version});
  if (hidden_.erases && state.value != kAbsent) states.push_back({kAbsent, false, state.version});
  return states;
}

}  // namespace freshet::checker
