// Tests of eviction/s3_fifo.h: a trace worked out by hand, a reference model on random traces, and a scan.
#include "eviction/s3_fifo.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <list>
#include <map>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/slot.h"
#include "eviction/policies.h"
#include "eviction/sifting_host.h"
#include "memory/table.h"

namespace freshet::eviction {
namespace {

constexpr std::size_t kObjectBytes = 64;

// A cache of so many bytes around the policy, without the table: keys are numbers, and the victims are written down.
class Driver {
 public:
  explicit Driver(std::size_t capacity_bytes) : capacity_bytes_(capacity_bytes) { policy_.set_capacity(capacity_bytes); }

  void request(std::uint64_t key, std::size_t bytes = kObjectBytes) {
    if (host_.has(key)) return host_.hit(key);
    while (host_.bytes() + bytes > capacity_bytes_) evict();
    host_.insert(key, bytes);
  }
  void replace(std::uint64_t key, std::size_t bytes) {
    if (!host_.has(key)) return;
    host_.resize(key, bytes);
    while (host_.bytes() > capacity_bytes_) evict();
  }
  void erase(std::uint64_t key) {
    if (host_.has(key)) host_.erase(key);
  }
  const SiftingHost& host() const { return host_; }
  const std::vector<std::uint64_t>& victims() const { return victims_; }

 private:
  void evict() {
    const auto victim = host_.take_victim();
    RC_ASSERT(victim.has_value());
    victims_.push_back(*victim);
  }

  S3Fifo policy_;
  SiftingHost host_{policy_};
  const std::size_t capacity_bytes_;
  std::vector<std::uint64_t> victims_;
};

// Room for four. Queues are written head first.
//   AAABCD            small DCBA (A counted 2)
//   E: A to main, B leaves      small EDC   main A      ghosts B
//   F: C leaves                 small FED   main A      ghosts BC
//   B: D leaves; B was a ghost  small FE    main BA     ghosts CD
//   G: E leaves                 small GF    main BA     ghosts CDE
//   A: a hit (A counted 1)
//   C: F leaves, and C's ghost is the fourth of three (nine tenths of four objects): C is new
//                               small CG    main BA     ghosts DEF
//   E: G leaves; E was a ghost  small C     main EBA    ghosts FG
//   H: C leaves                 small H     main EBA    ghosts FGC
//   F: H leaves, F's ghost goes small F     main EBA    ghosts GCH
//   C: F leaves, G's ghost goes; C was a ghost
//                               small -     main CEBA   ghosts HF
//   I: small is empty; A is spared for its hit, B leaves
TEST(S3Fifo, ATraceWorkedOutByHand) {
  Driver cache(4 * kObjectBytes);
  for (const char key : std::string("AAABCDEFBGACEHFCI")) cache.request(static_cast<std::uint64_t>(key));
  EXPECT_EQ(std::string(cache.victims().begin(), cache.victims().end()), "BCDEFGCHFB");
}

TEST(S3Fifo, OneHitIsNotEnoughToStay) {
  Driver cache(4 * kObjectBytes);
  for (const char key : std::string("AABCDE")) cache.request(static_cast<std::uint64_t>(key));
  EXPECT_EQ(cache.victims(), std::vector<std::uint64_t>{'A'});
}

TEST(S3Fifo, AnEntryIsSettledWhileItsCountIsFull) {
  S3Fifo policy;
  std::uint8_t byte = 0;
  for (int hits = 0; hits < S3Fifo::kFrequencyMax; ++hits) {
    EXPECT_FALSE(byte & S3Fifo::kSettled) << hits;
    byte = policy.on_hit(byte);
  }
  EXPECT_TRUE(byte & S3Fifo::kSettled);
  EXPECT_EQ(policy.on_hit(byte), byte);
  EXPECT_GE(policy.sift(0, 1, 1, byte), 0) << "to main, its count cleared";
  EXPECT_FALSE(byte & S3Fifo::kSettled);
}

TEST(S3Fifo, AnErasedEntryThatHadEarnedItsPlaceComesBackToMain) {
  Driver cache(4 * kObjectBytes);
  for (const char key : std::string("AAABCD")) cache.request(static_cast<std::uint64_t>(key));
  cache.erase('A');
  cache.erase('B');
  cache.request('B');  // Had not earned it: the small queue.
  cache.request('A');  // The main queue, behind everyone's turn.
  for (const char key : std::string("EFGH")) cache.request(static_cast<std::uint64_t>(key));
  EXPECT_EQ(std::string(cache.victims().begin(), cache.victims().end()), "CDBE");
}

// The algorithm as the paper writes it, over lists of keys.
class Reference {
 public:
  explicit Reference(std::size_t capacity_bytes) : capacity_(capacity_bytes) {}

  void request(std::uint64_t key, std::size_t bytes) {
    if (auto found = objects_.find(key); found != objects_.end()) {
      found->second.frequency = std::min(found->second.frequency + 1, 3);
      return;
    }
    while (total() + bytes > capacity_) evict();
    const auto ghost = std::find(ghosts_.begin(), ghosts_.end(), key);
    const bool main = ghost != ghosts_.end();
    if (main) ghosts_.erase(ghost);
    objects_[key] = {bytes, 0, main};
    (main ? main_ : small_).push_front(key);
  }
  void replace(std::uint64_t key, std::size_t bytes) {
    if (!objects_.contains(key)) return;
    objects_[key].bytes = bytes;
    while (total() > capacity_) evict();
  }
  void erase(std::uint64_t key) {
    if (!objects_.contains(key)) return;
    const Object object = objects_[key];
    const std::size_t count = objects_.size();
    (object.main ? main_ : small_).remove(key);
    objects_.erase(key);
    if (object.main || object.frequency > 1) remember(key, count);
  }
  const std::vector<std::uint64_t>& victims() const { return victims_; }

 private:
  struct Object {
    std::size_t bytes = 0;
    int frequency = 0;
    bool main = false;
  };

  std::size_t bytes_in(const std::list<std::uint64_t>& queue) const {
    std::size_t bytes = 0;
    for (const auto key : queue) bytes += objects_.at(key).bytes;
    return bytes;
  }
  std::size_t total() const { return bytes_in(small_) + bytes_in(main_); }
  void remember(std::uint64_t key, std::size_t objects) {
    std::erase(ghosts_, key);
    ghosts_.push_front(key);
    while (ghosts_.size() > objects * 9 / 10) ghosts_.pop_back();
  }
  void evict() {
    if (!small_.empty() && (bytes_in(small_) >= capacity_ / 10 || main_.empty())) {
      evict_small();
    } else {
      evict_main();
    }
  }
  void evict_small() {
    const auto key = small_.back();
    small_.pop_back();
    if (objects_[key].frequency > 1) {
      objects_[key] = {objects_[key].bytes, 0, true};
      main_.push_front(key);
    } else {
      remember(key, objects_.size());
      leave(key);
    }
  }
  void evict_main() {
    const auto key = main_.back();
    main_.pop_back();
    if (objects_[key].frequency > 0) {
      --objects_[key].frequency;
      main_.push_front(key);
    } else {
      leave(key);
    }
  }
  void leave(std::uint64_t key) {
    objects_.erase(key);
    victims_.push_back(key);
  }

  const std::size_t capacity_;
  std::map<std::uint64_t, Object> objects_;
  std::list<std::uint64_t> small_, main_, ghosts_;
  std::vector<std::uint64_t> victims_;
};

TEST(S3Fifo, ChoosesTheReferencesVictims) {
  EXPECT_TRUE(rc::check("random traces", [] {
    base::Random random(*rc::gen::arbitrary<std::uint64_t>());
    const std::size_t capacity = kObjectBytes * (5 + random.below(60));
    const std::uint64_t keys = 5 + random.below(200);
    const std::size_t more_bytes_max = 1 + random.below(200);
    Driver cache(capacity);
    Reference reference(capacity);
    for (int step = 0; step < 1'500; ++step) {
      const std::uint64_t key = random.below(1 + random.below(keys));  // Low numbers more often.
      const std::size_t bytes = kObjectBytes + random.below(more_bytes_max);
      const std::uint64_t kind = random.below(20);
      if (kind == 0) {
        cache.erase(key);
        reference.erase(key);
      } else if (kind == 1) {
        cache.replace(key, bytes);
        reference.replace(key, bytes);
      } else {
        cache.request(key, bytes);
        reference.request(key, bytes);
      }
      RC_ASSERT(cache.victims() == reference.victims());
    }
    RC_CLASSIFY(cache.victims().size() > 100);
  }));
}

// How many of 100 hot keys are left after everything else was read once, ten times what fits.
int hot_keys_after_a_scan(memory::PolicyFactory policy) {
  memory::TableOptions options;
  options.capacity_bytes = 4 * 100'000;
  options.shards = 4;
  options.policy = std::move(policy);
  memory::Table table(std::move(options));
  const std::string value(100, 'v');
  const auto hash_of = [](const std::string& key) { return base::hash_of(key); };
  const auto read = [&](const std::string& key) {
    if (table.visit(key, hash_of(key), [](const memory::Entry&) {})) return true;
    table.insert({.key = key, .hash = hash_of(key), .value = value});
    return false;
  };
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 100; ++i) read("hot" + std::to_string(i));
  }
  for (int i = 0; i < 20'000; ++i) read("scanned" + std::to_string(i));
  int left = 0;
  for (int i = 0; i < 100; ++i) left += read("hot" + std::to_string(i));
  return left;
}

TEST(S3Fifo, AScanDoesNotFlushTheHotKeys) {
  EXPECT_EQ(hot_keys_after_a_scan(table_policy("s3fifo")->make), 100);
  EXPECT_EQ(hot_keys_after_a_scan(table_policy("lru")->make), 0) << "the scan was too short to show anything";
}

}  // namespace
}  // namespace freshet::eviction
