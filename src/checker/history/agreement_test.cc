// The checkers against a brute-force one (every order of small histories, no memory, no cleverness), and on simulated legal
// histories of a linearizable register.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>

#include "base/random.h"
#include "checker/history/history_builder.h"
#include "checker/history/linearizability.h"
#include "checker/history/value_history.h"

namespace freshet::checker {
namespace {

using base::Random;

// ---- brute force --------------------------------------------------------------------------------------------------------

// A key's whole past along one order: its value, and the version seen of each write (0: not seen).
struct Past {
  std::optional<std::string> value;
  std::vector<std::uint64_t> versions = {0};

  bool pin(std::uint64_t version) {
    if (version == 0) return true;
    if (versions.back() != 0) return versions.back() == version;
    for (const std::uint64_t earlier : versions) {
      if (earlier >= version) return false;
    }
    versions.back() = version;
    return true;
  }
  bool put(std::optional<std::string> next, std::uint64_t version) {
    value = std::move(next);
    versions.push_back(0);
    return pin(version);
  }
};

bool condition_holds(const Operation& o, Past& past) {
  if (o.kind == Kind::set_if_absent) return !past.value;
  if (o.kind == Kind::set_if_present) return past.value.has_value();
  if (o.kind == Kind::compare_value) return past.value == o.expected;
  if (o.expected_version == 0 || !past.value) return o.expected_version == 0 && !past.value;
  // An unseen version may be the expected one or not: as the answer says.
  if (past.versions.back() == 0) return (o.outcome == Outcome::unknown || o.applied) && past.pin(o.expected_version);
  return past.versions.back() == o.expected_version;
}

bool step(const Operation& o, Past& past) {
  const bool answered = o.outcome == Outcome::ok;
  switch (o.kind) {
    case Kind::get:
      return past.value == o.result;
    case Kind::get_version:
      return past.value == o.result && (!past.value || past.pin(o.version));
    case Kind::set:
      if (answered && o.found && *o.found != past.value.has_value()) return false;
      return past.put(o.argument, o.version);
    case Kind::exchange:
      return (!answered || past.value == o.result) && past.put(o.argument, o.version);
    case Kind::append: {
      const std::string next = past.value.value_or("") + o.argument;
      return (!answered || o.length < 0 || static_cast<std::size_t>(o.length) == next.size()) && past.put(next, o.version);
    }
    case Kind::increment: {
      const std::string text = past.value.value_or("0");
      if (text.find_first_not_of("0123456789") != std::string::npos || (text.size() > 1 && text[0] == '0')) return false;
      const std::string next = std::to_string(std::stoll(text) + o.delta);
      return (!answered || next == o.result) && past.put(next, o.version);
    }
    case Kind::erase:
      if (answered && o.applied != past.value.has_value()) return false;
      return !past.value || past.put(std::nullopt, 0);
    default:
      if (answered && !o.applied) return !condition_holds(o, past);
      return condition_holds(o, past) && past.put(o.argument, o.version);
  }
}

bool explains(const std::vector<Operation>& history, std::uint32_t done, const Past& past) {
  bool whole = true;
  for (std::size_t i = 0; i < history.size(); ++i) {
    if (!(done >> i & 1) && history[i].outcome == Outcome::ok) whole = false;
  }
  if (whole) return true;
  for (std::size_t i = 0; i < history.size(); ++i) {
    if (done >> i & 1) continue;
    bool first = true;
    for (std::size_t j = 0; j < history.size(); ++j) {
      const bool waits = !(done >> j & 1) && history[j].outcome == Outcome::ok;
      if (j != i && waits && history[j].returned_ns < history[i].invoked_ns) first = false;
    }
    Past next = past;
    if (first && step(history[i], next) && explains(history, done | 1u << i, next)) return true;
  }
  return false;
}

bool brute_force_accepts(std::vector<Operation> history) {
  std::erase_if(history, [](const Operation& o) { return o.outcome == Outcome::failed; });
  return explains(history, 0, {});
}

// ---- random histories ---------------------------------------------------------------------------------------------------

struct Shape {
  int clients = 3;
  int operations = 6;
  bool unique = false;       // Only the kinds and values that the online checker takes.
  double unknown = 0.15;
  std::int64_t length_us = 12;  // Of an operation, at most; gaps are as long.
};

Kind random_kind(Random& random, bool unique) {
  static constexpr Kind kAll[] = {Kind::get,      Kind::get_version,   Kind::get_version,   Kind::set,
                                  Kind::erase,    Kind::set_if_absent, Kind::compare_value, Kind::compare_version,
                                  Kind::exchange, Kind::set_if_present, Kind::append,       Kind::increment};
  return kAll[random.below(unique ? 10 : 12)];
}

// A register that is linearizable by construction: each operation takes effect at a moment of its own, in that order.
class Simulation {
 public:
  Simulation(Random& random, const Shape& shape) : random_(random), shape_(shape) {}

  std::vector<Operation> run() {
    HistoryBuilder h;
    std::vector<std::int64_t> free_at(static_cast<std::size_t>(shape_.clients), 0);
    std::vector<std::pair<std::int64_t, std::size_t>> effects;
    for (int i = 0; i < shape_.operations; ++i) {
      const std::size_t client = random_.below(free_at.size());
      const std::int64_t from = free_at[client] + 1 + random_us();
      const std::int64_t to = from + 2 + random_us();
      free_at[client] = to;
      Operation& o = h.add(static_cast<std::uint32_t>(client), from, to, random_kind(random_, shape_.unique));
      const bool unique = shape_.unique || random_.chance(0.5);
      o.argument = unique ? std::string("u").append(std::to_string(i)) : std::to_string(random_.below(3));
      o.delta = 1 + static_cast<std::int64_t>(random_.below(2));
      std::int64_t effect = from + static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(to - from)));
      if (!is_read(o) && random_.chance(shape_.unknown)) {
        o.outcome = Outcome::unknown;
        effect = random_.chance(0.4) ? INT64_MAX : from + random_us() * 5;
      }
      if (effect != INT64_MAX) effects.emplace_back(effect, static_cast<std::size_t>(i));
    }
    std::vector<Operation> history = h.take();
    std::ranges::stable_sort(effects);
    for (const auto& [at, index] : effects) take_effect(history[index]);
    return history;
  }

 private:
  std::int64_t random_us() { return static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(shape_.length_us))); }

  void put(Operation& o, std::optional<std::string> next) {
    if (value_) old_values_.push_back(*value_);
    value_ = std::move(next);
    version_ += 1 + random_.below(3);
    if (value_ && o.outcome == Outcome::ok && random_.chance(0.5)) o.version = version_;
  }

  void take_effect(Operation& o) {
    switch (o.kind) {
      case Kind::get_version:
        o.version = value_ ? version_ : 0;
        [[fallthrough]];
      case Kind::get:
        o.result = value_;
        return;
      case Kind::set:
        if (random_.chance(0.5)) o.found = value_.has_value();
        return put(o, o.argument);
      case Kind::exchange:
        if (o.outcome == Outcome::ok) o.result = value_;
        return put(o, o.argument);
      case Kind::append:
        put(o, value_.value_or("") + o.argument);
        if (o.outcome == Outcome::ok && random_.chance(0.5)) o.length = static_cast<std::int64_t>(value_->size());
        return;
      case Kind::increment:
        return increment(o);
      case Kind::erase:
        o.applied = value_.has_value();
        if (value_) put(o, std::nullopt);
        return;
      default:
        return conditional(o);
    }
  }

  void increment(Operation& o) {
    const std::string text = value_.value_or("0");
    const bool digits = text.size() <= 15 && text.find_first_not_of("0123456789") == std::string::npos;
    if (!digits || std::to_string(std::stoll(text)) != text) {
      o.outcome = Outcome::failed;
      return;
    }
    put(o, std::to_string(std::stoll(text) + o.delta));
    if (o.outcome == Outcome::ok) o.result = value_;
  }

  void conditional(Operation& o) {
    if (o.kind == Kind::set_if_absent) {
      o.applied = !value_;
    } else if (o.kind == Kind::set_if_present) {
      o.applied = value_.has_value();
    } else if (o.kind == Kind::compare_value) {
      o.expected = value_ && random_.chance(0.6) ? *value_ : old_values_.empty() ? "none" : old_values_.back();
      o.applied = value_ == o.expected;
    } else {
      o.expected_version = random_.chance(0.6) ? (value_ ? version_ : 0) : 1 + random_.below(version_ + 1);
      o.applied = value_ ? version_ == o.expected_version : o.expected_version == 0;
    }
    if (o.applied) put(o, o.argument);
  }

  Random& random_;
  Shape shape_;
  std::optional<std::string> value_;
  std::uint64_t version_ = 0;
  std::vector<std::string> old_values_;
};

// Changes one answer, or hurries one operation, so that the history may be legal no more.
void corrupt(std::vector<Operation>& history, Random& random) {
  Operation& o = history[random.below(history.size())];
  const Operation& other = history[random.below(history.size())];
  switch (random.below(5)) {
    case 0:
      o.result = random.chance(0.3) ? std::nullopt : std::optional(other.argument);
      break;
    case 1:
      if (o.kind >= Kind::erase && o.kind != Kind::exchange && o.outcome == Outcome::ok) o.applied = !o.applied;
      if (o.found) o.found = !*o.found;
      break;
    case 2:
      if (o.version != 0) o.version = 1 + random.below(o.version + 2);
      break;
    case 3:
      if (o.kind == Kind::increment && o.result) o.result = std::to_string(random.below(5));
      break;
    default: {
      const base::Nanoseconds shift = static_cast<base::Nanoseconds>(random.below(40)) * base::kMicrosecond;
      o.invoked_ns += shift;
      o.returned_ns += shift;
    }
  }
}

// A number of histories that suits the sanitizers too.
constexpr int kRounds = 4000;
constexpr std::uint64_t kSeed = 20260711;

TEST(Agreement, SimulatedHistoriesAreLegal) {
  for (int round = 0; round < kRounds / 10; ++round) {
    const std::uint64_t seed = kSeed + static_cast<std::uint64_t>(round);
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    Shape shape{2 + static_cast<int>(random.below(7)), 150, random.chance(0.5), 0.05, 12};
    const std::vector<Operation> history = Simulation(random, shape).run();
    const KeyVerdict verdict = check_key(history);
    ASSERT_EQ(verdict.verdict, Verdict::legal) << verdict.reason << render_timeline(verdict.offending);
    if (!has_unique_values(history)) continue;
    const auto violation = replay(history);
    ASSERT_FALSE(violation) << violation->reason << render_timeline(violation->offending);
  }
}

TEST(Agreement, WithBruteForceInBothDirections) {
  int legal = 0;
  int illegal = 0;
  for (int round = 0; round < kRounds; ++round) {
    const std::uint64_t seed = kSeed + static_cast<std::uint64_t>(round);
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Random random(seed);
    const Shape shape{2 + static_cast<int>(random.below(3)), 3 + static_cast<int>(random.below(5)), random.chance(0.3)};
    std::vector<Operation> history = Simulation(random, shape).run();
    if (random.chance(0.8)) corrupt(history, random);
    const bool accepted = brute_force_accepts(history);
    const KeyVerdict verdict = check_key(history);
    ASSERT_EQ(verdict.verdict == Verdict::legal, accepted) << render_timeline(history);
    (accepted ? legal : illegal) += 1;
    if (accepted) {
      const auto violation = has_unique_values(history) ? replay(history) : std::nullopt;
      ASSERT_FALSE(violation) << violation->reason << render_timeline(history);
      continue;
    }
    // What is printed is an offence by itself, if it starts from the key's beginning.
    ASSERT_FALSE(verdict.before.empty() && brute_force_accepts(verdict.offending)) << render_timeline(history);
  }
  RecordProperty("legal", legal);
  RecordProperty("illegal", illegal);
  EXPECT_GT(legal, kRounds / 10);
  EXPECT_GT(illegal, kRounds / 10);
}

// How much of what is wrong the online checker sees: it may miss, but not much on such histories.
TEST(Agreement, OnlineCheckerFindsMostOfWhatIsWrong) {
  int illegal = 0;
  int found = 0;
  for (int round = 0; round < kRounds; ++round) {
    Random random(kSeed + static_cast<std::uint64_t>(round));
    std::vector<Operation> history = Simulation(random, {3, 6, true, 0.1, 12}).run();
    Operation& o = history[random.below(history.size())];
    if (!is_read(o)) continue;
    o.result = random.chance(0.2) ? std::nullopt : std::optional(history[random.below(history.size())].argument);
    o.version = 0;
    if (brute_force_accepts(history)) {
      ASSERT_FALSE(replay(history)) << "seed " << kSeed + static_cast<std::uint64_t>(round);
      continue;
    }
    ++illegal;
    found += replay(history) ? 1 : 0;
  }
  EXPECT_GT(illegal, 100);
  EXPECT_GT(found * 10, illegal * 8) << found << " of " << illegal;
}

}  // namespace
}  // namespace freshet::checker
