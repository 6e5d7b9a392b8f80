// A write on its way through GuardedCollection: shared by writing.cc and resolving.cc only.
#pragma once

#include "consistency/guarded_collection.h"
#include "consistency/key_locks.h"

namespace freshet::consistency {

struct GuardedCollection::Write {
  std::vector<storage::Mutation> mutations;
  bool all_or_nothing = false;
  base::Nanoseconds deadline = 0;
  storage::Callback<storage::WriteReply> done;
  storage::OperationId operation;
  std::vector<WritePart> parts;  // One a key; registered from register_parts until they are settled.
  std::vector<std::size_t> part_of;  // Each mutation's.
  // Of a transaction: its locks, and the keys that it has read and does not write.
  std::shared_ptr<KeyLocks> locks;
  std::vector<WritePart> read_parts;
  // Of guards that are lent: called instead of sending it, once it is registered.
  std::function<void()> lent;
  int attempts = 0;
  bool had_its_turn = false;         // It was held back, and is next.
};

}  // namespace freshet::consistency
