// For tests: every exact policy that does not look into the future, by name. May use eviction/exact.
#pragma once

#include <vector>

#include "eviction/exact/arc.h"
#include "eviction/exact/clock.h"
#include "eviction/exact/fifo.h"
#include "eviction/exact/gdsf.h"
#include "eviction/exact/lhd.h"
#include "eviction/exact/lirs.h"
#include "eviction/exact/lru.h"
#include "eviction/exact/s3_fifo.h"
#include "eviction/exact/sieve.h"
#include "eviction/exact/w_tiny_lfu.h"
#include "eviction/shadow/shadows.h"

namespace freshet::eviction::shadow {

// The four that the tests choose among.
inline std::vector<ShadowPolicy> few_policies() {
  return {{"lru", exact::make<exact::Lru>},
          {"s3fifo", exact::make<exact::S3Fifo>},
          {"sieve", exact::make<exact::Sieve>},
          {"lhd", exact::make<exact::Lhd>}};
}

inline std::vector<ShadowPolicy> all_policies() {
  std::vector<ShadowPolicy> policies = few_policies();
  policies.push_back({"fifo", exact::make<exact::Fifo>});
  policies.push_back({"clock", exact::make<exact::Clock>});
  policies.push_back({"wtinylfu", exact::make<exact::WTinyLfu>});
  policies.push_back({"arc", exact::make<exact::Arc>});
  policies.push_back({"lirs", exact::make<exact::Lirs>});
  policies.push_back({"gdsf", exact::make<exact::Gdsf>});
  return policies;
}

}  // namespace freshet::eviction::shadow
