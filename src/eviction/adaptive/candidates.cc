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

// Measured over a full table, with what its segments have free; candidates_test.cc holds them.
constexpr std::uint32_t kFreeBytes = 4;
constexpr std::uint32_t kGhostBytes = 20;
constexpr std::uint32_t kLruBytes = 34;
constexpr std::uint32_t kWTinyLfuBytes = 62;
constexpr std::uint32_t kGdsfBytes = 57;

template <typename Exact>
Candidate candidate(std::string_view name, std::uint32_t beside_bytes) {
  return {table_policy(name), {std::string(name), exact::make<Exact>, beside_bytes}};
}

}  // namespace

std::vector<Candidate> candidates() {
  return {candidate<exact::S3Fifo>(kDefaultPolicy, kGhostBytes), candidate<exact::Sieve>("sieve", kFreeBytes),
          candidate<exact::Lru>("lru", kLruBytes), candidate<exact::WTinyLfu>("wtinylfu", kWTinyLfuBytes),
          candidate<exact::Gdsf>("gdsf", kGdsfBytes)};
}

bool is_candidate(const TablePolicy& policy) {
  return std::ranges::any_of(candidates(), [&](const Candidate& candidate) { return candidate.policy == &policy; });
}

}  // namespace freshet::eviction::adaptive
