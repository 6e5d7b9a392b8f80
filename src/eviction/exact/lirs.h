// LIRS: low inter-reference recency set. Jiang, Zhang: "LIRS: an efficient low inter-reference recency set replacement
// policy to improve buffer cache performance", SIGMETRICS 2002.
//
// An object read twice within a short distance is *hot* (LIR), any other is *cold* (HIR). Hot ones have 99 hundredths of the
// bytes. The stack S holds the recently used: hot ones, cold ones, and cold ones that have left (their keys only); its
// bottom is always hot, what lies below is cut off (pruned). The queue Q holds the cold ones that are cached.
//   Room: Q's head leaves. If it is in S it stays there as a ghost. With Q empty, S's bottom turns cold first.
//   A hit on a hot object moves it to S's top. On a cold one in S it makes it hot; one that is not in S stays cold, goes to
//   S's top and to Q's tail.
//   A miss on a ghost comes in hot; any other new object cold, or hot while the hot ones have room.
//   When hot ones exceed their part, S's bottom turns cold and goes to Q's tail.
// S holds at most twice the cache's bytes: beyond, the oldest ghosts are forgotten (the paper sets no limit).
//
// Time: a hit moves nodes of linked lists. Memory: 70 to 140 bytes an object or ghost.
// May use this room's slot_list.h.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "eviction/exact/slot_list.h"

namespace freshet::eviction::exact {

class Lirs final : public Policy {
 public:
  static constexpr std::uint64_t kColdPart = 100;    // One byte in so many is for cold objects.
  static constexpr std::uint64_t kStackTimes = 2;    // S holds the cache's bytes so many times.

  Lirs() = default;
  Lirs(const Lirs&) = delete;
  Lirs& operator=(const Lirs&) = delete;

  bool on_miss(const Access& access) override;
  void on_insert(Slot slot, const Access& access) override;
  void on_hit(Slot slot, const Access& access) override;
  void on_resize(Slot slot, std::uint32_t size) override;
  void on_erase(Slot slot) override;
  Slot take_victim() override;
  void set_capacity(std::uint64_t bytes) override;
  std::size_t overhead_bytes() const override;

 private:
  // Nodes outlive their slots, as ghosts; lists are lists of nodes.
  using NodeId = std::uint32_t;
  enum class Kind : std::uint8_t { hot, cold, ghost };
  struct Node {
    std::uint64_t key;
    std::uint32_t size;
    Slot slot;
    Kind kind;
    bool in_stack;
  };

  std::size_t node_count() const { return nodes_.size() - free_nodes_.size(); }
  NodeId new_node(Slot slot, const Access& access);
  void drop_node(NodeId node);
  void stack_to_top(NodeId node);
  void leave_stack(NodeId node);
  void make_hot(NodeId node);
  // Hot ones within their part, and S's bottom hot.
  void settle();
  void cool_bottom();
  void prune();
  void limit_stack();

  std::vector<Node> nodes_;
  std::vector<NodeId> free_nodes_;
  std::vector<NodeId> node_of_;  // By slot.
  SlotLinks stack_links_, queue_links_;
  SlotList stack_{stack_links_};
  SlotList queue_{queue_links_};   // New at the front, the head of the paper's Q at the back.
  SlotList ghosts_{queue_links_};  // The same way round; a ghost is not in Q.
  std::unordered_map<std::uint64_t, NodeId> ghost_of_;
  std::uint64_t capacity_ = 0;
  std::uint64_t hot_bytes_ = 0;
  std::uint64_t hot_bytes_max_ = 0;
  std::uint64_t stack_bytes_ = 0;
};

}  // namespace freshet::eviction::exact
