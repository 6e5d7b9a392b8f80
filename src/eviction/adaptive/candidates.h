// The policies that a table chooses among by itself (policy = auto). May use eviction and eviction/shadow.
//
// Five that differ in what they are good at: S3-FIFO and SIEVE (objects used once), LRU (recency), W-TinyLFU (lasting
// popularity, loops), GDSF (sizes that vary). The others are like one of these, cost more memory (ARC, LIRS), or cannot be
// judged by a sample (LHD learns from as many requests as a sample sees in an hour). Each more would cost the shadows a
// fifth more.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "eviction/policies.h"
#include "eviction/shadow/shadows.h"

namespace freshet::eviction::adaptive {

struct Candidate {
  const TablePolicy* policy;
  shadow::ShadowPolicy shadow;
};

// The default policy is the first.
std::vector<Candidate> candidates();
bool is_candidate(const TablePolicy& policy);

}  // namespace freshet::eviction::adaptive
