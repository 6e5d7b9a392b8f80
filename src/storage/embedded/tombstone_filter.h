// Forgets old tombstones while RocksDB compacts.
//
// A tombstone remembers the version and the operation of a delete until no operation in flight needs them. One process at a
// time has the directory, and an operation never outlives its process: so when a directory is opened, nobody needs the
// tombstones of the openings before. Versions do not depend on them either, since one counter serves all keys. Compaction
// rewrites those records anyway and simply leaves them out: no scan, no extra write, no thread.
//
// Sweeping at set_guard instead would be wrong: after a write with an unknown outcome its owner renews the guard and *then*
// looks for the operation id, which may stand in a tombstone. Tombstones of this opening go by Storage::forget alone, whose
// caller knows what is in flight.
//
// May use RocksDB and record.h.
#pragma once

#include <rocksdb/compaction_filter.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

#include "storage/embedded/record.h"

namespace freshet::storage::embedded {

class TombstoneFilter final : public rocksdb::CompactionFilter {
 public:
  explicit TombstoneFilter(std::shared_ptr<const std::atomic<Version>> needed_from)
      : needed_from_(std::move(needed_from)) {}

  const char* Name() const override { return "freshet.TombstoneFilter"; }
  // A record that cannot be decoded stays: whoever reads it must be told.
  bool Filter(int, const rocksdb::Slice&, const rocksdb::Slice& record, std::string*, bool*) const override {
    const auto head = decode_head({record.data(), record.size()});
    return head && !head->present && head->version < needed_from_->load(std::memory_order_relaxed);
  }

 private:
  std::shared_ptr<const std::atomic<Version>> needed_from_;
};

}  // namespace freshet::storage::embedded
