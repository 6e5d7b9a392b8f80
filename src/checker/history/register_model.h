// The sequential meaning of one key: what each operation does to a state and what it may answer there. The linearizability
// checker searches for an order of the operations in which every answer agrees with this model.
// May use the checker room's history.h.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "checker/history/history.h"

namespace freshet::checker {

// Values are compared by number. The first three are not values.
using ValueId = std::uint32_t;
inline constexpr ValueId kAbsent = 0;
inline constexpr ValueId kHiddenValue = 1;  // Some value that a hidden write left (see Hidden).
inline constexpr ValueId kAnyValue = 2;     // Some value, nothing known about it.
inline constexpr ValueId kFirstValue = 3;

// A key's state. Versions are opaque but grow with every write: `version` is the present one or, if `moved`, a bound that
// the present one lies above. An absent key's version is never compared.
struct State {
  ValueId value = kAbsent;
  bool moved = false;
  std::uint64_t version = 0;
  friend bool operator==(const State&, const State&) = default;
};

// Writes that a shrunk history leaves out. They may have taken effect at any time and any number of times, which is more
// than they could do: what contradicts the model in spite of them contradicts it without. Reads can be left out freely.
struct Hidden {
  std::unordered_set<std::string> values;  // What they leave behind.
  bool writes = false;
  bool erases = false;
  bool anything = false;  // One of them leaves a value that is not known (an append, an unanswered increment).

  void add(const Operation& operation);
};

// An operation with its values numbered.
struct Step {
  const Operation* operation = nullptr;
  ValueId argument = kAbsent;
  ValueId expected = kAbsent;
  ValueId result = kAbsent;
};

class RegisterModel {
 public:
  explicit RegisterModel(Hidden hidden);

  Step prepare(const Operation& operation);
  ValueId number_of(std::string_view value);
  const std::string& text_of(ValueId value) const { return values_[value].text; }
  // The state after the operation, if it may take effect in `state` and answer what it answered; an operation of unknown
  // outcome that would change nothing has no effect to speak of, and gives nothing.
  std::optional<State> apply(const Step& step, const State& state);
  // What hidden writes may make of a state.
  std::vector<State> hidden_moves(const State& state) const;

 private:
  struct Value {
    std::string text;
    std::optional<std::int64_t> integer;  // If the text is the canonical decimal of one.
    bool hidden = false;                  // A hidden write may leave it.
  };

  std::optional<State> read(const Step& step, const State& state) const;
  std::optional<State> write(const Operation& operation, ValueId value, const State& state) const;
  std::optional<State> erase(const Operation& operation, const State& state) const;
  // A plain set or an exchange: what it says of the value before must hold.
  std::optional<State> overwrite(const Step& step, const State& state) const;
  std::optional<State> increment(const Step& step, const State& state);
  std::optional<State> append(const Step& step, const State& state);
  std::optional<State> conditional(const Step& step, const State& state) const;
  // Whether the state's value may be / must be `value`.
  bool may_be(ValueId value, const State& state) const;

  Hidden hidden_;
  std::vector<Value> values_;
  std::unordered_map<std::string, ValueId> numbers_;
  std::unordered_map<std::uint64_t, ValueId> appended_;  // (value, argument) -> value
};

}  // namespace freshet::checker
