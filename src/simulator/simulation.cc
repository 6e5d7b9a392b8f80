// See simulator/simulation.h.
#include "simulator/simulation.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cmath>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <thread>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/config_values.h"

namespace freshet::simulator {
namespace {

// Calls task(0) to task(count - 1), on several threads.
void share_out(std::size_t count, int threads, const std::function<void(std::size_t)>& task) {
  std::atomic<std::size_t> next{0};
  const auto work = [&] {
    for (std::size_t each = next++; each < count; each = next++) task(each);
  };
  std::vector<std::thread> helpers;
  const auto wanted = std::min(static_cast<std::size_t>(threads), count);
  for (std::size_t i = 1; i < wanted; ++i) helpers.emplace_back(work);
  work();
  for (std::thread& helper : helpers) helper.join();
}

// The replays: one job is one policy at one size.
class Jobs {
 public:
  Jobs(const Workload& workload, const SimulationOptions& options)
      : workload_(workload),
        options_(options),
        threads_(std::clamp(options.threads, 1, kThreadsMax)),
        outcomes_(options.policies.size() * options.sizes.size()) {}

  void run_in_memory() {
    share_out(outcomes_.size(), threads_, [&](std::size_t job) {
      Running running = begin(job);
      for (const Block& block : workload_.blocks()) {
        advance(running, block);
        report();
      }
      outcomes_[job] = outcome_of(job, running);
    });
  }
  Result<void> run_in_passes() {
    const std::uint64_t fitting = workload_.memory_bytes_max() / (kReplayBytesPerObject * (workload_.objects() + 1));
    const std::size_t at_a_time = std::max<std::uint64_t>(fitting, static_cast<std::uint64_t>(threads_));
    for (std::size_t first = 0; first < outcomes_.size(); first += at_a_time) {
      const auto last = std::min(first + at_a_time, outcomes_.size());
      if (auto done = run_pass(first, last); !done) return done;
    }
    return {};
  }
  std::vector<Outcome> take_outcomes() { return std::move(outcomes_); }

 private:
  struct Running {
    std::unique_ptr<Replay> replay;
    base::Nanoseconds spent = 0;
  };

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
  const KnownPolicy& policy_of(std::size_t job) const { return *options_.policies[job / options_.sizes.size()]; }
  const CacheSize& size_of(std::size_t job) const { return options_.sizes[job % options_.sizes.size()]; }

  Running begin(std::size_t job) const {
    return {policy_of(job).make({bytes_here(size_of(job)), workload_.objects(), options_.seed})};
  }
  static void advance(Running& running, const Block& block) {
    const auto begin = base::now();
    running.replay->run(block);
    running.spent += base::now() - begin;
  }
  Outcome outcome_of(std::size_t job, const Running& running) const {
    const Counts counts = running.replay->counts();
    const auto share = [](std::uint64_t part, double whole) { return whole == 0 ? 0.0 : static_cast<double>(part) / whole; };
    Outcome outcome{.policy = &policy_of(job), .size_bytes = bytes_in_all(size_of(job)), .requests = workload_.lookups()};
    outcome.object_miss_ratio = std::min(1.0, share(counts.misses, workload_.lookups_due()));
    outcome.byte_miss_ratio = std::min(1.0, share(counts.missed_bytes, workload_.bytes_due()));
    outcome.requests_per_s = share(workload_.lookups() * base::kSecond, static_cast<double>(running.spent));
    outcome.peak_bytes = counts.peak_bytes;
    outcome.overhead_bytes = running.replay->overhead_bytes();
    return outcome;
  }

  // The jobs from `first` up to before `last`, each window of the trace by all of them, while the next one is read.
  Result<void> run_pass(std::size_t first, std::size_t last) {
    auto pass = Pass::open(workload_);
    if (!pass) return std::move(pass).error();
    std::vector<Running> running;
    for (std::size_t job = first; job < last; ++job) running.push_back(begin(job));
    const std::uint64_t blocks = workload_.memory_bytes_max() / 2 / (Block::kRequests * sizeof(Request));
    std::vector<Block> window(std::clamp<std::uint64_t>(blocks, 1, kWindowBlocksMax)), ahead(window.size());
    if (auto read = (*pass)->read(window); !read) return read;
    while (!window.front().requests.empty()) {
      double progress = (*pass)->progress();
      auto reading = std::async(std::launch::async, [&] { return (*pass)->read(ahead); });
      share_out(running.size(), threads_, [&](std::size_t each) {
        for (const Block& block : window) advance(running[each], block);
      });
      if (auto read = reading.get(); !read) return read;
      window.swap(ahead);
      progress = (static_cast<double>(first) + progress * static_cast<double>(last - first)) /
                 static_cast<double>(outcomes_.size());
      if (options_.on_progress) options_.on_progress(progress);
    }
    for (std::size_t job = first; job < last; ++job) outcomes_[job] = outcome_of(job, running[job - first]);
    return {};
  }

  void report() {
    const std::size_t done = ++blocks_done_;
    if (!options_.on_progress || done % kReportBlocks != 0) return;
    const std::lock_guard lock(reporting_);
    options_.on_progress(static_cast<double>(done) / static_cast<double>(workload_.blocks().size() * outcomes_.size()));
  }

  static constexpr std::size_t kReportBlocks = 16;

  const Workload& workload_;
  const SimulationOptions& options_;
  const int threads_;
  std::vector<Outcome> outcomes_;
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

Result<std::vector<Outcome>> simulate(Workload& workload, const SimulationOptions& options) {
  const auto needs_future = [](const KnownPolicy* policy) { return policy->needs_future; };
  const auto looking = std::find_if(options.policies.begin(), options.policies.end(), needs_future);
  if (looking != options.policies.end() && workload.in_passes()) {
    return Error::of(ErrorCode::unsupported,
                     fmt::format("{} looks into the future, for which the trace must be in memory: it takes {} bytes, and "
                                 "may take {}", (*looking)->title, workload.bytes_wanted(), workload.memory_bytes_max()),
                     "raise --memory, sample it (--sample 0.1), or leave belady and beladysize out");
  }
  if (looking != options.policies.end()) workload.find_next();
  Jobs jobs(workload, options);
  if (!workload.in_passes()) {
    jobs.run_in_memory();
  } else if (auto done = jobs.run_in_passes(); !done) {
    return done.error();
  }
  return jobs.take_outcomes();
}

}  // namespace freshet::simulator
