// How GL-Cache learns: when groups are sampled, when a lesson is given, which model is in use, and how it is chosen between
// that and the rule. The same for the policy by slots (eviction/gl_cache/gl_cache.h) and the one over segments
// (eviction/segment_gl_cache.h), which say what time is, and show their groups when a look is due. May use base,
// eviction/exact, and this room's learner.h, snapshot.h and trial.h.
//
// A period begins: groups are sampled at some moments, then their rows wait for labels, then the learner gets the lesson,
// and the next period begins. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/random.h"
#include "eviction/exact/policy.h"
#include "eviction/gl_cache/learner.h"
#include "eviction/gl_cache/settings.h"
#include "eviction/gl_cache/snapshot.h"
#include "eviction/gl_cache/trial.h"

namespace freshet::eviction::gl_cache {

class Study {
 public:
  Study(const Settings& settings, std::unique_ptr<Learner> learner, std::uint64_t seed);

  // A miss: what falls due is done. `now`: in the policy's time; in so much of it, `turn`, as many objects come in as there
  // are, `objects`. Nothing is studied before the first eviction: there is nothing to choose, and nothing has aged.
  // True: a new model is in use from now on.
  bool missed(const exact::Access& access, std::uint64_t now, std::uint64_t turn, std::uint32_t objects);
  // A request for an object that is watched, or may be.
  void requested(std::uint64_t key, std::uint32_t size, std::uint64_t now) { snapshot_.requested(key, size, now); }
  void evicted(std::uint64_t key, std::uint32_t size, Way way, std::uint64_t now);

  // Groups are to be sampled. Then: begin_look(), is_chosen() for each of the groups, add_row() and watch() for those.
  bool look_due() const { return look_due_; }
  void begin_look(std::uint64_t now, std::size_t groups);
  bool is_chosen() { return snapshot_.rows() < settings_.snapshot_rows && random_.chance(look_share_); }
  // False: there is no room for so many objects to watch.
  bool add_row(const Features& features, std::uint64_t now, std::size_t objects);
  void watch(std::uint64_t key) { snapshot_.watch(key); }

  // How the next choice is made.
  Way choose() { return !training_ ? Way::rule : settings_.trial ? trial_.next() : Way::model; }
  // The last one: null, untrained.
  const Training* training() const { return training_ ? &*training_ : nullptr; }
  std::size_t watched() const { return snapshot_.watched(); }
  std::size_t bytes() const;

  // How it was trained, what the model goes by; untrained, for how long, and why.
  void describe(std::uint64_t now, std::vector<exact::PolicyFact>& facts) const;

 private:
  static constexpr std::uint32_t kMoments = 64;    // At which a snapshot samples.
  static constexpr double kSamplingPart = 0.6;     // Of a snapshot's length; the rest is for the labels.
  static constexpr double kPatiencePart = 0.1;     // Of the time in which the cache is filled anew.
  // Sampling, waiting for labels, training; then again.
  struct Period {
    std::uint64_t length = 0;  // 0: not begun.
    std::uint64_t begun = 0;
    std::uint64_t next_sample = 0;
    std::uint32_t begun_s = 0;
  };

  void go_on(std::uint32_t time_s, std::uint64_t now, std::uint64_t turn);
  void begin_period(std::uint32_t time_s, std::uint64_t now, std::uint64_t turn);
  void teach(std::uint64_t now);
  bool adopt(std::uint64_t now, std::uint64_t turn, std::uint32_t objects);
  void describe_untrained(std::uint64_t now, std::vector<exact::PolicyFact>& facts) const;
  void describe_model(std::vector<exact::PolicyFact>& facts) const;

  const Settings settings_;
  const std::unique_ptr<Learner> learner_;
  base::Random random_;
  Snapshot snapshot_;
  Trial trial_;
  Period period_;
  std::uint64_t next_length_;
  bool look_due_ = false;
  double look_share_ = 0;

  std::uint64_t adopt_at_ = 0;
  bool teaching_ = false;
  std::size_t lesson_bytes_ = 0;      // Of the lesson that the learner has.
  std::optional<Training> training_;

  std::uint64_t evictions_ = 0;
  std::uint64_t first_eviction_ = 0;  // When.
  std::uint64_t trainings_ = 0;
  std::uint64_t trained_at_ = 0;
  base::Nanoseconds training_spent_ = 0;
  std::uint64_t failures_ = 0;        // Trainings that came to nothing.
};

}  // namespace freshet::eviction::gl_cache
