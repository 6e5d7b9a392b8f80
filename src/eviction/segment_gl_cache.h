// GL-Cache (eviction/gl_cache/gl_cache.h) over the table's segments, which are its groups. It learns as the simulator's
// does (eviction/gl_cache/study.h); what it knows of an object is a byte of its record, and of a group a few numbers in the
// segment's header.
//
// New objects are written to two queues, small and large ones apart; those that a sifting keeps to two others, and so is a
// new object that was evicted lately.
//   A hit counts in the record's byte, up to 7, and in its group. A record with 7 is settled: nobody waits for its hits, so
//   that copies of its value take no lock and are not counted.
//   Room: the group that is worth least is sifted. Who was requested since it was written, as often as its size asks
//   for, is kept; the rest leaves. Utilities are guessed anew for all groups once a tenth of them has been sifted.
//   Untrained, or if the model has not earned its trust (eviction/gl_cache/trial.h): the oldest of the new groups while
//   these have their tenth of the bytes, else the oldest of those that were kept.
//
// Some things differ from the simulator's. Time is counted in new objects, not in requests, since not every hit is told; so
// are periods, at a quarter of the requests that the settings say. Of a group that is sampled, some thirty objects are
// watched, not all. Sizes are in two classes and what is kept in one generation: a shard has about 128 segments, and each
// queue one that is half full. Ghosts are of half of the shard's bytes: with all of them, too much came back among the kept.
// And groups that have become sparse are written together.
//
// Memory: nothing in the record but its byte, 40 bytes a segment, ghosts of 12 bytes a place, and what it learns from
// (for_shard in eviction/gl_cache/settings.h).
// May use memory, eviction/exact and eviction/gl_cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "eviction/exact_access.h"
#include "eviction/ghost_queue.h"
#include "eviction/gl_cache/earning.h"
#include "eviction/gl_cache/learner.h"
#include "eviction/gl_cache/settings.h"
#include "eviction/gl_cache/study.h"
#include "memory/grouping.h"

namespace freshet::eviction {

class SegmentGlCache final : public memory::GroupingPolicy {
 public:
  static constexpr std::uint8_t kCountMax = 7;        // Requests, in three bits of the record's byte.
  static constexpr std::uint8_t kWatched = 0x40;      // Rows may wait for its next request.
  enum Queue : std::uint8_t { kNewSmall, kNewLarge, kKeptSmall, kKeptLarge };

  using MakeLearner = std::function<std::unique_ptr<gl_cache::Learner>()>;
  // What it learns from has the shard's size when it begins to learn (gl_cache::for_shard).
  SegmentGlCache(const gl_cache::Settings& settings, MakeLearner make_learner, std::uint64_t seed)
      : settings_(gl_cache::within_limits(settings)), make_learner_(std::move(make_learner)), random_(seed) {}

  std::size_t queue_for(std::uint64_t hash, std::size_t bytes, std::uint8_t& byte) override;
  int sift(std::size_t queue, std::uint64_t hash, std::size_t bytes, std::uint8_t& byte) override;
  void on_erase(std::size_t queue, std::uint64_t hash, std::uint8_t byte) override;
  std::size_t overhead_bytes() const override;
  void forget() override;
  void set_capacity(std::size_t bytes) override { capacity_bytes_ = bytes; }

  void on_write(memory::Group& group, std::size_t queue, std::size_t bytes, std::uint8_t byte) override;
  void on_move(const memory::Group& from, memory::Group& to, std::size_t bytes, std::uint8_t byte) override;
  void on_leave(memory::Group& group, std::size_t bytes, std::uint8_t byte) override;
  std::uint8_t on_request(memory::Group& group, std::uint64_t hash, std::size_t bytes, std::uint8_t byte) override;

  bool wants_to_look() const override { return study_ && study_->look_due(); }
  void look(memory::Groups& groups) override;
  std::size_t choose(memory::Groups& groups) override;
  std::vector<memory::PolicyFact> describe() const override;

 private:
  static constexpr std::uint64_t kNewPart = 10;   // By the rule, one byte in so many is for what is new.
  static constexpr std::uint64_t kGhostPart = 2;  // Ghosts are of as many bytes as the shard has, over so many.

  static std::uint8_t count_in(std::uint8_t byte) { return byte & kCountMax; }
  static bool is_kept(std::size_t queue) { return queue >= kKeptSmall; }
  std::size_t queue_of(std::size_t bytes, bool kept) const;
  bool earned(std::uint8_t byte, std::size_t bytes, bool kept_before) const;
  gl_cache::Study& study();
  void remember(std::uint64_t hash);

  void sample(memory::Groups& groups, std::size_t index);
  std::size_t choose_by_rule(memory::Groups& groups) const;
  std::size_t choose_by_model(memory::Groups& groups);
  void rank(memory::Groups& groups);
  gl_cache::Features features_of(const memory::Group& group) const;
  // Modulo 2^32.
  std::uint32_t age(const memory::Group& group) const { return static_cast<std::uint32_t>(now_) - group.begun; }
  std::uint32_t idle(const memory::Group& group) const { return static_cast<std::uint32_t>(now_) - group.requested; }

  const gl_cache::Settings settings_;
  const MakeLearner make_learner_;
  base::Random random_;
  std::unique_ptr<gl_cache::Study> study_;  // Null before the first key, and when even that had to go.
  GhostQueue ghosts_;                       // Evicted lately.
  std::uint64_t now_ = 0;                   // New objects, ever.
  std::uint32_t objects_ = 0;
  gl_cache::MeanSize mean_size_;
  double mean_evicted_ = 0;                 // Of those that were evicted lately.
  std::uint64_t evictions_ = 0;
  std::size_t capacity_bytes_ = 0;
  gl_cache::Way way_ = gl_cache::Way::rule;  // Of the last choice.
  std::size_t to_hand_out_ = 0;              // So many more are sifted before utilities are guessed anew.

  std::vector<gl_cache::Features> features_;  // For rank().
  std::vector<float> utilities_;
  std::uint64_t siftings_ = 0;
  std::uint64_t rankings_ = 0;
  base::Nanoseconds ranking_spent_ = 0;
};

}  // namespace freshet::eviction
