// The closed groups by what they are guessed to be worth, the least first. May use this room's groups.h and trees.h.
//
// Guesses are made for all groups at once; then the first `part` of them are handed out, and it is time to guess again.
#pragma once

#include <vector>

#include "base/clock.h"
#include "eviction/gl_cache/groups.h"
#include "eviction/gl_cache/trees.h"

namespace freshet::eviction::gl_cache {

Features features_of(const Group& group, std::uint64_t now);

class Ranking {
 public:
  explicit Ranking(double part) : part_(part) {}

  // The least useful of the groups that are still there. There is a closed group.
  GroupId next(const Groups& groups, const Trees& trees, std::uint64_t now);
  // Guesses are outdated.
  void forget() { next_ = ranked_.size(); }

  std::uint64_t count() const { return count_; }
  base::Nanoseconds spent() const { return spent_; }
  std::size_t bytes() const { return exact::bytes_of(ranked_) + exact::bytes_of(features_) + exact::bytes_of(utilities_); }

 private:
  struct Ranked {
    float utility;
    GroupId id;
    std::uint64_t serial;
  };

  void rank(const Groups& groups, const Trees& trees, std::uint64_t now);

  const double part_;
  std::vector<Ranked> ranked_;  // Those to hand out.
  std::vector<Features> features_;
  std::vector<float> utilities_;
  std::size_t next_ = 0;
  std::uint64_t count_ = 0;     // Of rankings.
  base::Nanoseconds spent_ = 0;
};

}  // namespace freshet::eviction::gl_cache
