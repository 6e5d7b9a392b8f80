// See eviction/learning.h.
#include "eviction/learning.h"

#include <utility>

#include "base/random.h"
#include "eviction/segment_gl_cache.h"

namespace freshet::eviction {

using gl_cache::LearningThread;

memory::ShardPolicy make_gl_cache(const gl_cache::Settings& settings, std::shared_ptr<LearningThread> thread) {
  auto make_learner = [thread = std::move(thread)] { return LearningThread::make_learner(thread); };
  std::unique_ptr<memory::GroupingPolicy> policy =
      std::make_unique<SegmentGlCache>(settings, std::move(make_learner), base::entropy());
  return policy;
}

}  // namespace freshet::eviction
