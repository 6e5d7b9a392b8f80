// The whole measurement: one target in rounds, or two in turns, and the ratios of their pairs of rounds.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "load/round.h"

namespace freshet::load {

inline constexpr int kRoundsMax = 1000;
// Of each round, before what is measured; but no longer than kWarmUpMax.
inline constexpr double kWarmUpShare = 0.1;
inline constexpr base::Nanoseconds kWarmUpMax = base::kSecond / 2;

struct BenchPlan {
  Shape shape;
  std::shared_ptr<KeySet> keys;
  std::shared_ptr<const Values> values;
  Mix mix;
  int rounds = 6;
  base::Nanoseconds duration = 10 * base::kSecond;  // Of all rounds of a target together, warm-ups not counted.
  bool fill = false;
  std::uint64_t seed = 0;
  int interrupt = -1;
  std::function<void(const std::string&)> progress;  // Takes a line now and then.
};

// A figure of one round.
enum class Figure : std::uint8_t { rate, p50, p99, p999, rate_of_cpu };
inline constexpr std::size_t kFigures = 5;
using Figures = std::array<std::optional<double>, kFigures>;
// Of a round, or of all; `cpu_s`: what was measured took, if that is known.
Figures figures_of(std::uint64_t operations, double seconds, const base::Histogram& latency_ns, std::optional<double> cpu_s);

// The first target's figure over the second's, one ratio a pair of rounds.
struct Ratio {
  double median = 0;
  double lowest = 0;
  double highest = 0;
  std::size_t pairs = 0;
  // How sure it is that the true median lies between the lowest and the highest: 1 - 2^(1 - pairs). (Each pair lies above it
  // or below it like a coin's toss; it lies outside only if all fell on one side.)
  double confidence() const;
};
// Nullopt if no pair has both. Pairs in which one figure is missing or 0 are left out.
std::optional<Ratio> ratio_of(const std::vector<Figures>& first, const std::vector<Figures>& second, Figure figure);

struct Measured {
  LoadTarget target;
  std::string cpu_unknown;      // Why its CPU time is not known; empty if it is.
  Tally total;
  std::vector<Figures> rounds;  // Whole ones.
};

struct Comparison {
  std::vector<Measured> targets;
  bool interrupted = false;
  std::optional<Error> failure;  // What ended it early.
};

// Measures. The targets' processes are looked for, where none are given. An error: a target is out of reach from the first.
Result<Comparison> run_bench(std::vector<LoadTarget> targets, const BenchPlan& plan);

}  // namespace freshet::load
