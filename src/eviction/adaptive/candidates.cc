// See eviction/adaptive/candidates.h.
#include "eviction/adaptive/candidates.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "eviction/exact/gdsf.h"
#include "eviction/exact/lru.h"
#include "eviction/exact/s3_fifo.h"
#include "eviction/exact/sieve.h"
#include "eviction/exact/w_tiny_lfu.h"

namespace freshet::eviction::adaptive {
namespace {

// Measured over a full table; candidates_test.cc holds them.
constexpr std::uint32_t kGhostBytes = 12;
constexpr std::uint32_t kWTinyLfuBytes = 80;
constexpr std::uint32_t kGdsfBytes = 80;

template <typename Exact>
Candidate candidate(std::string_view name, std::uint32_t beside_bytes) {
  return {table_policy(name), {std::string(name), exact::make<Exact>, beside_bytes}};
}

}  // namespace

std::vector<Candidate> candidates() {
  return {candidate<exact::S3Fifo>(kDefaultPolicy, kGhostBytes), candidate<exact::Sieve>("sieve", 0),
          candidate<exact::Lru>("lru", 0), candidate<exact::WTinyLfu>("wtinylfu", kWTinyLfuBytes),
          candidate<exact::Gdsf>("gdsf", kGdsfBytes)};
}

bool is_candidate(const TablePolicy& policy) {
  return std::ranges::any_of(candidates(), [&](const Candidate& candidate) { return candidate.policy == &policy; });
}

}  // namespace freshet::eviction::adaptive
