// The readings of one read of many keys, on their way. May use every room above cache.
#pragma once

#include <atomic>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cache/composed_engine.h"

namespace freshet::cache {

// Answered when the last part has arrived; the first error answers for all. Thread-safe.
struct ComposedEngine::Gathering {
  std::vector<Reading> readings;
  std::vector<std::size_t> places;       // Of the keys that went to the guarded collections' storage.
  std::vector<std::string> missed;       // Those keys.
  std::atomic<std::size_t> missing{0};   // Parts that have not arrived.
  std::mutex mutex;
  std::optional<Error> error;
  Callback<std::vector<Reading>> done;

  void fail(Error why) {
    {
      std::lock_guard lock(mutex);
      error = std::move(why);
    }
    arrive();
  }
  void arrive() {
    if (missing.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    if (error) return done(std::move(*error));
    done(std::move(readings));
  }
};

Reading reading_of(consistency::ObservedAnswer&& answer);

// What must wait in observed collections: keys of one promise go together.
struct ComposedEngine::ObservedMisses {
  struct Group {
    consistency::ReadPromise promise;
    std::vector<consistency::ObservedKey> keys;
    std::vector<std::size_t> places;
  };
  std::vector<Group> groups;

  Group& group_of(const consistency::ReadPromise& promise) {
    for (auto& group : groups) {
      if (group.promise == promise) return group;
    }
    return groups.emplace_back(Group{promise, {}, {}});
  }
};

}  // namespace freshet::cache
