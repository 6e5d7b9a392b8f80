// The bookkeeping of GL-Cache: which object stands in which group, the groups in the order in which they were written, and
// what was seen of both. It decides nothing. May use eviction/exact/policy.h and this room's features.h.
//
// Groups stand in *lanes*, each a list in write order with at most one open group, its newest, which takes new objects.
// Group 0 is no group: objects that are to leave, and have not left yet, stand there. A group that has lost its last object
// is gone, unless it is open; its number is used again, its serial number is not.
//
// Memory: 16 bytes an object, 4 to 8 for its place in the group, and 88 a group.
#pragma once

#include <cassert>
#include <cstdint>
#include <vector>

#include "eviction/exact/policy.h"
#include "eviction/gl_cache/features.h"

namespace freshet::eviction::gl_cache {

using exact::kNoSlot;
using exact::Slot;
using GroupId = std::uint32_t;

inline constexpr GroupId kLeaving = 0;
inline constexpr GroupId kNoGroup = UINT32_MAX;
inline constexpr std::uint32_t kPlacesMax = 1 << 24;  // In a group.
inline constexpr std::uint32_t kRequestsCountedMax = 15;

// Requests are counted in ticks of 16 where four bytes must do: that is 2^36 requests until a time is taken for another.
inline constexpr int kTickShift = 4;
constexpr std::uint32_t tick_of(std::uint64_t request) { return static_cast<std::uint32_t>(request >> kTickShift); }

struct Object {
  GroupId group = kNoGroup;     // kNoGroup: the slot is free.
  std::uint32_t size = 0;
  std::uint32_t requested = 0;  // The tick of the last request, at first that which brought it in.
  std::uint32_t place : 24 = 0;    // In the group.
  std::uint32_t requests : 4 = 0;  // Since it was written or kept; no more than kRequestsCountedMax.
  bool watched : 1 = false;        // Rows may wait for its next request.
};
static_assert(sizeof(Object) == 16);

// How the cache did when a group was begun.
struct Circumstances {
  float request_rate = 0;
  float write_rate = 0;
  float miss_ratio = 0;
};

struct Group {
  std::uint32_t requests = 0;   // For its objects, since it was begun.
  std::uint32_t active = 0;     // Its objects that were requested since they were written or kept.
  std::uint32_t requested = 0;  // The tick of the last request for any of them.
  std::uint32_t live = 0;       // Objects.
  std::uint64_t bytes = 0;
  std::uint64_t begun = 0;      // The request that was its first.
  std::uint64_t serial = 0;     // 0: there is no such group.
  GroupId older = kNoGroup;
  GroupId newer = kNoGroup;
  std::uint16_t generation = 0;
  std::uint8_t lane = 0;
  bool open = false;
  Circumstances circumstances;
  std::vector<Slot> members;    // In the order of writing; kNoSlot: has left.
};

class Groups {
 public:
  explicit Groups(std::uint32_t lanes) : lanes_(lanes) { groups_.resize(1); }

  const Object& object(Slot slot) const { return objects_[slot]; }
  Object& object(Slot slot) { return objects_[slot]; }
  const Group& group(GroupId id) const { return groups_[id]; }
  Group& group(GroupId id) { return groups_[id]; }
  bool holds(Slot slot) const { return slot < objects_.size() && objects_[slot].group != kNoGroup; }
  bool is_closed(GroupId id) const { return groups_[id].serial != 0 && !groups_[id].open; }
  // The same group that had this serial number is still there.
  bool exists(GroupId id, std::uint64_t serial) const { return groups_[id].serial == serial; }

  std::uint32_t lanes() const { return static_cast<std::uint32_t>(lanes_.size()); }
  GroupId oldest(std::uint32_t lane) const { return lanes_[lane].oldest; }
  GroupId open_group(std::uint32_t lane) const;     // kNoGroup: it has none; and so with the next.
  GroupId newest_closed(std::uint32_t lane) const;
  std::uint32_t groups_alive() const { return alive_; }
  std::uint32_t groups_closed() const { return closed_; }
  std::uint64_t lane_bytes(std::uint32_t lane) const { return lanes_[lane].bytes; }
  std::uint32_t objects() const { return live_; }  // Those that are to leave included.
  // Groups have numbers from 1 to below this; not every number is a group's.
  std::uint32_t ids() const { return static_cast<std::uint32_t>(groups_.size()); }

  // A new open group, the newest of its lane, which has no open one.
  GroupId begin(std::uint32_t lane, std::uint64_t now, const Circumstances& circumstances, std::uint16_t generation);
  // A new closed group right after `after`; kNoGroup: as the oldest.
  GroupId begin_after(GroupId after, std::uint32_t lane, std::uint64_t now, const Circumstances& circumstances,
                      std::uint16_t generation);
  void close(GroupId id);
  // A new object; `tick` is now.
  void admit(Slot slot, std::uint32_t size, GroupId id, std::uint32_t tick);
  // To another group than its own. What the object itself has counted stays as it is.
  void move(Slot slot, GroupId id) {
    assert(objects_[slot].group != id);
    leave(slot);
    put(slot, id);
  }
  // The object starts anew to count its requests.
  void forget_requests(Slot slot) {
    Object& object = objects_[slot];
    if (object.requests > 0) --groups_[object.group].active;
    object.requests = 0;
  }
  void erase(Slot slot);
  // A closed group ends; each of its objects is put into another one before anything else is done with it.
  void dissolve(GroupId id);
  // Of a dissolved group. The object starts anew to count its requests.
  void put_again(Slot slot, GroupId id) {
    objects_[slot].requests = 0;
    put(slot, id);
  }
  void resize(Slot slot, std::uint32_t size);

  void touch(Slot slot, std::uint32_t tick) {
    Object& object = objects_[slot];
    Group& group = groups_[object.group];
    object.requested = tick;
    group.requested = tick;
    ++group.requests;
    // Without branches: they would be guesses.
    const std::uint32_t requests = object.requests;
    group.active += requests == 0 ? 1 : 0;
    object.requests = (requests + (requests < kRequestsCountedMax ? 1 : 0)) & kRequestsCountedMax;
  }

  std::size_t bytes() const;  // A sum of a few numbers: hosts ask with every insert.

 private:
  struct Lane {
    GroupId oldest = kNoGroup;
    GroupId newest = kNoGroup;
    std::uint64_t bytes = 0;
  };

  GroupId make(std::uint32_t lane, GroupId after, std::uint64_t now, const Circumstances& circumstances,
               std::uint16_t generation);
  GroupId take_id();
  void link_after(GroupId id, GroupId after);
  void put(Slot slot, GroupId id);
  void leave(Slot slot);
  void end(GroupId id);

  std::vector<Object> objects_;  // By slot.
  std::vector<Group> groups_;
  std::vector<Lane> lanes_;
  std::vector<GroupId> free_;
  std::uint64_t serial_ = 0;     // The last one given.
  std::uint32_t alive_ = 0;      // Groups.
  std::uint32_t closed_ = 0;
  std::uint32_t live_ = 0;       // Objects.
  std::size_t member_places_ = 0;  // What the groups' lists of members have room for, ended groups included.
};

}  // namespace freshet::eviction::gl_cache
