// Rounds in turns: the first target begins the even pairs, the second the odd ones, so that a drift favours neither.
#include "load/comparison.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

namespace freshet::load {
namespace {

// While a target is filled; a fill is not measured.
constexpr std::uint32_t kFillPipeline = 64;

Result<Measured> prepare(LoadTarget target) {
  const auto connected = connect(target);
  if (!connected) return connected.error();
  Measured measured{std::move(target), {}, {}, {}};
  const int socket = *connected;
  if (!measured.target.process) {
    auto process = TargetProcess::behind(socket);
    if (process) measured.target.process = std::move(*process);
    else measured.cpu_unknown = process.error().what + (process.error().remedy.empty() ? "" : "; ") + process.error().remedy;
  }
  ::close(socket);
  return measured;
}

Result<void> fill(const LoadTarget& target, const BenchPlan& plan) {
  RoundPlan round;
  round.shape = plan.shape;
  round.shape.rate = 0;
  round.shape.pipeline = std::max(plan.shape.pipeline, kFillPipeline);
  round.interrupt = plan.interrupt;
  for (const bool writes : {true, false}) {
    if (is_interrupted(plan.interrupt)) return {};
    plan.progress(fmt::format("{} {} keys {} {}", writes ? "writing" : "reading", plan.keys->size(), writes ? "to" : "from",
                              target.name));
    round.requests = writes ? filling_requests(plan.keys, plan.values) : touching_requests(plan.keys);
    auto tally = run_round(target, round);
    if (!tally) return std::move(tally).error();
    if (tally->errors == 0) continue;
    return Error::of(ErrorCode::unavailable,
                     fmt::format("{} requests failed while {} was filled: {}", tally->errors, target.name,
                                 tally->error_texts.front()),
                     "see that it takes writes, and has room");
  }
  return {};
}

Result<void> measure(Measured& measured, const BenchPlan& plan, int number) {
  RoundPlan round;
  round.shape = plan.shape;
  // The same draws for both targets of a pair, other ones for every pair; lists and traces go on where they stopped.
  round.seed = plan.seed + static_cast<std::uint64_t>(number) * kThreadsMax;
  round.batch = plan.mix.batch;
  round.requests = mixed_requests(plan.keys, plan.values, plan.mix, round.seed);
  round.duration = plan.duration / plan.rounds;
  round.warm_up = std::min(static_cast<base::Nanoseconds>(static_cast<double>(round.duration) * kWarmUpShare), kWarmUpMax);
  round.interrupt = plan.interrupt;
  auto tally = run_round(measured.target, round);
  if (!tally) return std::move(tally).error();
  measured.total.add_round(*tally);
  if (is_interrupted(plan.interrupt)) return {};
  measured.rounds.push_back(figures_of(tally->operations, tally->seconds, tally->latency_ns, tally->target_cpu_s));
  return {};
}

void run_rounds(Comparison& comparison, const BenchPlan& plan) {
  const auto count = comparison.targets.size();
  for (int number = 0; number < plan.rounds; ++number) {
    for (std::size_t turn = 0; turn < count; ++turn) {
      Measured& measured = comparison.targets[number % 2 == 0 ? turn : count - 1 - turn];
      plan.progress(fmt::format("round {} of {}: {}", number + 1, plan.rounds, measured.target.name));
      if (auto done = measure(measured, plan, number); !done) {
        comparison.failure = std::move(done).error();
        return;
      }
      if ((comparison.interrupted = is_interrupted(plan.interrupt))) return;
    }
  }
}

}  // namespace

Figures figures_of(std::uint64_t operations, double seconds, const base::Histogram& latency_ns,
                   std::optional<double> cpu_s) {
  return {per_second(operations, seconds), quantile_us(latency_ns, 0.5), quantile_us(latency_ns, 0.99),
          quantile_us(latency_ns, 0.999), per_second(operations, cpu_s)};
}

double Ratio::confidence() const { return pairs == 0 ? 0 : 1 - std::exp2(1 - static_cast<double>(pairs)); }

std::optional<Ratio> ratio_of(const std::vector<Figures>& first, const std::vector<Figures>& second, Figure figure) {
  const auto index = static_cast<std::size_t>(figure);
  std::vector<double> ratios;
  for (std::size_t i = 0; i < std::min(first.size(), second.size()); ++i) {
    const auto over = first[i][index], under = second[i][index];
    if (over && under && *over > 0 && *under > 0) ratios.push_back(*over / *under);
  }
  if (ratios.empty()) return std::nullopt;
  std::sort(ratios.begin(), ratios.end());
  const auto middle = ratios.size() / 2;
  const double median = ratios.size() % 2 == 1 ? ratios[middle] : (ratios[middle - 1] + ratios[middle]) / 2;
  return Ratio{median, ratios.front(), ratios.back(), ratios.size()};
}

Result<Comparison> run_bench(std::vector<LoadTarget> targets, const BenchPlan& plan) {
  Comparison comparison;
  for (auto& target : targets) {
    auto measured = prepare(std::move(target));
    if (!measured) return std::move(measured).error();
    comparison.targets.push_back(std::move(*measured));
  }
  for (std::size_t i = 0; plan.fill && i < comparison.targets.size(); ++i) {
    if (auto filled = fill(comparison.targets[i].target, plan); !filled) return std::move(filled).error();
  }
  if ((comparison.interrupted = is_interrupted(plan.interrupt))) return comparison;
  run_rounds(comparison, plan);
  return comparison;
}

}  // namespace freshet::load
