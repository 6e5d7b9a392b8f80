// Made-up traces: requests whose keys are Zipf-distributed, objects whose sizes are log-normal, scans in between, and habits
// that change on the way. The same options give the same requests. May use base only.
#pragma once

#include <cstdint>
#include <vector>

#include "base/random.h"
#include "base/zipf.h"
#include "trace/record.h"

namespace freshet::trace {

// How requests come for a while.
struct Habit {
  double until = 1;             // Ends at this share of all requests.
  std::uint64_t objects = 100'000;
  double skew = 0.9;            // Of the Zipf distribution, above 0.
  std::uint64_t first_object = 0;  // Objects are numbered from here: another number, other popular objects.
  double scan_share = 0;        // So many of the requests belong to scans: keys in a row, never asked for again.
  std::uint64_t scan_length = 1'000;
};

struct SyntheticOptions {
  std::uint64_t requests = 1'000'000;
  std::vector<Habit> habits{Habit{}};  // In the order of `until`; the last one lasts to the end.
  double size_median = 4'096;          // Bytes. An object's size is always the same.
  double size_sigma = 1;               // Of the logarithm; 0: all sizes are the median.
  std::uint32_t size_max = 1 << 20;
  std::uint32_t requests_per_s = 1'000;
  std::uint64_t seed = 1;
};

class Synthetic {
 public:
  explicit Synthetic(const SyntheticOptions& options);

  bool done() const { return number_ == options_.requests; }
  Record next();

 private:
  std::uint64_t next_object();
  std::uint32_t size_of(std::uint64_t object) const;

  const SyntheticOptions options_;
  std::vector<base::Zipf> zipfs_;  // By habit.
  base::Random random_;
  std::uint64_t number_ = 0;
  std::size_t habit_ = 0;
  std::uint64_t scan_left_ = 0;
  std::uint64_t scan_object_ = 0;
};

}  // namespace freshet::trace
