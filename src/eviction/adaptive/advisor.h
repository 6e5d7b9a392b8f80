// Which policy a table should run, from a sample of its traffic: shadow caches (eviction/shadow) that are told the table's
// sampled accesses, and a chooser over what they would miss. May use memory, eviction and eviction/shadow.
//
//   threads that read and write -> memory::Table -> AccessQueue -> step(): Shadows -> a window later: Chooser
//
// Not thread-safe but for the queue: one thread at a time makes it, calls step(), and ends it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "eviction/adaptive/access_queue.h"
#include "eviction/adaptive/candidates.h"
#include "eviction/shadow/chooser.h"
#include "eviction/shadow/shadows.h"
#include "memory/table.h"

namespace freshet::eviction::adaptive {

struct AdvisorOptions {
  double rate = 0.01;  // The share of keys that are sampled, at first: shadow::Shadows makes it smaller for large caches.
  std::uint64_t half_life_requests = std::uint64_t{1} << 14;  // Of the sample: a window's length.
  std::uint64_t seed = 1;
};

// What a reader of figures wants to know.
struct Report {
  struct Policy {
    std::string_view name;
    double miss_ratio = 1;                  // Of requests, at the table's size.
    std::vector<shadow::CurvePoint> curve;  // At other sizes.
  };
  std::string_view in_office;
  std::vector<Policy> policies;
  double rate = 0;                     // The share of keys that are sampled now.
  std::uint64_t sampled_requests = 0;
  std::uint64_t dropped = 0;           // Accesses of sampled keys that the shadows could not take.
  std::uint64_t windows = 0;
  std::uint64_t cool_down_windows = 0; // Before these nothing changes.
  std::uint64_t changes = 0;
  std::size_t bytes = 0;               // That the shadows take.

  const Policy& policy(std::string_view name) const { return *std::ranges::find(policies, name, &Policy::name); }
};

class Advisor {
 public:
  // `in_office`: one of candidates(). `queue` hears the table until the advisor is gone; both outlive it.
  Advisor(memory::Table& table, AccessQueue& queue, const TablePolicy& in_office, const AdvisorOptions& options);
  ~Advisor();
  Advisor(const Advisor&) = delete;
  Advisor& operator=(const Advisor&) = delete;

  // Takes in what the queue has. `requests`: hits and fills of the table so far, sampled or not. The policy that should run.
  const TablePolicy& step(std::uint64_t requests);
  Report report() const;

 private:
  // A capacity that moved less is not told: the index's bytes go up and down.
  static constexpr double kCapacityStep = 0.02;

  void take_in();
  void count(std::uint64_t requests);
  void follow_capacity();

  memory::Table& table_;
  AccessQueue& queue_;
  const std::vector<Candidate> candidates_;
  std::uint64_t told_capacity_;
  shadow::Shadows shadows_;
  shadow::Chooser chooser_;
  double told_rate_;
  std::uint64_t requests_ = 0;
  std::uint64_t dropped_ = 0;
  bool counts_ = false;         // requests_ is known.
  std::uint64_t windows_ = 0;
  std::uint64_t changes_ = 0;
};

}  // namespace freshet::eviction::adaptive
