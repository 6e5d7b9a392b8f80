// Several policies at several sizes, tried on the sampled keys of the live traffic: what each would miss. May use
// base and shadow_cache.h.
//
// The caller asks takes() about every access, and tells those that are taken: reads (a miss once its value is known),
// writes, erasures. Each goes to every shadow. A shadow's capacity is the live one times its multiple times the sampling
// rate. The rate is halved, and the keys that are no longer sampled are dropped, when a shadow holds more than
// kSampledObjectsMax objects: so memory and work are bounded whatever the cache's size. With five policies at five sizes an
// access that is sampled takes some 2 us (bench/shadow_bench.cc).
//
// Estimates are over a window that decays: after half_life_requests sampled requests what was counted before weighs a half
// (in kPeriods steps). Shadows begin empty, so the first estimates are too high, for every policy by the same misses.
//
// Whether a few very popular keys are sampled decides how many requests are, and so the ratio. If the caller tells how many
// requests there are in all, ratios are of as many requests as the sample should have (SHARDS-adj: the missing or surplus
// ones are popular keys', and so hits). Measured on Zipf(0.9) traces, 5000 of 100,000 keys sampled, 1000 objects cached: the
// error of LRU's miss ratio falls from 0.073 to 0.009, of S3-FIFO's from 0.063 to 0.007 (root of the mean square of 20).
//
// Not thread-safe: one thread tells and asks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/key_sample.h"
#include "eviction/exact/policy.h"
#include "eviction/shadow/shadow_cache.h"

namespace freshet::eviction::shadow {

struct ShadowPolicy {
  std::string name;
  std::function<std::unique_ptr<exact::Policy>(std::uint64_t seed)> make;
  std::uint32_t beside_bytes = 0;  // What the live policy keeps beside each object, and takes of the capacity.
};

struct ShadowsOptions {
  std::vector<ShadowPolicy> policies;
  std::vector<double> multiples = {0.25, 0.5, 1, 2, 4};  // Of the live capacity, ascending; 1 is among them.
  std::uint64_t capacity_bytes = 0;                      // The live one.
  double rate = 0.01;                                    // The share of keys, at first.
  std::uint64_t half_life_requests = std::uint64_t{1} << 14;
  std::uint64_t seed = 1;                                // For policies that draw random numbers.
};

struct Estimate {
  double object_miss_ratio = 1;
  double byte_miss_ratio = 1;
};

struct CurvePoint {
  std::uint64_t capacity_bytes = 0;  // Of a live cache.
  Estimate estimate;
};

class Shadows {
 public:
  static constexpr std::size_t kSampledObjectsMax = std::size_t{1} << 13;
  // Ghosts of many small objects can be more than the objects. If all shadows together take more than this, the rate is
  // halved and they start anew, empty.
  static constexpr std::size_t kBytesMax = std::size_t{32} << 20;
  static constexpr std::uint64_t kPeriods = 8;  // A half-life has so many steps of decay.

  explicit Shadows(ShadowsOptions options);

  const base::KeySample& sample() const { return sample_; }
  bool takes(std::uint64_t hash) const { return sample_.takes(hash); }

  // Keys that are not sampled (any longer) are passed over.
  void read(const Access& access);
  void write(const Access& access);
  void erase(std::uint64_t hash);
  // So many requests of all keys since this was called last, and their bytes (0: not known): now and then, or never.
  void count_all(std::uint64_t requests, std::uint64_t bytes);
  // The shadows shrink or grow, and forget nothing else.
  void set_capacity(std::uint64_t bytes);

  std::size_t policies() const { return options_.policies.size(); }
  const std::string& name(std::size_t policy) const { return options_.policies[policy].name; }
  // Half-lives so far: when this has grown, there is news for the Chooser.
  std::uint64_t windows() const { return requests_ / options_.half_life_requests; }
  // At the live size.
  Estimate estimate(std::size_t policy) const { return estimate(policy, live_size_); }
  std::vector<double> object_miss_ratios() const;
  std::vector<CurvePoint> curve(std::size_t policy) const;

  std::uint64_t sampled_requests() const { return requests_; }
  std::size_t objects() const;         // In the shadow that has most.
  std::size_t overhead_bytes() const;  // Of all shadows.

 private:
  struct Traffic {
    double requests = 0;
    double bytes = 0;
  };
  struct Shadow {
    ShadowCache cache;
    double multiple;
    Traffic missed = {};  // In earlier periods, decayed.
  };

  Estimate estimate(std::size_t policy, std::size_t size) const;
  void start_anew();
  std::uint64_t miniature(double multiple) const;
  void apply_capacity();
  void sample_fewer();
  void end_period();

  ShadowsOptions options_;
  base::KeySample sample_;
  std::size_t live_size_;
  std::vector<Shadow> shadows_;        // By policy, then by size.
  std::uint64_t requests_ = 0;
  std::uint64_t period_requests_ = 0;  // How long a period is.
  // Decayed, and so is what the shadows counted before.
  Traffic sampled_;    // In the window.
  Traffic due_;        // What should have been sampled, of all that count_all told.
  Traffic not_told_;   // What was sampled since then: due as it came.
  double not_told_undecayed_ = 0;  // Its requests.
};

}  // namespace freshet::eviction::shadow
