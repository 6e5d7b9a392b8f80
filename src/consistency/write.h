// A write on its way through GuardedCollection: shared by writing.cc and resolving.cc only.
#pragma once

#include "consistency/guarded_collection.h"

namespace freshet::consistency {

struct GuardedCollection::Write {
  std::vector<storage::Mutation> mutations;
  bool all_or_nothing = false;
  base::Nanoseconds deadline = 0;
  storage::Callback<storage::WriteReply> done;
  storage::OperationId operation;
  std::vector<WritePart> parts;  // One a mutation; registered from register_parts until they are settled.
  int attempts = 0;
};

}  // namespace freshet::consistency
