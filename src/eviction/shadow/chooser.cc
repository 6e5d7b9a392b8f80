// See eviction/shadow/chooser.h.
#include "eviction/shadow/chooser.h"

#include <algorithm>
#include <cassert>

namespace freshet::eviction::shadow {

Chooser::Chooser(std::size_t policies, std::size_t in_office) : candidates_(policies), in_office_(in_office) {
  assert(in_office < policies);
}

std::size_t Chooser::next(std::span<const double> miss_ratios) {
  assert(miss_ratios.size() == candidates_.size());
  ++window_;
  const double office = miss_ratios[in_office_];
  const double to_beat = office - std::max(office * kMarginRelative, kMarginAbsolute);
  std::size_t winner = in_office_;
  for (std::size_t policy = 0; policy < candidates_.size(); ++policy) {
    Candidate& candidate = candidates_[policy];
    candidate.windows_won = miss_ratios[policy] < to_beat ? candidate.windows_won + 1 : 0;
    if (candidate.windows_won >= kWindowsToWin && miss_ratios[policy] < miss_ratios[winner]) winner = policy;
  }
  if (cool_down_left_ > 0) {
    --cool_down_left_;
  } else if (winner != in_office_) {
    change_to(winner);
  }
  return in_office_;
}

void Chooser::change_to(std::size_t policy) {
  const std::uint64_t left_at = candidates_[policy].left_at;
  const bool soon = left_at != kNeverLeft && window_ - left_at <= kSoon * cool_down_;
  cool_down_ = soon ? std::min(cool_down_ * 2, kCoolDownMax) : kCoolDown;
  cool_down_left_ = cool_down_;
  candidates_[in_office_].left_at = window_;
  for (Candidate& candidate : candidates_) candidate.windows_won = 0;
  in_office_ = policy;
}

}  // namespace freshet::eviction::shadow
