// Ownership as a test wants it: slices that move between the nodes of one process at will, announced in order or by a lease
// that runs out unnoticed. The rules of real ownership hold: a slice has one owner at a time, and a new owner gets it
// only when the old one's handle is revoked or past its deadline.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "ownership/ownership.h"

namespace freshet::testing {

class Fleet {
 public:
  enum class Manner {
    announced,     // The old owner is told first.
    revoked_late,  // The old owner's handle ends first; it is told after the new owner.
    lapsed,        // The old owner's lease runs out; it is told after the new owner.
  };

  // Slices of equal size, all owned by node 0 at first. Leases are renewed in the background.
  Fleet(int nodes, int slices, base::Nanoseconds lease);
  ~Fleet();

  // The node's view, for its engine. The fleet outlives it.
  std::unique_ptr<ownership::Ownership> member(int node);

  int slice_of(base::Slot slot) const { return slot / slots_a_slice_; }
  int owner_of(int slice);
  // Moves a slice; returns once the new owner was told (and the old one).
  void move(int slice, int to, Manner manner);
  std::uint64_t moves();

  // For scripts: takes the slice from its owner without telling it, and back-dates nothing: waits until the lease is out.
  void let_lapse(int slice);
  // Gives an ownerless slice to a node, and tells it.
  void give(int slice, int to);
  // Tells a node that slices which it once had are gone.
  void tell_losses(int node);

 private:
  class Member;
  struct Slice {
    std::mutex moving;                 // One move at a time.
    int owner = -1;
    ownership::SliceRef handle;
    bool frozen = false;               // Its lease is not renewed.
  };

  void renew();
  ownership::SliceRef new_handle(int slice);
  void tell(int node, const std::function<ownership::AssignmentChange()>& make);

  const int slots_a_slice_;
  const base::Nanoseconds lease_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<Slice>> slices_;
  std::vector<Member*> members_;
  std::vector<std::vector<ownership::SliceRef>> untold_;  // By node: lost, and not told.
  std::uint64_t periods_ = 0;
  std::uint64_t moves_ = 0;
  bool stopping_ = false;
  std::thread renewer_;
};

}  // namespace freshet::testing
