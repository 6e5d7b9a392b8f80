// See eviction/policies.h.
#include "eviction/policies.h"

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "base/config_values.h"
#include "base/random.h"
#include "eviction/carried.h"
#include "eviction/clock.h"
#include "eviction/exact/arc.h"
#include "eviction/exact/gdsf.h"
#include "eviction/exact/lhd.h"
#include "eviction/exact/lirs.h"
#include "eviction/exact/w_tiny_lfu.h"
#include "eviction/fifo.h"
#include "eviction/learning.h"
#include "eviction/lru.h"
#include "eviction/s3_fifo.h"
#include "eviction/sieve.h"

namespace freshet::eviction {
namespace {

template <typename Policy>
memory::ShardPolicy own(std::size_t /*shard_capacity_bytes*/) {
  return std::make_unique<Policy>();
}

template <typename Exact>
memory::ShardPolicy carry(std::size_t shard_capacity_bytes) {
  return std::make_unique<Carried>([] { return exact::make<Exact>(base::entropy()); }, shard_capacity_bytes);
}

template <gl_cache::Settings (*kSettings)()>
memory::ShardPolicy learn(std::size_t /*shard_capacity_bytes*/) {
  return make_gl_cache(kSettings(), gl_cache::LearningThread::of_process());
}

}  // namespace

std::span<const TablePolicy> table_policies() {
  static const std::array policies{
      TablePolicy{"fifo", "FIFO", own<Fifo>},
      TablePolicy{"lru", "LRU", own<Lru>},
      TablePolicy{"clock", "CLOCK", own<Clock>},
      TablePolicy{"sieve", "SIEVE", own<Sieve>},
      TablePolicy{kDefaultPolicy, "S3-FIFO", own<S3Fifo>},
      TablePolicy{"wtinylfu", "W-TinyLFU", carry<exact::WTinyLfu>},
      TablePolicy{"arc", "ARC", carry<exact::Arc>},
      TablePolicy{"lirs", "LIRS", carry<exact::Lirs>},
      TablePolicy{"lhd", "LHD", carry<exact::Lhd>},
      TablePolicy{"gdsf", "GDSF", carry<exact::Gdsf>},
      TablePolicy{"glcache", "GL-Cache", learn<gl_cache::for_objects>},
      TablePolicy{"glcachebytes", "GL-Cache, bytes", learn<gl_cache::for_bytes>},
  };
  return policies;
}

const TablePolicy* table_policy(std::string_view name) {
  const auto policies = table_policies();
  const auto found = std::ranges::find(policies, name, &TablePolicy::name);
  return found == policies.end() ? nullptr : &*found;
}

Result<void> check_policy_name(std::string_view name) {
  if (name == kAutomaticPolicy || table_policy(name)) return {};
  std::vector<std::string_view> names{kAutomaticPolicy};
  for (const TablePolicy& policy : table_policies()) names.push_back(policy.name);
  return base::unknown_name("eviction policy", name, names);
}

}  // namespace freshet::eviction
