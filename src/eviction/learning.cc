// See eviction/learning.h.
#include "eviction/learning.h"

#include <utility>

#include "base/random.h"
#include "eviction/carried.h"
#include "eviction/gl_cache/gl_cache.h"

namespace freshet::eviction {

using gl_cache::GlCache;
using gl_cache::LearningThread;

memory::ShardPolicy carry_gl_cache(const gl_cache::Settings& settings, std::shared_ptr<LearningThread> thread,
                                   std::size_t shard_capacity_bytes) {
  auto make = [settings = gl_cache::for_shard(settings, shard_capacity_bytes), thread = std::move(thread)] {
    return std::make_unique<GlCache>(settings, LearningThread::make_learner(thread), base::entropy());
  };
  return std::make_unique<Carried>(std::move(make), shard_capacity_bytes);
}

}  // namespace freshet::eviction
