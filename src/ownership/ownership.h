// Which slices this node owns, as the consistency room sees it. Implementations: SoloOwnership (embedded storage, alone by
// the directory's lock), PostgresLease (alone by a lease in the database); the sharding issue adds etcd.
//
// May use base, memory (Witness) and storage.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ownership/slice_handle.h"

namespace freshet::ownership {

// A change of what this node owns. Calls to the listener are serialized, and a removed handle is already revoked.
struct AssignmentChange {
  std::vector<SliceRef> removed;
  std::vector<SliceRef> added;
};

using AssignmentListener = std::function<void(const AssignmentChange&)>;

struct OwnershipStatus {
  std::string kind;          // "solo", "postgres", "etcd".
  std::string holder;        // Who owns, when it is not this node and is known.
  std::uint64_t period = 0;  // This node's current period; 0: none.
  std::string detail;        // One sentence for people.
};

class Ownership {
 public:
  virtual ~Ownership() = default;

  // Calls the listener with what is owned already (as added), and from then on with every change, from a thread of its own
  // or of the caller. At most one listener. Returns once no further call can begin if the listener is empty.
  virtual void listen(AssignmentListener listener) = 0;

  // Gives everything up in order: revokes the handles, tells the listener, then releases the lease.
  virtual void release() = 0;

  virtual OwnershipStatus status() const = 0;
};

}  // namespace freshet::ownership
