// Slices that move at a test's will.
#include "fleet.h"

#include <chrono>

namespace freshet::testing {

class Fleet::Member final : public ownership::Ownership {
 public:
  Member(Fleet& fleet, int node) : fleet_(fleet), node_(node) {}
  ~Member() override {
    std::lock_guard lock(fleet_.mutex_);
    fleet_.members_[static_cast<std::size_t>(node_)] = nullptr;
  }

  void listen(ownership::AssignmentListener listener) override {
    std::lock_guard lock(mutex_);
    listener_ = std::move(listener);
    if (!listener_) return;
    ownership::AssignmentChange change;
    {
      std::lock_guard fleet_lock(fleet_.mutex_);
      for (const auto& slice : fleet_.slices_) {
        if (slice->owner == node_) change.added.push_back(slice->handle);
      }
    }
    listener_(change);
  }

  // The fleet owns the slices, not the member: an engine that stops leaves them where they are.
  void release() override {}
  ownership::OwnershipStatus status() const override { return {"fleet", "", 0, "a test's ownership"}; }

  // The change is made up under the member's lock, so that changes are told in the order in which they happened.
  void tell(const std::function<ownership::AssignmentChange()>& make) {
    std::lock_guard lock(mutex_);
    const auto change = make();
    if (listener_ && !(change.removed.empty() && change.added.empty())) listener_(change);
  }

 private:
  Fleet& fleet_;
  const int node_;
  std::mutex mutex_;
  ownership::AssignmentListener listener_;
};

Fleet::Fleet(int nodes, int slices, base::Nanoseconds lease) : slots_a_slice_(base::kSlots / slices), lease_(lease) {
  members_.resize(static_cast<std::size_t>(nodes));
  untold_.resize(static_cast<std::size_t>(nodes));
  for (int i = 0; i < slices; ++i) {
    slices_.push_back(std::make_unique<Slice>());
    slices_.back()->owner = 0;
    slices_.back()->handle = new_handle(i);
  }
  renewer_ = std::thread([this] { renew(); });
}

Fleet::~Fleet() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  renewer_.join();
}

ownership::SliceRef Fleet::new_handle(int slice) {
  const auto first = slice * slots_a_slice_;
  const base::SlotRange range{static_cast<base::Slot>(first), static_cast<base::Slot>(first + slots_a_slice_ - 1)};
  return new ownership::SliceHandle(range, ++periods_, base::now() + lease_);
}

std::unique_ptr<ownership::Ownership> Fleet::member(int node) {
  auto member = std::make_unique<Member>(*this, node);
  std::lock_guard lock(mutex_);
  members_[static_cast<std::size_t>(node)] = member.get();
  return member;
}

void Fleet::renew() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto now = base::now();
    std::vector<std::pair<int, ownership::AssignmentChange>> restarts;
    std::vector<std::unique_lock<std::mutex>> movings;  // A restarted slice stays where it is until its owner was told.
    for (int i = 0; i < static_cast<int>(slices_.size()); ++i) {
      auto& slice = *slices_[static_cast<std::size_t>(i)];
      if (slice.frozen || slice.owner < 0 || slice.handle->extend(now + lease_, now)) continue;
      // This thread was too late (a loaded machine): the period is over, and its owner begins a new one.
      std::unique_lock moving(slice.moving, std::try_to_lock);
      if (!moving) continue;
      auto old = slice.handle;
      slice.handle = new_handle(i);
      restarts.push_back({slice.owner, {{old}, {slice.handle}}});
      movings.push_back(std::move(moving));
    }
    lock.unlock();
    for (const auto& [node, change] : restarts) {
      tell(node, [&change = change] { return change; });
    }
    movings.clear();
    lock.lock();
    changed_.wait_for(lock, std::chrono::nanoseconds(lease_ / 5), [this] { return stopping_; });
  }
}

int Fleet::owner_of(int slice) {
  std::lock_guard lock(mutex_);
  return slices_[static_cast<std::size_t>(slice)]->owner;
}

std::uint64_t Fleet::moves() {
  std::lock_guard lock(mutex_);
  return moves_;
}

void Fleet::tell(int node, const std::function<ownership::AssignmentChange()>& make) {
  Member* member;
  {
    std::lock_guard lock(mutex_);
    member = members_[static_cast<std::size_t>(node)];
  }
  if (member) {
    member->tell(make);
  } else {
    make();
  }
}

void Fleet::let_lapse(int index) {
  auto& slice = *slices_[static_cast<std::size_t>(index)];
  std::unique_lock lock(mutex_);
  slice.frozen = true;
  const auto handle = slice.handle;
  while (handle->is_still_assigned(base::now())) {
    changed_.wait_for(lock, std::chrono::nanoseconds(handle->deadline() - base::now()));
  }
  untold_[static_cast<std::size_t>(slice.owner)].push_back(handle);
  slice.owner = -1;
}

void Fleet::give(int index, int to) {
  tell(to, [this, index, to] {
    ownership::AssignmentChange change;
    std::lock_guard lock(mutex_);
    auto& slice = *slices_[static_cast<std::size_t>(index)];
    slice.owner = to;
    slice.frozen = false;
    slice.handle = new_handle(index);
    ++moves_;
    // What the node lost before and was not told is told with it: changes reach a node in order.
    change.removed.swap(untold_[static_cast<std::size_t>(to)]);
    change.added.push_back(slice.handle);
    return change;
  });
}

void Fleet::tell_losses(int node) {
  tell(node, [this, node] {
    ownership::AssignmentChange change;
    std::lock_guard lock(mutex_);
    change.removed.swap(untold_[static_cast<std::size_t>(node)]);
    return change;
  });
}

void Fleet::move(int index, int to, Manner manner) {
  auto& slice = *slices_[static_cast<std::size_t>(index)];
  std::lock_guard moving(slice.moving);
  int from;
  if (manner == Manner::lapsed) {
    from = owner_of(index);
    let_lapse(index);
  } else {
    std::lock_guard lock(mutex_);
    from = slice.owner;
    slice.frozen = true;
    slice.owner = -1;
    slice.handle->revoke();
    untold_[static_cast<std::size_t>(from)].push_back(slice.handle);
  }
  if (manner == Manner::announced) tell_losses(from);
  give(index, to);
  tell_losses(from);
}

}  // namespace freshet::testing
