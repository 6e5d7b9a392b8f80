// What the tests of observed collections under fire share: a server of their own, engines that follow it, the load, and the
// rule that after every fault reads go on and are served from memory again.
//
// FRESHET_OBSERVED_WITHOUT=hold_until_visible,… in the environment takes protections away (ObservedProtections): then the
// tests that need them must fail.
#pragma once

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "cache/composed_engine.h"
#include "cache/observed_options.h"
#include "observed_load.h"
#include "recorded_load.h"
#include "storage/postgres/observed/postgres_observed_storage.h"
#include "temporary_postgres.h"

namespace freshet::testing {

inline std::vector<std::string> followed_settings() {
  return {"wal_level = logical", "max_replication_slots = 20", "max_wal_senders = 20", "max_prepared_transactions = 20",
          "wal_sender_timeout = 5s", "max_connections = 200"};
}

// All protections but those that the environment takes away.
inline consistency::ObservedProtections protections_of_environment() {
  consistency::ObservedProtections protections;
#if FRESHET_PROTECTION_SWITCHES
  const char* text = std::getenv("FRESHET_OBSERVED_WITHOUT");
  const std::string without = text == nullptr ? "" : text;
  const auto is_on = [&](const char* name) { return without.find(name) == without.npos; };
  protections.hold_until_visible = is_on("hold_until_visible");
  protections.collect_during_fill = is_on("collect_during_fill");
  protections.probe_after_read = is_on("probe_after_read");
  protections.ignore_what_fill_shows = is_on("ignore_what_fill_shows");
  protections.fingerprint = is_on("fingerprint");
  protections.nudge = is_on("nudge");
  protections.bounded_confirmation = is_on("bounded_confirmation");
#endif
  return protections;
}

class ObservedFixture : public ::testing::Test {
 protected:
  static constexpr auto kRecovery = 30 * base::kSecond;
  static constexpr std::uint64_t kProgress = 1500;
  static constexpr int kRounds = 3;

  explicit ObservedFixture(const std::vector<std::string>& settings = followed_settings())
      : server_(settings), specs_(observed_load_collections()) {
    RecordProperty("seed", std::to_string(test_seed()));
    load_.seed = test_seed();
    // On a busy machine writers at full speed would leave the walsenders too little of it to keep up.
    load_.write_pause = base::kMillisecond;
  }

  // The database with the load's tables, and those that `more` makes.
  void prepare(const std::string& more = "") {
    url_ = server_.create_database();
    TemporaryPostgres::run(url_, observed_load_schema(load_) + more);
  }

  // An engine on `url`, as the node of that name.
  void open(const std::string& url, const std::string& node, const consistency::FollowerLimits& limits = {}) {
    cache::EngineOptions options;
    options.storage_url = url;
    options.memory_bytes = 16 << 20;
    options.key_value = false;
    options.collections = specs_;
    options.node = node;
    const auto observed = cache::observed_options(options);
    const auto in_order = storage::postgres::PostgresObservedStorage::check(observed);
    ASSERT_TRUE(in_order) << in_order.error().what;
    cache::EngineParts parts;
    parts.observed_limits = limits;
    parts.observed_protections = protections_of_environment();
    parts.make_observed = [observed](net::Loop& loop) -> std::unique_ptr<storage::ObservedStorage> {
      return *storage::postgres::PostgresObservedStorage::open(observed, loop);
    };
    engines_.push_back(std::make_unique<cache::ComposedEngine>(options, std::move(parts)));
  }

  std::vector<cache::Engine*> engines() const {
    std::vector<cache::Engine*> engines;
    for (auto& engine : engines_) engines.push_back(engine.get());
    return engines;
  }

  // Runs the load, and the fault in the midst of it, several times; after each the reads must go on.
  void run(const std::function<void(int round)>& fault, int rounds = kRounds) {
    ObservedLoad load(load_, url_, engines());
    ASSERT_TRUE(load.wait_for_progress(kProgress, kRecovery)) << "the load never began";
    ASSERT_TRUE(wait_for_hits()) << "nothing is served from memory at the beginning" << state();
    for (int round = 0; round < rounds; ++round) {
      running_ = &load;
      fault(round);
      running_ = nullptr;
      ASSERT_FALSE(HasFatalFailure());
      ASSERT_TRUE(load.wait_for_progress(kProgress, kRecovery)) << "no recovery after round " << round << state();
      ASSERT_TRUE(wait_for_hits()) << "nothing is served from memory after round " << round << state();
    }
    EXPECT_TRUE(load.wait_for_contention(kRecovery)) << "too few reads met a write" << state();
    load.stop();
    expect_clean(load);
  }

  // Waits until reads are served from memory again; false after a while.
  bool wait_for_hits() {
    for (auto& engine : engines_) {
      const auto before = engine->stats().observed.hits;
      if (!eventually([&] { return engine->stats().observed.hits >= before + 100; })) return false;
    }
    return true;
  }

  // What the engines say of themselves, for messages.
  std::string state() const {
    std::string text;
    for (const auto& engine : engines_) {
      const auto stats = engine->stats().observed;
      text += fmt::format("\nstreaming {} at {:X}, {} bytes behind; {} hits, {} fills ({} cached), {} probes, {} nudges, "
                          "{} passed through, {} held; {}",
                          stats.streaming, stats.position, stats.lag_bytes, stats.hits, stats.fills,
                          stats.fills_cached, stats.probes, stats.nudges, stats.passed_through, stats.held_transactions,
                          engine->stream_status().detail);
    }
    return text;
  }

  static bool eventually(const std::function<bool()>& holds) {
    const auto deadline = base::now() + kRecovery;
    while (!holds()) {
      if (base::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return true;
  }

  static void expect_clean(ObservedLoad& load) {
    const auto judgement = load.judge();
    EXPECT_EQ(judgement.violations, 0u) << first_report(judgement);
    EXPECT_EQ(judgement.inconclusive_keys, 0u);
    EXPECT_EQ(judgement.contention.shortfall(true), "");
    const auto anomalies = load.anomalies();
    EXPECT_TRUE(anomalies.empty()) << anomalies.front();
    const auto counts = load.counts();
    EXPECT_GT(counts.any, 100u);
    EXPECT_GT(counts.bounded, 100u);
    EXPECT_GT(counts.session, 100u);
    EXPECT_GT(counts.snapshots, 100u);
    fmt::print("{} writes, {} reads ({} linearizable hits, {} failed), {} any, {} bounded, {} session, {} snapshots\n",
               counts.writes, counts.reads, counts.hits, counts.failed_reads, counts.any, counts.bounded, counts.session,
               counts.snapshots);
    for (const auto& [text, times] : load.errors()) fmt::print("{} reads failed: {}\n", times, text);
  }

  ObservedLoadOptions load_;
  TemporaryPostgres server_;
  std::vector<storage::CollectionSpec> specs_;   // What the engines observe.
  std::string url_;
  std::vector<std::unique_ptr<cache::Engine>> engines_;
  ObservedLoad* running_ = nullptr;              // The load, while a fault happens.
};

}  // namespace freshet::testing
