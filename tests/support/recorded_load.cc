// Recorded load on engines in this process.
#include "recorded_load.h"

#include <chrono>
#include <cstdlib>

#include <fmt/format.h>

#include "progress.h"

namespace freshet::testing {
namespace {

// Clients whose engine refuses them do not spin: their failures would only lengthen the history.
constexpr auto kPauseAfterFailure = std::chrono::milliseconds(2);

}  // namespace

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

std::uint64_t test_seed() { return from_environment("FRESHET_SEED", 20261124); }

std::string first_report(const checker::Judgement& judgement) {
  return judgement.reports.empty() ? "" : judgement.reports.front();
}

RecordedLoad::RecordedLoad(const LoadOptions& options, Route route)
    : options_(options), route_(std::move(route)), recorder_(static_cast<std::size_t>(options.clients)) {
  for (int id = 0; id < options_.clients; ++id) {
    threads_.emplace_back([this, id] { work(static_cast<std::uint32_t>(id)); });
  }
}

RecordedLoad::~RecordedLoad() { stop(); }

void RecordedLoad::join() {
  for (auto& thread : threads_) thread.join();
  threads_.clear();
}

void RecordedLoad::stop() {
  stopping_ = true;
  join();
}

bool RecordedLoad::wait_for_progress(std::uint64_t operations, base::Nanoseconds timeout) {
  return wait_for_more(answered_, operations, timeout);
}

checker::Judgement RecordedLoad::judge() { return checker::judge(recorder_.take()); }

void RecordedLoad::work(std::uint32_t id) {
  base::Random random(options_.seed * 1000 + id);
  RecordedClient client(id);
  const auto keys = static_cast<std::uint64_t>(options_.keys);
  for (std::uint64_t i = 0; !stopping_; ++i) {
    const auto turn = operations_.fetch_add(1);
    if (options_.operations_max != 0 && turn >= options_.operations_max) stopping_ = true;
    const auto generation = turn / (keys * static_cast<std::uint64_t>(options_.operations_a_key));
    const auto which = random.below(keys);
    const std::string key = fmt::format("{{{}}}:{}", which, generation);
    auto operation = choose(client, route_(key, random), key, which, fmt::format("c{}-{}", id, i), random).finish();
    const bool ok = operation.outcome == checker::Outcome::ok;
    recorder_.record(std::move(operation));
    if (ok) {
      answered_.fetch_add(1);
    } else {
      std::this_thread::sleep_for(kPauseAfterFailure);
    }
  }
}

Pending RecordedLoad::choose(RecordedClient& client, cache::Engine& engine, const std::string& key, std::uint64_t which,
                             const std::string& value, base::Random& random) {
  const auto dice = random.below(100);
  const auto timeout = options_.write_timeout;
  if (dice < 70) return client.get(engine, key, options_.read_timeout);
  if (which % 4 == 1) return client.increment(engine, key, timeout);
  if (which % 4 == 3) return client.append(engine, key, value + ";", timeout);
  if (dice < 75) return client.erase(engine, key, timeout);
  return client.set(engine, key, value, timeout);
}

}  // namespace freshet::testing
