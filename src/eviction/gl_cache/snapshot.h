// What GL-Cache learns from: groups as they were at some moment, and what came of their objects. May use eviction/exact and
// this room's features.h, learner.h and settings.h.
//
// A *row* is a group's features at the moment when it was sampled. From then on its objects are *watched*: the next request
// of each adds 1 / (requests since that moment x size) to the row's label (without the size if the objective is bytes), and
// no later request adds anything. Objects are watched by their keys, so that those that are evicted, or erased as outdated,
// stay as ghosts until the training: the request that misses them counts as well. A group may be sampled again, at another
// age; an object's next request then counts for every row that waits for it.
//
// Three things differ from the paper. `patience` requests are added to each wait: without them the label is made by the few
// objects that happen to be asked for at once, while it matters whether a group is asked for before room is needed next. A
// label is the mean over the row's objects, so that groups of different fill compare. And the root of it is learned: it has
// the same order, and squared errors then are not those of a few great labels only; the least useful are to be told apart.
//
// Memory: 8 bytes a watched object and row, at most `watches_max` of them; 64 a row; 17 to 34 a watched object.
#pragma once

#include <cstdint>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "eviction/exact/policy.h"
#include "eviction/gl_cache/features.h"
#include "eviction/gl_cache/learner.h"
#include "eviction/gl_cache/settings.h"

namespace freshet::eviction::gl_cache {

class Snapshot {
 public:
  explicit Snapshot(Objective objective, std::size_t watches_max = kWatchesMax)
      : objective_(objective), watches_max_(watches_max) {}

  std::uint32_t rows() const { return static_cast<std::uint32_t>(rows_.size()); }
  // Objects that rows wait for.
  std::size_t watched() const { return watched_.size(); }
  // There is no room for a row that waits for so many objects.
  bool full(std::size_t objects) const { return watches_.size() + objects > watches_max_; }

  void set_patience(double requests) { patience_ = requests; }
  void add_row(const Features& features, std::uint64_t now) { rows_.push_back({features, 0, now, 0}); }
  // The last row waits for the object, as others may already.
  void watch(std::uint64_t key) {
    std::uint32_t& last = watched_.try_emplace(key, kNone).first->second;
    watches_.push_back({last, rows() - 1});
    last = static_cast<std::uint32_t>(watches_.size() - 1);
    ++rows_.back().objects;
  }
  // A request, for an object that rows may wait for.
  void requested(std::uint64_t key, std::uint32_t size, std::uint64_t now) {
    if (watched_.empty()) return;
    const auto watched = watched_.find(key);
    if (watched == watched_.end()) return;
    count(watched->second, size, now);
    watched_.erase(watched);
  }

  // The rows so far and the latest of earlier lessons, `rows_max` at most, with their labels, scaled so that the greatest
  // is 1, and rooted. Then the snapshot is empty.
  Lesson take_lesson(std::uint64_t seed, std::size_t rows_max);

  std::size_t bytes() const;

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;
  struct KeyHash {  // Keys are well mixed already.
    using is_avalanching = void;
    std::size_t operator()(std::uint64_t key) const { return key; }
  };
  struct Row {
    Features features;
    double label;
    std::uint64_t at;  // The request at which it was taken.
    std::uint32_t objects;
  };
  struct Watch {
    std::uint32_t earlier;  // Another row that waits for the same object; kNone: there is none.
    std::uint32_t row;
  };

  void count(std::uint32_t watch, std::uint32_t size, std::uint64_t now);

  const Objective objective_;
  const std::size_t watches_max_;
  double patience_ = 0;
  std::vector<Row> rows_;
  std::vector<Row> earlier_rows_;           // Of earlier lessons, the oldest first.
  std::vector<Watch> watches_;
  boost::unordered_flat_map<std::uint64_t, std::uint32_t, KeyHash> watched_;  // Key -> last watch.
};

}  // namespace freshet::eviction::gl_cache
