// GL-Cache: a cache that learns which groups of objects are worth their room. Yang, Mao, Yue, Rashmi: "GL-Cache: group-level
// learning for efficient and high-performance caching", FAST 2023.
//
// Objects that are written together make a *group*. A group's utility is the sum over its objects of 1 / (time to the next
// request x size). What is known of a group (eviction/gl_cache/features.h) tells it, by a model that is trained on what came
// of groups that were sampled earlier (eviction/gl_cache/study.h), off the request path (eviction/gl_cache/learner.h).
//   A hit counts in the object and in its group. Sifted, no hits are counted once an object has its full count: they change
//   nothing about its being kept, and groups are compared by what their other objects get (as in the server, where such hits
//   take no lock).
//   Room: the group that is worth least is merged with the n - 1 that were written next to it (merging the n that are worth
//   least, wherever they are, costs up to a fifth of the hits). A few of the objects are kept, the rest leaves. Guesses are
//   made anew once some of the groups have been merged (eviction/gl_cache/ranking.h).
//   Which objects are kept, by settings (eviction/gl_cache/settings.h):
//     neighbours, as in the paper: one group's worth, the best by 1 / (size x time since the last request), in place.
//     sifted: those that were requested since they were written, as often as their size asks for; they are written into
//     groups of kept objects, apart by size and by how often they were kept. So is a new object that was evicted lately.
//   An object that is requested while it is to leave, but has not left yet, stays.
//   Untrained, a rule chooses. Neighbours: the oldest groups, and what is kept counts as written now: FIFO with merging.
//   Sifted: the oldest group of what is new while that takes its tenth of the bytes, else the oldest of what is kept:
//   S3-FIFO by groups. describe() says that it is untrained, for how long, and why.
//   The model must earn its trust: rule and model are both tried (eviction/gl_cache/trial.h). Not with the paper's settings.
//
// Time: a hit touches 16 bytes of the object and a line of its group. A victim costs about 100 ns, ranking included; a
// training takes milliseconds on the learner's thread. Memory: 28 to 50 bytes an object, as slots here have no segments (a
// server's table has: eviction/segment_gl_cache.h); sifted, 24 to 48 a ghost, for as many bytes as the cache has; and about
// 1 MiB to learn from.
// Not thread-safe. Runs repeat exactly for a seed, if the settings wait for the learner. May use base and eviction/exact.
#pragma once

#include <memory>
#include <vector>

#include "eviction/exact/ghosts.h"
#include "eviction/exact/policy.h"
#include "eviction/gl_cache/earning.h"
#include "eviction/gl_cache/groups.h"
#include "eviction/gl_cache/learner.h"
#include "eviction/gl_cache/ranking.h"
#include "eviction/gl_cache/rates.h"
#include "eviction/gl_cache/settings.h"
#include "eviction/gl_cache/study.h"

namespace freshet::eviction::gl_cache {

class GlCache final : public exact::Policy {
 public:
  GlCache(const Settings& settings, std::unique_ptr<Learner> learner, std::uint64_t seed);

  bool on_miss(const exact::Access& access) override;
  void on_insert(Slot slot, const exact::Access& access) override;
  void on_hit(Slot slot, const exact::Access&) override {
    ++now_;
    const Object& object = groups_.object(slot);
    if (object.watched) [[unlikely]] answer(slot);
    if (object.requests < kRequestsCountedMax || !sifted()) groups_.touch(slot, tick_of(now_));
  }
  void on_resize(Slot slot, std::uint32_t size) override { groups_.resize(slot, size); }
  void on_erase(Slot slot) override { groups_.erase(slot); }
  Slot take_victim() override;
  void set_capacity(std::uint64_t bytes) override;
  std::size_t overhead_bytes() const override;

  // What it has, how it was trained, what the model goes by; untrained, for how long, and why.
  std::vector<exact::PolicyFact> describe() const override;

  bool trained() const { return study_.training() != nullptr; }
  std::size_t watched() const { return study_.watched(); }

 private:
  static constexpr std::uint32_t kGroupObjectsMin = 4;
  static constexpr std::uint64_t kNewPart = 10;    // Untrained: one byte in so many is for what is new.
  static constexpr std::size_t kKeptOfEight = 7;   // Sifted: no more than so many of eight objects are kept.
  struct Candidate {
    float badness;
    std::uint32_t order;
    Slot slot;
  };

  Circumstances circumstances() const { return settings_.circumstances ? rates_.latest() : Circumstances{}; }
  bool sifted() const { return settings_.keeping == Keeping::sifted; }
  bool is_kept_lane(std::uint32_t lane) const { return lane % (1 + settings_.generations) != 0; }
  void answer(Slot slot);

  std::uint32_t lane_of(std::uint32_t size, std::uint32_t generation) const;
  GroupId group_to_write(std::uint32_t size, std::uint16_t generation);
  void close_if_full(GroupId id);
  void close_all();
  bool earned(const Object& object, bool kept_before) const;

  void merge();
  GroupId choose();
  GroupId choose_by_rule() const;
  GroupId oldest(bool kept) const;
  void gather(GroupId first);
  float badness_of(const Object& object) const;
  std::size_t count_to_keep();
  std::uint16_t oldest_generation() const;
  void dissolve_merged();
  void keep_neighbours();
  void keep_sifted();

  std::uint64_t requests_to_refill() const;
  void look();
  void sample(const Group& group);
  std::size_t learning_bytes() const { return study_.bytes() + ranking_.bytes(); }

  const Settings settings_;
  Groups groups_;
  Study study_;
  Ranking ranking_;
  Rates rates_;
  Way way_ = Way::rule;                // Of the merge whose objects are leaving.
  exact::Ghosts returning_;            // Evicted lately; sifted only.
  std::vector<std::uint64_t> key_of_;  // By slot.
  std::uint64_t capacity_ = 0;
  std::uint64_t now_ = 0;              // Requests.
  MeanSize mean_size_;
  bool returns_ = false;               // The object of the last miss was among those evicted lately.

  std::vector<GroupId> merged_;        // The groups of the merge at work, and their objects.
  std::vector<Candidate> candidates_;

  std::uint64_t merges_ = 0;
};

}  // namespace freshet::eviction::gl_cache
