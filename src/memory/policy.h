// Who leaves when memory is full: the interface that memory owns and the eviction room implements. May use base only.
//
// The contract. Each shard has a policy of its own and calls it under the shard's lock, so a policy needs no lock and must
// not call the table, block, or allocate on a hit. A policy knows exactly the entries of its shard: those announced by
// on_insert (or on_replace) and not yet taken back by on_erase, on_replace or take_victim. It keeps them through what
// entries offer for it (EntryList or slot(), frequency(), queue()) and never holds a reference: an entry that it was told to
// forget may be freed at once. Bytes are Entry::footprint().
//
// A policy may mark an entry of its own as settled: on_hit would change nothing. Hits on it may then be taken without the
// shard's lock and without telling the policy. Whatever changes that takes the mark away; a new entry has none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "base/policy_fact.h"
#include "memory/entry.h"

namespace freshet::memory {

using base::PolicyFact;

class EvictionPolicy {
 public:
  virtual ~EvictionPolicy() = default;

  // A new key is about to come in; room has not been made yet. False: the policy would rather not have it.
  virtual bool admit(std::uint64_t hash, std::size_t bytes) = 0;
  // It comes in. There is room for it already: the shard evicts first.
  virtual void on_insert(Entry& entry) = 0;
  // A read found the entry. On the path of every hit: a few nanoseconds.
  virtual void on_hit(Entry& entry) = 0;
  // The key's value has changed: `replacement` stands for `earlier` from now on, and `earlier` is forgotten.
  virtual void on_replace(Entry& earlier, Entry& replacement) = 0;
  // The entry leaves for another reason than room (outdated, expired, dropped): forget it.
  virtual void on_erase(Entry& entry) = 0;
  // Chooses who leaves for room, and forgets it. Null only if the policy knows no entry.
  virtual Entry* take_victim() = 0;

  // What the entries may take: the shard's bytes less those of its index and of the policy. At first: all of them.
  virtual void set_capacity(std::size_t bytes) = 0;
  // What the policy itself keeps beside the entries (ghosts, arrays): counted in the shard's bytes. It shrinks to nothing as
  // take_victim empties the policy, so that any bound can be met.
  virtual std::size_t overhead_bytes() const = 0;
  // To look into: what the policy has learnt, if it is one that learns.
  virtual std::vector<PolicyFact> describe() const { return {}; }
};

using PolicyFactory = std::function<std::unique_ptr<EvictionPolicy>(std::size_t shard_capacity_bytes)>;

}  // namespace freshet::memory
