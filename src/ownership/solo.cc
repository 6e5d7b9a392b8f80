// One slice of all slots, without an end.
#include "ownership/solo.h"

namespace freshet::ownership {
namespace {

constexpr std::uint64_t kPeriod = 1;

}  // namespace

SoloOwnership::SoloOwnership()
    : handle_(new SliceHandle({0, base::kSlots - 1}, kPeriod, base::kForever)) {}

SoloOwnership::~SoloOwnership() {
  if (handle_) handle_->revoke();
}

void SoloOwnership::listen(AssignmentListener listener) {
  const std::lock_guard lock(mutex_);
  listener_ = std::move(listener);
  if (listener_ && handle_) listener_({{}, {handle_}});
}

void SoloOwnership::release() {
  const std::lock_guard lock(mutex_);
  if (!handle_) return;
  const auto removed = std::move(handle_);
  handle_ = nullptr;
  removed->revoke();
  if (listener_) listener_({{removed}, {}});
}

OwnershipStatus SoloOwnership::status() const {
  const std::lock_guard lock(mutex_);
  if (!handle_) return {"solo", "", 0, "This node has given its slots up."};
  return {"solo", "", kPeriod, "This node is alone: the embedded storage is locked by its process."};
}

}  // namespace freshet::ownership
