// The table of cached entries: sharded by hash, bounded by bytes, callable from any thread. Each shard has one small lock;
// a visit holds it, a copy mostly does without. Entries stand in segments, at a dozen bytes beside key and value, and are
// found by an index at nine more (docs/MEMORY.md).
//
// Memory knows nothing of consistency: who may be served is judged by whoever visits, from the entry's witness. Who leaves
// when memory is full is asked of a policy (memory/policy.h), which the eviction room implements.
//
// Each shard has an equal part of the capacity, in segments of about a hundredth of that. What a reader has pinned is its
// own: it does not count, so that a reader who keeps pins cannot empty the cache.
// May use memory/mapped.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/function_ref.h"
#include "base/key_sample.h"
#include "memory/access_listener.h"
#include "memory/entry.h"
#include "memory/mapped/segment_pool.h"
#include "memory/policy.h"
#include "memory/shard.h"
#include "memory/witness.h"

namespace freshet::memory {

struct TableOptions {
  std::size_t capacity_bytes = 1ull << 30;  // Everything counted: segments, index, and what the policies keep.
  unsigned shards = 256;                    // A power of two.
  std::size_t value_bytes_max = 1ull << 20; // Larger values are not taken.
  PolicyFactory policy;                     // Makes one policy a shard.
};

struct TableStats {
  std::uint64_t entries = 0;
  std::uint64_t bytes = 0;
  std::uint64_t entry_bytes = 0;  // Of these: records, and values outside of the segments;
  std::uint64_t index_bytes = 0;
  std::uint64_t policy_bytes = 0;  // what the policies keep beside. The rest is what segments have free or dead.
  std::uint64_t capacity_bytes = 0;
  std::uint64_t inserted = 0;
  std::uint64_t evicted = 0;    // By the policy, for room.
  std::uint64_t erased = 0;
  std::uint64_t too_large = 0;  // Not taken.
  std::uint64_t declined = 0;   // Not taken: the policy would rather not have them.
};

class Table {
 public:
  // An entry larger than a shard divided by this is not taken: it would push out too much of what shares its shard.
  static constexpr std::size_t kEntriesAShardMin = 2;
  // Of its shard a segment is about one in so many parts: one is half full, one is spare.
  static constexpr std::size_t kSegmentsAShard = 128;

  // What an entry costs, about: its record, and its part of the index.
  static std::size_t bytes_of(std::size_t key_bytes, std::size_t value_bytes) {
    return kBytesBeside + key_bytes + value_bytes;
  }

  explicit Table(TableOptions options);
  ~Table();

  // Calls visitor(const Entry&) under the shard's lock, and counts an access unless it returns false: it did not take the
  // value. Returns whether the key was found and taken. The visitor must be short (copy and return) and must not call the
  // table.
  template <typename Visit>
  bool visit(std::string_view key, std::uint64_t hash, Visit&& visitor) {
    const bool sampled = is_sampled(hash);
    std::size_t bytes = 0;
    const bool taken = shard_of(hash).visit(key, hash, [&](const Entry& entry) {
      if (sampled) [[unlikely]] bytes = bytes_of(key.size(), entry.value().size());
      return visitor(entry);
    });
    if (sampled && taken) [[unlikely]] tell({AccessKind::read, hash, bytes});
    return taken;
  }
  // Likewise, but counts no access: for those who look after the entries and do not read them.
  template <typename Visit>
  bool inspect(std::string_view key, std::uint64_t hash, Visit&& visitor) const {
    return shard_of(hash).inspect(key, hash, std::forward<Visit>(visitor));
  }
  // Copies the value into `to`, if it fits, and says in `copied` what it is of; false, and `to` undefined, if there is no
  // such entry, its value is no string, or is_current(const Witness*, expires_at_ms) says no. Takes the shard's lock only
  // for the policy's sake, for large values and hashes, or if the shard keeps changing; counts an access where the policy
  // cares. `is_current` may be asked several times, and about a witness that has ended meanwhile: it reads of it by peek
  // only (memory/mapped/unlocked_read.h), and then the answer does not count.
  template <typename IsCurrent>
  bool copy(std::string_view key, std::uint64_t hash, std::span<char> to, EntryCopy& copied, const IsCurrent& is_current) {
    return copy_judged(key, hash, to, copied, [&]() -> const IsCurrent& { return is_current; });
  }
  // The same, and `judge()` returns is_current: it is called once or twice, first when the index has been read and the entry
  // has not.
  template <typename Judge>
  bool copy_judged(std::string_view key, std::uint64_t hash, std::span<char> to, EntryCopy& copied, const Judge& judge) {
    const bool found = shard_of(hash).copy(key, hash, to, copied, judge);
    if (found && is_sampled(hash)) [[unlikely]] {
      tell({AccessKind::read, hash, bytes_of(key.size(), copied.value_bytes)});
    }
    return found;
  }
  // The entry, as a copy that is the caller's (a large value is shared); null if it is absent, or is_current(const Entry&)
  // says no. Counts an access.
  template <typename IsCurrent>
  EntryRef pin(std::string_view key, std::uint64_t hash, IsCurrent&& is_current) {
    EntryRef pinned;
    visit(key, hash, [&](const Entry& entry) {
      if (is_current(entry)) pinned = entry.pin();
      return pinned != nullptr;
    });
    return pinned;
  }
  EntryRef pin(std::string_view key, std::uint64_t hash) {
    return pin(key, hash, [](const Entry&) { return true; });
  }
  // Caches an entry in place of the key's earlier one, evicting others for room. False if it is too large, or the
  // policy declines it. The earlier entry has left in either case: an insert says that it is outdated.
  bool insert(const NewEntry& entry);
  bool erase(std::string_view key, std::uint64_t hash);
  // Erases every entry for which `leaves` holds; one shard at a time. Returns how many left. `leaves` is called under the
  // shard's lock, once for each entry that is there throughout, and must not call the table.
  std::size_t erase_if(base::FunctionRef<bool(const Entry&)> leaves);
  // Brings what the index holds for `hash` towards the processor's cache: for batches.
  void prefetch(std::uint64_t hash) const { shard_of(hash).prefetch(hash); }
  // The second round of a batch, once prefetch was called for all of it: brings the entry itself. A hit then waits for
  // memory hardly at all. Counts no access.
  void prefetch_entry(std::uint64_t hash) const { shard_of(hash).prefetch_entry(hash); }
  // Evicts what no longer fits before it returns. If the segments are far too large or too small for it, the entries move
  // into others; a shard is locked for as long as that takes, some 50 ns an entry.
  void set_capacity(std::size_t bytes);
  // Every shard's policy is replaced by one that `make` returns; nothing is evicted for it but what the new policy's own
  // bytes take. A shard is locked for as long as its entries take to be moved, and has them twice meanwhile.
  void set_policy(const PolicyFactory& make);
  // Every access to a key of the sample is told to the listener from now on, until this is called again; the listener must
  // outlive the table. One at a time. Null: to nobody.
  void listen(AccessListener* listener, base::KeySample sample);
  TableStats stats() const;
  // What the shards' policies tell of themselves, put together; nothing with most policies.
  std::vector<PolicyFact> describe_policy() const;

 private:
  bool is_sampled(std::uint64_t hash) const {
    return base::KeySample::takes(hash, sample_threshold_.load(std::memory_order_relaxed));
  }
  // If segments are so many times too large or too small for a new capacity, the entries move.
  static constexpr std::size_t kSegmentStretch = 4;
  static constexpr std::size_t kIndexBytes = 9;  // Of one record, about.
  static constexpr std::size_t kBytesBeside = segments::Record::kHeadBytesUsual + kIndexBytes;
  static std::size_t segment_bytes_for(std::size_t shard_bytes);
  [[gnu::cold]] void tell(const KeyAccess& access) const;
  // The hash's high bits; the index uses its low ones.
  Shard& shard_of(std::uint64_t hash) const { return shards_[(hash >> 1) >> shard_shift_]; }

  const unsigned shard_count_;
  const unsigned shard_shift_;  // 63 less the bits of shard_count_.
  const std::size_t value_bytes_max_;
  std::atomic<std::size_t> capacity_bytes_;
  std::atomic<std::uint64_t> sample_threshold_{0};  // Of base::KeySample; beside what every access reads.
  std::atomic<AccessListener*> listener_{nullptr};
  std::mutex changes_;  // Of capacity and policy: lets one finish before the next.
  std::shared_ptr<SegmentPool> pool_;
  const std::unique_ptr<Shard[]> shards_;
};

}  // namespace freshet::memory
