// Readers against written-down states. See observed_state_readers.h.
#include "observed_state_readers.h"

#include <chrono>
#include <future>

#include <fmt/format.h>

#include "base/random.h"
#include "load_session.h"
#include "observed_load.h"

namespace freshet::testing {
namespace {

constexpr auto kPauseAfterFailure = std::chrono::milliseconds(2);
constexpr std::size_t kAnomaliesMax = 8;

}  // namespace

Result<std::vector<cache::Reading>> read_now(cache::Engine& engine, std::vector<std::string> keys, cache::Level level,
                                             base::Nanoseconds timeout) {
  cache::ReadOptions options;
  options.level = level;
  options.deadline = base::now() + timeout;
  std::promise<Result<std::vector<cache::Reading>>> answer;
  engine.get_many(std::move(keys), options,
                  [&](Result<std::vector<cache::Reading>> readings) { answer.set_value(std::move(readings)); });
  return answer.get_future().get();
}

ObservedStateReaders::ObservedStateReaders(Options options, std::string url, std::vector<cache::Engine*> engines,
                                           const ObservedStates& states)
    : options_(std::move(options)), url_(std::move(url)), states_(states) {
  std::uint64_t seed = options_.seed * 1000;
  for (auto* engine : engines) {
    threads_.emplace_back([this, engine, seed] { read_keys(*engine, seed); });
    if (options_.snapshots) threads_.emplace_back([this, engine] { read_snapshots(*engine); });
    ++seed;
  }
  if (options_.sql) threads_.emplace_back([this] { select_keys(); });
}

ObservedStateReaders::~ObservedStateReaders() { stop(); }

void ObservedStateReaders::stop() {
  stopping_ = true;
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

ObservedStateReaders::Counts ObservedStateReaders::counts() const { return {reads_, hits_, failed_, snapshots_, sql_}; }

std::vector<std::string> ObservedStateReaders::anomalies() const {
  std::lock_guard lock(mutex_);
  return anomalies_;
}

std::map<std::string, std::uint64_t> ObservedStateReaders::errors() const {
  std::lock_guard lock(mutex_);
  return errors_;
}

void ObservedStateReaders::judge(const char* how, std::size_t acknowledged, const ObservedStates::State& seen) {
  const auto why = states_.unexplained(acknowledged, seen);
  if (why.empty()) return;
  std::lock_guard lock(mutex_);
  if (anomalies_.size() < kAnomaliesMax) anomalies_.push_back(fmt::format("{}: {}", how, why));
}

void ObservedStateReaders::fail(const Error& error) {
  failed_.fetch_add(1);
  {
    std::lock_guard lock(mutex_);
    ++errors_[without_numbers(error.what)];
  }
  std::this_thread::sleep_for(kPauseAfterFailure);
}

void ObservedStateReaders::read_keys(cache::Engine& engine, std::uint64_t seed) {
  base::Random random(seed);
  while (!stopping_) {
    const auto& key = options_.keys[random.below(options_.keys.size())];
    const auto acknowledged = states_.acknowledged();
    const auto readings = read_now(engine, {key}, cache::Level::linearizable, options_.read_timeout);
    if (!readings) {
      fail(readings.error());
      continue;
    }
    const auto& reading = readings->front();
    reads_.fetch_add(1);
    if (reading.source == cache::Source::memory) hits_.fetch_add(1);
    judge(reading.source == cache::Source::memory ? "from memory" : "from storage", acknowledged,
          {{key, options_.text(reading)}});
  }
}

// The moment of a snapshot read lies behind its beginning too.
void ObservedStateReaders::read_snapshots(cache::Engine& engine) {
  while (!stopping_) {
    const auto acknowledged = states_.acknowledged();
    const auto readings = read_now(engine, options_.keys, cache::Level::snapshot, options_.read_timeout);
    if (!readings) {
      fail(readings.error());
      continue;
    }
    ObservedStates::State seen;
    for (std::size_t i = 0; i < readings->size(); ++i) seen[options_.keys[i]] = options_.text((*readings)[i]);
    snapshots_.fetch_add(1);
    judge("as a snapshot", acknowledged, seen);
  }
}

void ObservedStateReaders::select_keys() {
  LoadSession session(url_);
  base::Random random(options_.seed * 1000 + 999);
  while (!stopping_) {
    const auto& key = options_.keys[random.below(options_.keys.size())];
    const auto acknowledged = states_.acknowledged();
    const auto outcome = session.run(options_.sql(key));
    if (!outcome.ok) {
      std::this_thread::sleep_for(kPauseAfterFailure);
      continue;
    }
    sql_.fetch_add(1);
    judge("by SELECT", acknowledged, {{key, outcome.rows.empty() ? "" : outcome.rows[0][0]}});
  }
}

}  // namespace freshet::testing
