// A heap of slots: the one with the greatest rank on top, any one's rank changed or removed in logarithmic time. Four
// children to a node: half the depth of a binary heap, and a node's children share a cache line or two. Several heaps may
// share the array of places, as a slot stands in at most one of them. May use policy.h only.
#pragma once

#include <cstddef>
#include <vector>

#include "base/growth.h"
#include "eviction/exact/policy.h"

namespace freshet::eviction::exact {

// Rank: anything with a total order by <. Equal ranks must not matter, or be made different by the caller.
template <typename Rank>
class SlotHeap {
 public:
  explicit SlotHeap(std::vector<std::uint32_t>& place) : place_(&place) {}

  bool empty() const { return nodes_.empty(); }
  Slot top() const { return nodes_.front().slot; }
  const Rank& top_rank() const { return nodes_.front().rank; }

  void insert(Slot slot, Rank rank) {
    make_room_for(*place_, slot);
    base::append(nodes_, {});
    rise(nodes_.size() - 1, {rank, slot});
  }
  void change(Slot slot, Rank rank) { settle((*place_)[slot], {rank, slot}); }
  void remove(Slot slot) {
    const std::size_t at = (*place_)[slot];
    const Node last = nodes_.back();
    nodes_.pop_back();
    if (at < nodes_.size()) settle(at, last);
  }
  Slot pop() {
    const Slot slot = top();
    remove(slot);
    return slot;
  }
  std::size_t bytes() const { return bytes_of(nodes_); }

 private:
  static constexpr std::size_t kChildren = 4;
  struct Node {
    Rank rank;
    Slot slot;
  };

  void put(std::size_t at, const Node& node) {
    nodes_[at] = node;
    (*place_)[node.slot] = static_cast<std::uint32_t>(at);
  }
  void settle(std::size_t at, const Node& node) {
    if (at > 0 && nodes_[(at - 1) / kChildren].rank < node.rank) return rise(at, node);
    sink(at, node);
  }
  void rise(std::size_t at, const Node& node) {
    while (at > 0) {
      const std::size_t parent = (at - 1) / kChildren;
      if (!(nodes_[parent].rank < node.rank)) break;
      put(at, nodes_[parent]);
      at = parent;
    }
    put(at, node);
  }
  void sink(std::size_t at, const Node& node) {
    for (;;) {
      const std::size_t first = at * kChildren + 1;
      if (first >= nodes_.size()) break;
      std::size_t best = first;
      for (std::size_t child = first + 1; child < first + kChildren && child < nodes_.size(); ++child) {
        if (nodes_[best].rank < nodes_[child].rank) best = child;
      }
      if (!(node.rank < nodes_[best].rank)) break;
      put(at, nodes_[best]);
      at = best;
    }
    put(at, node);
  }

  std::vector<Node> nodes_;
  std::vector<std::uint32_t>* place_;  // By slot: where in nodes_.
};

}  // namespace freshet::eviction::exact
