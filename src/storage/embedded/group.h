// One group commit: many calls, one batch, one write of the log.
//
// The calls of a group are judged in their order. Each sees what the ones before it made of the keys (an overlay over what
// RocksDB holds) and of the guards. Only the commit thread runs groups, one at a time, and nothing else writes records: so
// what is read at the start of a group still holds at its end, and a guard replaced between two writes parts them exactly.
// Since nothing is acknowledged and nothing is visible to reads before the group's write has succeeded, no one can have seen
// a state that a failed write takes back.
//
// May use RocksDB and the room's own headers.
#pragma once

#include <rocksdb/write_batch.h>

#include <string>
#include <unordered_map>
#include <vector>

#include "storage/embedded/clock.h"
#include "storage/embedded/database.h"
#include "storage/embedded/guard_table.h"
#include "storage/embedded/mutation.h"
#include "storage/embedded/ticket.h"

namespace freshet::storage::embedded {

// Draws versions and says when the durable mark must grow.
class VersionSource {
 public:
  explicit VersionSource(Version first) : next_(first), mark_(first + kVersionsPerBlock) {}
  Version draw() { return next_++; }
  bool needs_mark() const { return next_ > mark_; }
  Version extend_mark() { return mark_ = next_ + kVersionsPerBlock; }

 private:
  Version next_;
  Version mark_;  // Every version below it may be drawn.
};

// What the commit thread owns.
struct CommitState {
  Database& database;
  DatabaseClock& clock;
  Durability durability;
  bool skip_guard_check;
  GuardTable guards;
  VersionSource versions;
};

class Group {
 public:
  explicit Group(CommitState& state) : state_(state) {}

  // Judges the tickets, writes, and leaves each its reply. An error: the write itself failed; the replies of all that it
  // concerns say so, and the database must not be written again.
  Result<void> commit(Tickets& tickets);

  // Whether anything was written that no sync has covered.
  bool left_unsynced() const { return left_unsynced_; }

 private:
  void admit(Ticket& ticket);
  void want(const std::string& key);
  void load();
  void evaluate(Ticket& ticket);
  void evaluate_write(Ticket& ticket, WriteCall& call);
  void evaluate_forget(const ForgetCall& call);
  Result<std::vector<Result<Effect>>> effects_of(const WriteRequest& request);
  void stage(const std::string& key, KeyState state);
  Result<void> write();

  CommitState& state_;
  std::vector<Ticket*> admitted_;
  std::vector<Ticket*> dependent_;  // Their replies stand only if the write succeeds; it may apply them in any case.
  std::vector<std::string> wanted_;
  // The latest state of each key read or written in this group, or why it could not be read.
  std::unordered_map<std::string, Result<KeyState>> overlay_;
  rocksdb::WriteBatch batch_;
  std::int64_t now_ms_ = 0;
  bool left_unsynced_ = false;
};

}  // namespace freshet::storage::embedded
