// GL-Cache as a policy of the table (eviction/segment_gl_cache.h), taught by a thread that all shards share. May use memory
// and eviction/gl_cache.
#pragma once

#include <cstddef>
#include <memory>

#include "eviction/gl_cache/settings.h"
#include "eviction/gl_cache/shared_learner.h"
#include "memory/policy.h"

namespace freshet::eviction {

// The policy holds the thread, so that a cache that ends under its shard's lock is never the last to do so.
memory::ShardPolicy make_gl_cache(const gl_cache::Settings& settings, std::shared_ptr<gl_cache::LearningThread> thread);

}  // namespace freshet::eviction
