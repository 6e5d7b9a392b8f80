// The embedded database: storage::Storage over RocksDB in a directory of this machine, for one process at a time.
//
// Who does what:
//   Committer  one thread orders all writes and guards, in groups that share one sync of the log (group.h)
//   ReadPool   a few threads read what is not in memory; what is, the caller's own thread reads at once
//   Keeper     answers calls whose deadline passes while the disk is slow; syncs the log behind relaxed writes
//
// Guards live in memory: opening the storage voids them all, and every slot refuses writes until set_guard has named its
// token. The identity's started_at differs for each opening, so that caches above notice.
//
// May use RocksDB, storage's interface and base.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "freshet/result.h"
#include "storage/embedded/clock.h"
#include "storage/embedded/options.h"
#include "storage/storage.h"

namespace freshet::storage::embedded {

class Committer;
class Database;
class Keeper;
class ReadPool;

// Behind relaxed writes the log is synced this often.
inline constexpr base::Nanoseconds kRelaxedSyncInterval = base::kSecond;
// How late a call may be answered after its deadline, beside scheduling.
inline constexpr base::Nanoseconds kDeadlineSlack = 20 * base::kMillisecond;
// Reads of at most this many keys are tried in memory on the caller's thread...
inline constexpr std::size_t kInlineKeysMax = 16;
// ...unless that many callbacks already stand on its stack: a callback that reads again must not recurse without end.
inline constexpr int kInlineDepthMax = 4;

class EmbeddedStorage final : public Storage {
 public:
  // Errors: invalid_argument, unavailable (the directory is in use, or cannot be read or written), corrupted, unsupported.
  static Result<std::unique_ptr<EmbeddedStorage>> open(const EmbeddedOptions& options);
  ~EmbeddedStorage() override;

  void read(std::vector<std::string> keys, base::Nanoseconds deadline, Callback<ReadReply> done) override;
  void write(WriteRequest request, Callback<WriteReply> done) override;
  void set_guard(base::SlotRange range, Token token, base::Nanoseconds deadline, Callback<void> done) override;
  void scan(std::uint64_t position, std::size_t limit, base::Nanoseconds deadline, Callback<ScanReply> done) override;
  void count(base::Nanoseconds deadline, Callback<KeyCount> done) override;
  void split_points(base::SlotRange range, int parts, base::Nanoseconds deadline,
                    Callback<std::vector<base::Slot>> done) override;
  void forget(std::vector<Tombstone> tombstones) override;
  void health(base::Nanoseconds deadline, Callback<Health> done) override;

 private:
  EmbeddedStorage(std::unique_ptr<Database> database, const EmbeddedOptions& options);
  bool look_after_calls();

  DatabaseClock clock_;
  std::unique_ptr<Database> database_;
  Identity identity_;
  base::Nanoseconds synced_at_ = 0;  // The keeper's.
  std::unique_ptr<Committer> committer_;
  std::unique_ptr<ReadPool> reads_;
  std::unique_ptr<Keeper> keeper_;
};

}  // namespace freshet::storage::embedded
