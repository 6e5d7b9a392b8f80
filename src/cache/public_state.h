// What the files of the public C++ API share: the engine behind a Cache, and its options as the engine takes them. May use
// cache.
#pragma once

#include <algorithm>
#include <functional>
#include <future>
#include <memory>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "cache/engine.h"
#include "freshet/cache.h"

namespace freshet {

// The longest durations stay the longest.
inline base::Nanoseconds nanoseconds(std::chrono::milliseconds duration) {
  if (duration.count() >= base::kForever / base::kMillisecond) return base::kForever;
  return std::max(duration.count(), -base::kForever / base::kMillisecond) * base::kMillisecond;
}

inline base::Nanoseconds deadline_of(std::chrono::milliseconds duration) {
  return duration.count() == 0 ? base::kForever : base::deadline_after(base::now(), nanoseconds(duration));
}

cache::ReadOptions read_options(const ReadOptions& options);

// Runs an asynchronous call for its future.
template <typename T, typename Start>
std::future<Result<T>> future_of(Start start) {
  auto promise = std::make_shared<std::promise<Result<T>>>();
  auto future = promise->get_future();
  start([promise](Result<T> result) { promise->set_value(std::move(result)); });
  return future;
}

struct Cache::State {
  std::unique_ptr<cache::Engine> engine;

  static std::optional<Error> fault_of(const WriteOptions& options) {
    if (options.expires_after.count() >= 0) return std::nullopt;
    return Error::of(ErrorCode::invalid_argument, fmt::format("expires_after is {} ms", options.expires_after.count()),
                     "a key expires after at least 1 ms, or never (0); erase it if it is to go now");
  }

  void write(storage::Mutation mutation, const WriteOptions& options,
             std::function<void(Result<storage::MutationOutcome>)> done) {
    if (auto fault = fault_of(options)) return done(*std::move(fault));
    std::vector<storage::Mutation> mutations;
    mutations.push_back(std::move(mutation));
    engine->write(std::move(mutations), false, deadline_of(options.deadline),
                  [done = std::move(done)](Result<storage::WriteReply> reply) {
                    if (!reply) return done(std::move(reply).error());
                    done(std::move(reply->front()));
                  });
  }
};

}  // namespace freshet
