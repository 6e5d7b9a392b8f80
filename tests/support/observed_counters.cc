// Counters and accounts: what the levels below linearizable promise, and snapshots. See observed_load.h.
#include "observed_counters.h"

#include <array>
#include <charconv>
#include <chrono>

#include <fmt/format.h>

namespace freshet::testing {
namespace {

constexpr auto kPause = std::chrono::milliseconds(2);

// The second column of a row, which is a number; -1 for an absent row.
std::int64_t number_of(const cache::Reading& reading) {
  if (!reading.present) return -1;
  const auto text = *storage::column_of(reading.value, 1);
  std::int64_t n = -1;
  std::from_chars(text.data(), text.data() + text.size(), n);
  return n;
}

std::string how_read(const cache::Reading& reading) {
  return fmt::format("from {}, {} ms old", reading.source == cache::Source::memory ? "memory" : "storage",
                     reading.age / base::kMillisecond);
}

// A token that names everything committed so far, in SQL alone.
constexpr const char* kToken =
    "SELECT (SELECT system_identifier FROM pg_control_system()) || '-' || "
    "substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) || '-L' || pg_current_wal_insert_lsn()";

}  // namespace

void ObservedLoad::write_counters() {
  LoadSession session(url_);
  base::Random random(options_.seed + 77);
  while (!stopping_) {
    pause_writing();
    const auto which = random.below(kObservedCounters);
    const auto outcome = session.run(fmt::format("UPDATE counter SET n = n + 1 WHERE id = {} RETURNING n", which));
    if (outcome.ok && outcome.rows.size() == 1) {
      counters_[which]->acknowledge(base::now(), std::stoll(outcome.rows[0][0]));
    } else {
      std::this_thread::sleep_for(kPause);
    }
  }
}

void ObservedLoad::read_counters(std::uint32_t id) {
  LoadSession session(url_);
  base::Random random(options_.seed * 1000 + id);
  // One reader, one engine, one level: what it has seen there it must not lose.
  auto& engine = *engines_[id % engines_.size()];
  constexpr std::array kLevels = {cache::Level::any, cache::Level::bounded, cache::Level::session};
  struct Seen {
    std::int64_t n = 0;
    std::string how;
  };
  std::array<std::array<Seen, kObservedCounters>, kLevels.size()> seen_at{};
  while (!stopping_) {
    const auto which = random.below(kObservedCounters);
    cache::ReadOptions options;
    const auto level = random.below(kLevels.size());
    options.level = kLevels[level];
    auto& seen = seen_at[level];
    options.bound = options_.bound;
    std::int64_t floor = 0;
    if (options.level == cache::Level::session) {
      floor = counters_[which]->floor(base::now());
      const auto token = session.run(kToken);
      if (!token.ok || token.rows.empty()) continue;
      options.token = token.rows[0][0];
    } else if (options.level == cache::Level::bounded) {
      floor = counters_[which]->floor(base::now() - options_.bound);
    }
    const auto readings = get(engine, {fmt::format("counter:{}", which)}, options);
    if (!readings) continue;
    const auto n = number_of(readings->front());
    auto& counted = options.level == cache::Level::any ? any_ : options.level == cache::Level::bounded ? bounded_ : session_;
    counted.fetch_add(1);
    if (n < floor) anomaly(fmt::format("counter {} read as {} at level {}, but {} is promised", which, n,
                                       static_cast<int>(*options.level), floor));
    const auto how = how_read(readings->front());
    if (n < seen[which].n) {
      anomaly(fmt::format("counter {} went back from {} ({}) to {} ({}) for one reader, at level {}", which, seen[which].n,
                          seen[which].how, n, how, static_cast<int>(*options.level)));
    } else {
      seen[which] = {n, how};
    }
  }
}

void ObservedLoad::move_money() {
  LoadSession session(url_);
  base::Random random(options_.seed + 78);
  const auto accounts = static_cast<std::uint64_t>(options_.accounts);
  while (!stopping_) {
    pause_writing();
    const auto from = random.below(accounts), to = (from + 1 + random.below(accounts - 1)) % accounts;
    const auto outcome = session.run(fmt::format(
        "UPDATE account SET balance = balance + CASE id WHEN {0} THEN -1 ELSE 1 END WHERE id IN ({0}, {1})", from, to));
    if (!outcome.ok) std::this_thread::sleep_for(kPause);
  }
}

void ObservedLoad::read_accounts(std::uint32_t id) {
  std::vector<std::string> keys;
  for (int i = 0; i < options_.accounts; ++i) keys.push_back(fmt::format("account:{}", i));
  base::Random random(options_.seed * 1000 + id);
  while (!stopping_) {
    cache::ReadOptions options;
    options.level = cache::Level::snapshot;
    const auto readings = get(*engines_[random.below(engines_.size())], keys, options);
    if (!readings) continue;
    std::int64_t sum = 0;
    for (const auto& reading : *readings) sum += number_of(reading);
    if (sum != 100 * options_.accounts) {
      anomaly(fmt::format("a snapshot of {} accounts adds up to {}", options_.accounts, sum));
    }
    snapshots_.fetch_add(1);
  }
}

}  // namespace freshet::testing
