// Client-side caching: which client has read which keys, and what its worker should tell it. A key is remembered before it
// is read; whoever changes it calls afterwards. So either the reader finds the new value, or the change finds the reader.
//
// The table is bounded: a key that has to go is told as changed, which is always true enough. What waits for one client is
// bounded too: too many keys become "everything". Thread-safe; the calls of ChangeWatcher take locks for a moment only.
// May use consistency.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "consistency/observed/follower.h"

namespace freshet::server {

// What a client must drop from its own cache.
struct Invalidation {
  bool everything = false;  // Then no keys are named.
  std::vector<std::string> keys;
  std::size_t bytes = 0;    // Of the keys.

  bool empty() const { return !everything && keys.empty(); }
  void add(std::string_view key);
  void add_everything();
};

// Of the keys that wait to be told to one client, each with kTrackedKeyBytes: beyond it everything is told.
inline constexpr std::size_t kInvalidationBytesMax = 1 << 20;
// Of the keys remembered for all clients together, with what the table takes for each.
inline constexpr std::size_t kTrackedBytesMax = 256 << 20;
inline constexpr std::size_t kTrackedKeyBytes = 128;    // What a key takes beside its own bytes, about.
inline constexpr std::size_t kTrackedReaderBytes = 8;

struct TrackingStats {
  std::uint64_t clients = 0;       // Clients that track,
  std::uint64_t prefixes = 0;      // and the prefixes of those that broadcast.
  std::uint64_t keys = 0;          // Keys remembered.
  std::uint64_t bytes = 0;
  std::uint64_t invalidations = 0; // Keys told, once for each client.
  std::uint64_t flushes = 0;       // "Everything" told.
  std::uint64_t evicted = 0;       // Keys told for want of room.
};

// The worker that a client belongs to.
inline std::size_t worker_of(std::uint64_t client, std::size_t workers) {
  return static_cast<std::size_t>((client - 1) % workers);
}

class Tracking final : public consistency::ChangeWatcher {
 public:
  // `wake` is called, from any thread, when there is something for a worker: it should take() it soon.
  using Wake = std::function<void(std::size_t worker)>;
  Tracking(std::size_t workers, Wake wake, std::size_t tracked_bytes_max = kTrackedBytesMax);

  // The client tracks; with prefixes it is told of every key that begins with one of them, read or not. Again: replaces
  // them.
  void join(std::uint64_t client, std::vector<std::string> prefixes);
  void leave(std::uint64_t client);
  // Before the client reads the key.
  void remember(std::string_view key, std::uint64_t client);
  // What has come for the worker's clients since its last call.
  std::unordered_map<std::uint64_t, Invalidation> take(std::size_t worker);

  // After the change can be read.
  void on_changed(std::string_view key) override;
  void on_collection_changed(std::string_view collection) override;
  void on_everything_changed() override;

  TrackingStats stats() const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  template <typename Value>
  using ByName = std::unordered_map<std::string, Value, Hash, std::equal_to<>>;
  using Readers = std::vector<std::uint64_t>;  // Ascending.
  // The keys of one prefix, which change together when their collection does.
  struct Group {
    ByName<Readers> keys;
    std::size_t bytes = 0;
  };
  struct Shard {
    mutable std::mutex mutex;
    ByName<Group> groups;
    std::size_t bytes = 0;
    std::size_t keys = 0;
  };
  // What has come for a worker.
  struct Inbox {
    std::mutex mutex;
    std::unordered_map<std::uint64_t, Invalidation> clients;
    std::vector<std::shared_ptr<const std::vector<Group>>> groups;  // Every reader of theirs is to be told.
    bool woken = false;
  };
  static constexpr std::size_t kShards = 64;

  Shard& shard_of(std::string_view key) { return shards_[Hash()(key) % kShards]; }
  bool nobody() const;
  // Takes a key out of its shard, whose lock is held.
  Readers take_key(Shard& shard, ByName<Group>::iterator group, ByName<Readers>::iterator key);
  template <typename Add>
  void tell(std::uint64_t client, Add add);
  // Puts the groups where every worker will look through them.
  void tell_readers_of(std::vector<Group> groups);

  const Wake wake_;
  const std::size_t shard_bytes_max_;
  std::array<Shard, kShards> shards_;
  std::vector<Inbox> inboxes_;  // One a worker.
  mutable std::mutex clients_mutex_;
  std::unordered_map<std::uint64_t, std::vector<std::string>> clients_;  // With their prefixes.
  mutable std::atomic<std::size_t> client_count_{0};
  std::atomic<std::uint64_t> invalidations_{0}, flushes_{0}, evicted_{0};
};

}  // namespace freshet::server
