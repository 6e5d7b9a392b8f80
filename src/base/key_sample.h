// Which keys are sampled: a share of all, chosen by their hash. Every access of a sampled key is taken, none of another.
// Waldspurger, Park, Garthwaite, Ahmad: "Efficient MRC construction with SHARDS", FAST 2015. May use nothing else.
//
// The share only becomes smaller, and a key that is sampled at the smaller share was sampled at the larger (their variant
// of fixed size): so keys are dropped on the way, and nothing has to be forgotten of those that stay.
#pragma once

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>

namespace freshet::base {

// Eight bytes, copied freely: threads that sample may each have one, or share its threshold.
class KeySample {
 public:
  // 0 < rate <= 1: the share of keys.
  explicit KeySample(double rate) : last_(rate >= 1 ? UINT64_MAX : static_cast<std::uint64_t>(std::ldexp(rate, 64)) - 1) {
    assert(rate > 0);
  }

  // A multiplication, a comparison. Buckets and shards are chosen by the hash's own lowest and highest bits; the high
  // bits of the product depend on all of them, so the sample takes its share of every bucket and every shard.
  bool takes(std::uint64_t hash) const { return takes(hash, last_); }
  // The same, from a threshold that is kept elsewhere (0: nothing is sampled, but for a hash of zero).
  static bool takes(std::uint64_t hash, std::uint64_t threshold) { return hash * kMix <= threshold; }
  std::uint64_t threshold() const { return last_; }

  double rate() const { return std::ldexp(static_cast<double>(last_) + 1, -64); }
  void halve() { last_ = std::max<std::uint64_t>(last_ >> 1, 1); }

 private:
  static constexpr std::uint64_t kMix = 0xd6e8feb86659fd93;  // Odd, with its bits well spread.

  std::uint64_t last_;  // The greatest product that is taken.
};

}  // namespace freshet::base
