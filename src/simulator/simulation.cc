// See simulator/simulation.h.
#include "simulator/simulation.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/config_values.h"

namespace freshet::simulator {
namespace {

// The replays that are still to do, shared by the threads.
class Jobs {
 public:
  Jobs(const Workload& workload, const SimulationOptions& options)
      : workload_(workload), options_(options), outcomes_(options.policies.size() * options.sizes.size()) {}

  void work() {
    for (std::size_t job = next_++; job < outcomes_.size(); job = next_++) outcomes_[job] = replay(job);
  }
  std::vector<Outcome> take_outcomes() { return std::move(outcomes_); }

 private:
  // Sampled: the cache shrinks with the set of keys.
  std::uint64_t bytes_here(const CacheSize& size) const {
    const double share = size.fraction > 0 ? size.fraction : workload_.sample_rate();
    const std::uint64_t whole = size.fraction > 0 ? workload_.bytes_of_objects() : size.bytes;
    return static_cast<std::uint64_t>(share * static_cast<double>(whole));
  }
  std::uint64_t bytes_in_all(const CacheSize& size) const {
    if (size.fraction == 0) return size.bytes;
    return static_cast<std::uint64_t>(static_cast<double>(bytes_here(size)) / workload_.sample_rate());
  }

  Outcome replay(std::size_t job) {
    const KnownPolicy& policy = *options_.policies[job / options_.sizes.size()];
    const CacheSize& size = options_.sizes[job % options_.sizes.size()];
    const auto run = policy.make({bytes_here(size), workload_.objects(), options_.seed});
    base::Nanoseconds spent = 0;
    for (std::size_t block = 0; block < workload_.blocks(); ++block) {
      const auto begin = base::now();
      run->run(workload_.block(block));
      spent += base::now() - begin;
      report();
    }
    const Counts counts = run->counts();
    const auto share = [](std::uint64_t part, double whole) { return whole == 0 ? 0.0 : static_cast<double>(part) / whole; };
    Outcome outcome{.policy = &policy, .size_bytes = bytes_in_all(size), .requests = workload_.lookups()};
    outcome.object_miss_ratio = std::min(1.0, share(counts.misses, workload_.lookups_due()));
    outcome.byte_miss_ratio = std::min(1.0, share(counts.missed_bytes, workload_.bytes_due()));
    outcome.requests_per_s = share(workload_.lookups() * base::kSecond, static_cast<double>(spent));
    outcome.peak_bytes = counts.peak_bytes;
    outcome.overhead_bytes = run->overhead_bytes();
    return outcome;
  }

  void report() {
    const std::size_t done = ++blocks_done_;
    if (!options_.on_progress || done % kReportBlocks != 0) return;
    const std::lock_guard lock(reporting_);
    options_.on_progress(static_cast<double>(done) / static_cast<double>(workload_.blocks() * outcomes_.size()));
  }

  static constexpr std::size_t kReportBlocks = 16;

  const Workload& workload_;
  const SimulationOptions& options_;
  std::vector<Outcome> outcomes_;
  std::atomic<std::size_t> next_{0};
  std::atomic<std::size_t> blocks_done_{0};
  std::mutex reporting_;
};

}  // namespace

Result<CacheSize> parse_cache_size(std::string_view text) {
  if (text.ends_with('%')) {
    double percent = 0;
    const char* const end = text.data() + text.size() - 1;
    const auto [stop, fault] = std::from_chars(text.data(), end, percent);
    if (fault == std::errc{} && stop == end && percent > 0 && percent <= 100) return CacheSize{.fraction = percent / 100};
  } else if (const auto bytes = base::parse_bytes(text); bytes && *bytes > 0) {
    return CacheSize{.bytes = static_cast<std::uint64_t>(*bytes)};
  }
  return Error::of(ErrorCode::invalid_argument, fmt::format("\"{}\" is not a cache's size", text),
                   "write a share of the bytes of all objects such as 10%, or bytes such as 64MiB");
}

std::vector<Outcome> simulate(Workload& workload, const SimulationOptions& options) {
  const auto needs_future = [](const KnownPolicy* policy) { return policy->needs_future; };
  if (std::any_of(options.policies.begin(), options.policies.end(), needs_future)) workload.find_next();
  Jobs jobs(workload, options);
  const auto threads = static_cast<std::size_t>(std::clamp(options.threads, 1, kThreadsMax));
  std::vector<std::thread> helpers;
  for (std::size_t i = 1; i < std::min(threads, options.policies.size() * options.sizes.size()); ++i) {
    helpers.emplace_back([&] { jobs.work(); });
  }
  jobs.work();
  for (std::thread& helper : helpers) helper.join();
  return jobs.take_outcomes();
}

}  // namespace freshet::simulator
