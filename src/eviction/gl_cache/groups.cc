// See eviction/gl_cache/groups.h.
#include "eviction/gl_cache/groups.h"

#include <utility>

namespace freshet::eviction::gl_cache {

GroupId Groups::open_group(std::uint32_t lane) const {
  const GroupId newest = lanes_[lane].newest;
  return newest != kNoGroup && groups_[newest].open ? newest : kNoGroup;
}

GroupId Groups::newest_closed(std::uint32_t lane) const {
  const GroupId open = open_group(lane);
  return open == kNoGroup ? lanes_[lane].newest : groups_[open].older;
}

GroupId Groups::take_id() {
  ++alive_;
  if (free_.empty()) {
    groups_.emplace_back();
    return ids() - 1;
  }
  const GroupId id = free_.back();
  free_.pop_back();
  return id;
}

GroupId Groups::make(std::uint32_t lane, GroupId after, std::uint64_t now, const Circumstances& circumstances,
                     std::uint16_t generation) {
  const GroupId id = take_id();
  Group& group = groups_[id];
  group.lane = static_cast<std::uint8_t>(lane);
  group.open = true;
  group.begun = now;
  group.requested = tick_of(now);
  group.serial = ++serial_;
  group.circumstances = circumstances;
  group.generation = generation;
  link_after(id, after);
  return id;
}

GroupId Groups::begin(std::uint32_t lane, std::uint64_t now, const Circumstances& circumstances, std::uint16_t generation) {
  assert(open_group(lane) == kNoGroup);
  return make(lane, lanes_[lane].newest, now, circumstances, generation);
}

GroupId Groups::begin_after(GroupId after, std::uint32_t lane, std::uint64_t now, const Circumstances& circumstances,
                            std::uint16_t generation) {
  const GroupId id = make(lane, after, now, circumstances, generation);
  close(id);
  return id;
}

// `after`: kNoGroup for the oldest end.
void Groups::link_after(GroupId id, GroupId after) {
  Group& group = groups_[id];
  Lane& lane = lanes_[group.lane];
  group.older = after;
  group.newer = after == kNoGroup ? lane.oldest : groups_[after].newer;
  (after == kNoGroup ? lane.oldest : groups_[after].newer) = id;
  (group.newer == kNoGroup ? lane.newest : groups_[group.newer].older) = id;
}

void Groups::close(GroupId id) {
  groups_[id].open = false;
  ++closed_;
}

void Groups::admit(Slot slot, std::uint32_t size, GroupId id, std::uint32_t tick) {
  exact::make_room_for(objects_, slot);
  objects_[slot] = {};
  objects_[slot].size = size;
  objects_[slot].requested = tick;
  put(slot, id);
}

void Groups::put(Slot slot, GroupId id) {
  ++live_;
  Object& object = objects_[slot];
  object.group = id;
  Group& group = groups_[id];
  assert(group.members.size() < kPlacesMax);
  object.place = static_cast<std::uint32_t>(group.members.size()) & (kPlacesMax - 1);
  member_places_ -= group.members.capacity();
  group.members.push_back(slot);
  member_places_ += group.members.capacity();
  ++group.live;
  group.bytes += object.size;
  if (object.requests > 0) ++group.active;
  if (id != kLeaving) lanes_[group.lane].bytes += object.size;
}

void Groups::erase(Slot slot) {
  leave(slot);
  objects_[slot].group = kNoGroup;
}

void Groups::dissolve(GroupId id) {
  const Group& group = groups_[id];
  assert(!group.open);
  live_ -= group.live;
  lanes_[group.lane].bytes -= group.bytes;
  end(id);
}

void Groups::leave(Slot slot) {
  --live_;
  const Object& object = objects_[slot];
  const GroupId id = object.group;
  Group& group = groups_[id];
  group.members[object.place] = kNoSlot;
  --group.live;
  group.bytes -= object.size;
  if (object.requests > 0) --group.active;
  if (id == kLeaving) {
    while (!group.members.empty() && group.members.back() == kNoSlot) group.members.pop_back();
    return;
  }
  lanes_[group.lane].bytes -= object.size;
  if (group.live == 0 && !group.open) end(id);
}

void Groups::resize(Slot slot, std::uint32_t size) {
  Object& object = objects_[slot];
  Group& group = groups_[object.group];
  const std::uint64_t more = std::uint64_t{size} - object.size;  // Modulo 2^64: it may be less.
  group.bytes += more;
  if (object.group != kLeaving) lanes_[group.lane].bytes += more;
  object.size = size;
}

// The room of its members is kept for the group that will have its number.
void Groups::end(GroupId id) {
  Group& group = groups_[id];
  Lane& lane = lanes_[group.lane];
  (group.older == kNoGroup ? lane.oldest : groups_[group.older].newer) = group.newer;
  (group.newer == kNoGroup ? lane.newest : groups_[group.newer].older) = group.older;
  std::vector<Slot> members = std::move(group.members);
  members.clear();
  group = {};
  group.members = std::move(members);
  free_.push_back(id);
  --alive_;
  --closed_;
}

std::size_t Groups::bytes() const {
  return exact::bytes_of(objects_) + exact::bytes_of(groups_) + exact::bytes_of(free_) + member_places_ * sizeof(Slot);
}

}  // namespace freshet::eviction::gl_cache
