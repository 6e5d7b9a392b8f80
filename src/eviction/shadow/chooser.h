// Which policy should run: from one window's estimates to the next. Numbers in, a number out. May use nothing else.
//
// The policy in office stays until another is better by a margin (its miss ratio lower by a share of the office's, and by
// an absolute floor, below which nobody would notice) in kWindowsToWin windows in a row. If several are, the best of them
// comes in. After a change nothing changes for a cool-down; windows count on meanwhile. Who comes back soon after having
// left doubles the cool-down, up to kCoolDownMax; a later change puts it back to kCoolDown. So however the estimates
// behave, there is at most one change in kCoolDown windows, and traffic that goes to and fro between two habits keeps
// one policy for long.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace freshet::eviction::shadow {

class Chooser {
 public:
  static constexpr double kMarginRelative = 0.03;  // Of the misses of the policy in office.
  static constexpr double kMarginAbsolute = 0.004; // Of all requests.
  static constexpr std::uint64_t kWindowsToWin = 3;
  static constexpr std::uint64_t kCoolDown = 8;    // Windows.
  static constexpr std::uint64_t kCoolDownMax = 512;
  static constexpr std::uint64_t kSoon = 4;        // Back within so many cool-downs.

  Chooser(std::size_t policies, std::size_t in_office);

  // One window more: the miss ratio of each policy. The policy that should run from now on.
  std::size_t next(std::span<const double> miss_ratios);

  std::size_t in_office() const { return in_office_; }
  std::uint64_t cool_down_left() const { return cool_down_left_; }

 private:
  static constexpr std::uint64_t kNeverLeft = UINT64_MAX;
  struct Candidate {
    std::uint64_t windows_won = 0;  // In a row.
    std::uint64_t left_at = kNeverLeft;
  };

  void change_to(std::size_t policy);

  std::vector<Candidate> candidates_;
  std::size_t in_office_;
  std::uint64_t window_ = 0;
  std::uint64_t cool_down_ = kCoolDown;
  std::uint64_t cool_down_left_ = 0;
};

}  // namespace freshet::eviction::shadow
