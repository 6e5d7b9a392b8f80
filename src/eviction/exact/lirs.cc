// See eviction/exact/lirs.h.
#include "eviction/exact/lirs.h"

#include <algorithm>

#include "base/growth.h"

namespace freshet::eviction::exact {

bool Lirs::on_miss(const Access& access) {
  const bool too_large = access.size > capacity_ - hot_bytes_max_ && node_count() >= kColdPart;
  return !too_large || ghost_of_.contains(access.key);
}

void Lirs::on_insert(Slot slot, const Access& access) {
  make_room_for(node_of_, slot, kNoSlot);
  const auto ghost = ghost_of_.find(access.key);
  if (ghost != ghost_of_.end()) {
    const NodeId node = ghost->second;
    ghost_of_.erase(ghost);
    ghosts_.remove(node);
    leave_stack(node);
    nodes_[node] = {access.key, access.size, slot, Kind::cold, false};
    node_of_[slot] = node;
    stack_to_top(node);
    make_hot(node);
  } else {
    const NodeId node = node_of_[slot] = new_node(slot, access);
    stack_to_top(node);
    if (hot_bytes_ + access.size <= hot_bytes_max_) {
      make_hot(node);
    } else {
      queue_.push_front(node);
    }
  }
  settle();
}

void Lirs::on_hit(Slot slot, const Access&) {
  const NodeId node = node_of_[slot];
  const bool was_in_stack = nodes_[node].in_stack;
  stack_to_top(node);
  if (nodes_[node].kind == Kind::cold) {
    queue_.remove(node);
    if (was_in_stack) {
      make_hot(node);
    } else {
      queue_.push_front(node);
    }
  }
  settle();
}

void Lirs::on_resize(Slot slot, std::uint32_t size) {
  Node& node = nodes_[node_of_[slot]];
  const std::uint64_t change = size - std::uint64_t{node.size};
  if (node.kind == Kind::hot) hot_bytes_ += change;
  if (node.in_stack) stack_bytes_ += change;
  node.size = size;
  settle();
}

void Lirs::on_erase(Slot slot) {
  const NodeId node = node_of_[slot];
  if (nodes_[node].kind == Kind::hot) {
    hot_bytes_ -= nodes_[node].size;
  } else {
    queue_.remove(node);
  }
  if (nodes_[node].in_stack) leave_stack(node);
  drop_node(node);
  settle();
}

Slot Lirs::take_victim() {
  if (queue_.empty() && !stack_.empty()) cool_bottom();
  if (queue_.empty()) return kNoSlot;
  const NodeId node = queue_.pop_back();
  const Slot slot = nodes_[node].slot;
  if (nodes_[node].in_stack) {
    nodes_[node].kind = Kind::ghost;
    ghosts_.push_front(node);
    ghost_of_[nodes_[node].key] = node;
  } else {
    drop_node(node);
  }
  settle();
  return slot;
}

void Lirs::set_capacity(std::uint64_t bytes) {
  capacity_ = bytes;
  hot_bytes_max_ = bytes - std::min(bytes, std::max<std::uint64_t>(1, bytes / kColdPart));
  settle();
}

std::size_t Lirs::overhead_bytes() const {
  constexpr std::size_t kMapNode = 24;  // A link, a key and a node, roughly.
  return bytes_of(nodes_) + bytes_of(free_nodes_) + bytes_of(node_of_) + bytes_of(stack_links_) + bytes_of(queue_links_) +
         ghost_of_.size() * kMapNode + ghost_of_.bucket_count() * sizeof(void*);
}

Lirs::NodeId Lirs::new_node(Slot slot, const Access& access) {
  NodeId node = static_cast<NodeId>(nodes_.size());
  if (free_nodes_.empty()) {
    base::append(nodes_, {});
    free_nodes_.reserve(nodes_.capacity());  // So that no hit has to.
    make_room_for(stack_links_, node);
    make_room_for(queue_links_, node);
  } else {
    node = free_nodes_.back();
    free_nodes_.pop_back();
  }
  nodes_[node] = {access.key, access.size, slot, Kind::cold, false};
  return node;
}

void Lirs::drop_node(NodeId node) { free_nodes_.push_back(node); }

void Lirs::stack_to_top(NodeId node) {
  if (nodes_[node].in_stack) return stack_.move_to_front(node);
  stack_.push_front(node);
  nodes_[node].in_stack = true;
  stack_bytes_ += nodes_[node].size;
}

void Lirs::leave_stack(NodeId node) {
  stack_.remove(node);
  nodes_[node].in_stack = false;
  stack_bytes_ -= nodes_[node].size;
}

void Lirs::make_hot(NodeId node) {
  nodes_[node].kind = Kind::hot;
  hot_bytes_ += nodes_[node].size;
}

void Lirs::settle() {
  prune();
  while (hot_bytes_ > hot_bytes_max_ && !stack_.empty()) cool_bottom();
  limit_stack();
}

// The bottom is hot: settle() sees to it.
void Lirs::cool_bottom() {
  const NodeId node = stack_.back();
  leave_stack(node);
  nodes_[node].kind = Kind::cold;
  hot_bytes_ -= nodes_[node].size;
  queue_.push_front(node);
  prune();
}

void Lirs::prune() {
  while (!stack_.empty() && nodes_[stack_.back()].kind != Kind::hot) {
    const NodeId node = stack_.back();
    leave_stack(node);
    if (nodes_[node].kind == Kind::cold) continue;
    ghosts_.remove(node);
    ghost_of_.erase(nodes_[node].key);
    drop_node(node);
  }
}

void Lirs::limit_stack() {
  while (stack_bytes_ > kStackTimes * capacity_ && !ghosts_.empty()) {
    const NodeId node = ghosts_.pop_back();
    leave_stack(node);
    ghost_of_.erase(nodes_[node].key);
    drop_node(node);
  }
}

}  // namespace freshet::eviction::exact
