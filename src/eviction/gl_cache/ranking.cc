// See eviction/gl_cache/ranking.h.
#include "eviction/gl_cache/ranking.h"

#include <algorithm>

namespace freshet::eviction::gl_cache {

Features features_of(const Group& group, std::uint64_t now) {
  Features features = features_of(static_cast<float>(now - group.begun + 1),
                                  static_cast<float>(tick_of(now) - group.requested),
                                  {group.bytes, group.live, group.requests, group.active, group.generation});
  features[kRequestRate] = group.circumstances.request_rate;
  features[kWriteRate] = group.circumstances.write_rate;
  features[kMissRatio] = group.circumstances.miss_ratio;
  return features;
}

GroupId Ranking::next(const Groups& groups, const Trees& trees, std::uint64_t now) {
  for (;;) {
    for (; next_ < ranked_.size(); ++next_) {
      const Ranked& ranked = ranked_[next_];
      if (groups.exists(ranked.id, ranked.serial)) return ranked.id;
    }
    rank(groups, trees, now);
  }
}

void Ranking::rank(const Groups& groups, const Trees& trees, std::uint64_t now) {
  const auto begin = base::now();
  ranked_.clear();
  features_.clear();
  for (GroupId id = 1; id < groups.ids(); ++id) {
    if (!groups.is_closed(id)) continue;
    const Group& group = groups.group(id);
    features_.push_back(features_of(group, now));
    ranked_.push_back({0, id, group.serial});
  }
  trees.predict(features_, utilities_);
  for (std::size_t i = 0; i < ranked_.size(); ++i) ranked_[i].utility = utilities_[i];
  const auto handed_out = 1 + static_cast<std::size_t>(part_ * static_cast<double>(ranked_.size()));
  const auto end = ranked_.begin() + static_cast<std::ptrdiff_t>(std::min(handed_out, ranked_.size()));
  std::partial_sort(ranked_.begin(), end, ranked_.end(), [](const Ranked& a, const Ranked& b) {
    return a.utility != b.utility ? a.utility < b.utility : a.serial < b.serial;
  });
  ranked_.erase(end, ranked_.end());
  next_ = 0;
  ++count_;
  spent_ += base::now() - begin;
}

}  // namespace freshet::eviction::gl_cache
