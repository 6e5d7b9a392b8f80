// Ownership of a node that is alone by construction: the embedded storage's directory is locked by its process, so every
// slot is this node's until it gives them up. May use base and ownership.
#pragma once

#include <mutex>

#include "ownership/ownership.h"

namespace freshet::ownership {

class SoloOwnership final : public Ownership {
 public:
  SoloOwnership();
  ~SoloOwnership() override;

  void listen(AssignmentListener listener) override;
  void release() override;
  OwnershipStatus status() const override;

 private:
  mutable std::recursive_mutex mutex_;  // A listener may ask for the status, or stop listening.
  AssignmentListener listener_;
  SliceRef handle_;  // Null once released.
};

}  // namespace freshet::ownership
