// The follower in a simulated world: everything goes wrong, and every promise is kept. Then each protection of the design is
// taken away, and the simulation must find its anomaly. Seeds are fixed; a failure prints the one that repeats it.
// FRESHET_SIMULATION_SEEDS asks for more of them.
#include <gtest/gtest.h>

#include <cstdlib>

#include "consistency/observed/simulation_steps.h"

namespace freshet::consistency::simulated {
namespace {

using storage::Level;

constexpr std::uint64_t kSteps = 40'000;

// Plays to the end; nothing may be wrong.
Counts play(const Profile& profile) {
  SCOPED_TRACE(fmt::format("seed {}", profile.seed));
  Simulation simulation(profile);
  auto wrong = simulation.run(kSteps);
  if (!wrong) wrong = simulation.settle();
  EXPECT_FALSE(wrong) << wrong->name << " at step " << wrong->step << ": " << wrong->story;
  return simulation.counts();
}

// A world without faults, but for those that a test adds.
Profile calm(std::uint64_t seed) {
  Profile profile;
  profile.seed = seed;
  profile.alter = profile.truncate = profile.break_stream = profile.evict = profile.crash = profile.promote = 0;
  profile.lose_slot = profile.restart_node = profile.tear = profile.disturb = profile.begin_anew = 0;
  profile.connection.lost_chance = profile.connection.late_chance = 0;
  return profile;
}

class Simulated : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(Simulated, EveryPromiseIsKeptThroughFaults) {
  Profile profile;
  profile.seed = GetParam();
  const Counts counts = play(profile);
  // A world in which nothing is served from memory proves nothing.
  EXPECT_GT(counts.from_memory, counts.reads / 10);
}

TEST_P(Simulated, EveryPromiseIsKeptWithTheInsertPosition) {
  Profile profile;
  profile.seed = GetParam();
  profile.connection.insert_position = true;
  play(profile);
}

TEST_P(Simulated, EveryPromiseIsKeptWithinTinyLimits) {
  Profile profile;
  profile.seed = GetParam();
  profile.limits.held_bytes_max = 500;
  profile.limits.held_keys_max = 3;
  profile.limits.fill_statements_max = 2;
  profile.table_bytes = 4096;
  play(profile);
}

TEST_P(Simulated, ClientsThatKeepWhatTheyReadAreToldInTime) {
  Profile profile;
  profile.seed = GetParam();
  profile.watched = true;
  profile.levels = {Level::linearizable, Level::linearizable, Level::snapshot};
  profile.limits.held_bytes_max = 2000;
  play(profile);
}

TEST_P(Simulated, EveryPromiseIsKeptWhileStandbysAreSlow) {
  Profile profile = calm(GetParam());
  profile.server.standby_chance = 0.7;
  profile.server.standby = 30 * base::kMillisecond;
  profile.evict = 0.1;
  const Counts counts = play(profile);
  EXPECT_GT(counts.snapshots_from_memory, 0u);
}

// The stream goes on, and what was held is forgotten; or tables whose changes were not understood are described again.
TEST_P(Simulated, EveryPromiseIsKeptWhileTheFollowerBeginsAnew) {
  Profile profile = calm(GetParam());
  profile.server.standby_chance = 0.5;
  profile.evict = 0.1;
  profile.begin_anew = 0.02;
  profile.disturb = 0.02;
  profile.alter = 0.005;
  play(profile);
}

// What the database refuses because the schema has changed is asked for again once it is described anew.
TEST_P(Simulated, ReadsWaitForTheSchemaThatIsDescribedAnew) {
  Profile profile = calm(GetParam());
  profile.evict = 0.1;
  profile.alter = 0.01;
  profile.connection.refused_chance = 1;
  const Counts counts = play(profile);
  EXPECT_EQ(counts.refused, 0u);
  EXPECT_GT(counts.reads, 0u);
}

// Transaction numbers are used again, in the same run of the server as far as its start time says.
TEST_P(Simulated, EveryPromiseIsKeptThroughCrashesAndLateAnswers) {
  Profile profile = calm(GetParam());
  profile.writers = 6;
  profile.server.standby_chance = 0.3;
  profile.evict = 0.1;
  profile.crash = 0.01;
  profile.connection.late_chance = 0.1;
  play(profile);
}

// Under a sanitizer a world takes ten to fifty times as long, and it is for memory and undefined behaviour that it is played
// there: fewer do.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

std::uint64_t seeds() {
  const char* const text = std::getenv("FRESHET_SIMULATION_SEEDS");
  return text ? std::strtoull(text, nullptr, 10) : kSanitized ? 2 : 12;
}

INSTANTIATE_TEST_SUITE_P(Seeds, Simulated, ::testing::Range<std::uint64_t>(1, 1 + seeds()));

#if FRESHET_PROTECTION_SWITCHES

constexpr std::uint64_t kSeedsTried = 5;

// With the protection: nothing. Without it: the anomaly, within kSteps, from one of the seeds.
void expect_needed(bool ObservedProtections::*protection, const std::function<Profile(std::uint64_t)>& world,
                   const std::vector<std::string>& anomalies) {
  std::optional<Anomaly> found;
  for (std::uint64_t seed = 1; seed <= kSeedsTried && !(kSanitized && found); ++seed) {
    Profile profile = world(seed);
    play(profile);
    profile.protections.*protection = false;
    Simulation simulation(profile);
    auto wrong = simulation.run(kSteps);
    if (!wrong) wrong = simulation.settle();
    if (wrong && !found) found = wrong;
  }
  ASSERT_TRUE(found) << "no anomaly was found";
  EXPECT_NE(std::find(anomalies.begin(), anomalies.end(), found->name), anomalies.end())
      << found->name << ": " << found->story;
  ::testing::Test::RecordProperty("anomaly", found->name + " at step " + std::to_string(found->step) + ": " + found->story);
}

TEST(Protections, HoldingUntilVisible) {
  expect_needed(
      &ObservedProtections::hold_until_visible,
      [](std::uint64_t seed) {
        Profile profile = calm(seed);
        profile.levels = {Level::linearizable};
        profile.evict = 0.3;
        profile.server.standby_chance = 0.5;
        return profile;
      },
      {"stale", "never"});
}

TEST(Protections, CollectingDuringAFill) {
  expect_needed(
      &ObservedProtections::collect_during_fill,
      [](std::uint64_t seed) {
        Profile profile = calm(seed);
        profile.levels = {Level::linearizable};
        profile.evict = 0.5;
        return profile;
      },
      {"stale"});
}

TEST(Protections, TheProbeAfterTheRead) {
  expect_needed(
      &ObservedProtections::probe_after_read,
      [](std::uint64_t seed) {
        Profile profile = calm(seed);
        profile.levels = {Level::linearizable};
        profile.connection.way = 300 * base::kMicrosecond;
        return profile;
      },
      {"stale"});
}

TEST(Protections, IgnoringWhatTheFillShows) {
  expect_needed(
      &ObservedProtections::ignore_what_fill_shows,
      [](std::uint64_t seed) {
        Profile profile = calm(seed);
        profile.levels = {Level::any, Level::bounded};
        profile.evict = 0.3;
        profile.connection.long_lag_chance = 0.3;
        return profile;
      },
      {"backwards"});
}

TEST(Protections, TheFingerprint) {
  expect_needed(
      &ObservedProtections::fingerprint,
      [](std::uint64_t seed) {
        Profile profile = calm(seed);
        profile.levels = {Level::linearizable};
        profile.alter = 0.02;
        return profile;
      },
      {"stale"});
}

TEST(Protections, TheBoundOnConfirmation) {
  expect_needed(
      &ObservedProtections::bounded_confirmation,
      [](std::uint64_t seed) {
        Profile profile = calm(seed);
        profile.levels = {Level::linearizable};
        profile.restart_node = 0.01;
        profile.server.standby_chance = 0.5;
        profile.server.standby = 20 * base::kMillisecond;
        // The slot is never made anew, so the start rule, which would hide this, has nothing to look at.
        profile.connection.marks = false;
        profile.slot_exists = true;
        return profile;
      },
      {"stale"});
}

// An idle bulk transaction: the flush position lies inside a record, and nobody commits. Reads that the stream keeps waiting
// are answered by the database, a share of their deadline later.
TEST(Protections, TheNudge) {
  for (std::uint64_t seed = 1; seed <= kSeedsTried; ++seed) {
    Profile profile = calm(seed);
    profile.levels = {Level::linearizable};
    profile.writers = 0;
    profile.tear = 0.3;
    profile.connection.long_lag_chance = 0;
    Simulation with(profile);
    EXPECT_FALSE(with.run(kSteps));
    EXPECT_EQ(with.stats().passed_through, 0u) << "seed " << seed;
    EXPECT_LT(with.counts().longest, 6 * base::kMillisecond) << "seed " << seed;

    profile.protections.nudge = false;
    Simulation without(profile);
    EXPECT_FALSE(without.run(kSteps));
    EXPECT_GT(without.stats().passed_through, 0u) << "seed " << seed;
    EXPECT_GE(without.counts().longest, 10 * base::kMillisecond) << "seed " << seed;
  }
}

#endif

}  // namespace
}  // namespace freshet::consistency::simulated
