// The bookkeeping beside an obviously right model, over random operations.
#include "eviction/gl_cache/groups.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <list>
#include <map>

#include "base/random.h"

namespace freshet::eviction::gl_cache {
namespace {

constexpr std::uint32_t kLanes = 3;
constexpr Slot kSlots = 200;

// Groups as lists of slots; everything else is counted anew each time.
class Model {
 public:
  struct Thing {
    std::uint32_t size = 0;
    std::uint32_t requests = 0;
    std::uint64_t group = 0;  // Its serial number; 0: to leave.
  };
  struct Part {
    std::uint64_t serial = 0;
    std::uint32_t requests = 0;
    bool open = true;
  };

  std::map<Slot, Thing> things;
  std::list<Part> lanes[kLanes];

  std::list<Part>::iterator part(std::uint32_t lane, std::uint64_t serial) {
    return std::find_if(lanes[lane].begin(), lanes[lane].end(), [&](const Part& p) { return p.serial == serial; });
  }
  std::uint32_t count(std::uint64_t serial) const {
    return static_cast<std::uint32_t>(std::count_if(things.begin(), things.end(),
                                                    [&](const auto& t) { return t.second.group == serial; }));
  }
  void bury() {
    for (auto& lane : lanes) lane.remove_if([&](const Part& p) { return !p.open && count(p.serial) == 0; });
  }
};

class GroupsProperty : public testing::TestWithParam<std::uint64_t> {
 protected:
  GroupsProperty() : random_(GetParam()) {}

  GroupId any_group(std::uint32_t lane) {
    std::vector<GroupId> ids;
    for (GroupId id = groups_.oldest(lane); id != kNoGroup; id = groups_.group(id).newer) ids.push_back(id);
    return ids.empty() ? kNoGroup : ids[random_.below(ids.size())];
  }
  Slot any_slot() {
    if (model_.things.empty()) return kNoSlot;
    return std::next(model_.things.begin(), static_cast<std::ptrdiff_t>(random_.below(model_.things.size())))->first;
  }

  void begin(std::uint32_t lane) {
    if (groups_.open_group(lane) != kNoGroup) return;
    model_.lanes[lane].push_back({groups_.group(groups_.begin(lane, 1, {}, 0)).serial});
  }
  void begin_after(std::uint32_t lane, Slot slot) {
    const GroupId after = random_.chance(0.5) ? groups_.newest_closed(lane) : any_group(lane);
    if (after != kNoGroup && groups_.group(after).open) return;
    auto& list = model_.lanes[lane];
    const auto at = after == kNoGroup ? list.begin() : std::next(model_.part(lane, groups_.group(after).serial));
    const GroupId id = groups_.begin_after(after, lane, 1, {}, 1);
    list.insert(at, {groups_.group(id).serial, 0, false});
    move(slot, id);  // A closed group is never left empty.
  }
  // All of a group's objects to where others are.
  void dissolve(std::uint32_t lane) {
    const GroupId id = any_group(lane), open = groups_.open_group(lane);
    if (id == kNoGroup || id == open) return;
    std::vector<Slot> slots;
    for (const Slot slot : groups_.group(id).members) {
      if (slot != kNoSlot) slots.push_back(slot);
    }
    groups_.dissolve(id);
    for (const Slot slot : slots) {
      const GroupId into = open == kNoGroup || random_.chance(0.5) ? kLeaving : open;
      groups_.put_again(slot, into);
      model_.things[slot].group = groups_.group(into).serial;
      model_.things[slot].requests = 0;
    }
  }
  void admit(std::uint32_t lane) {
    const GroupId id = groups_.open_group(lane);
    const auto slot = static_cast<Slot>(random_.below(kSlots));
    if (id == kNoGroup || model_.things.contains(slot)) return;
    const auto size = static_cast<std::uint32_t>(1 + random_.below(1000));
    groups_.admit(slot, size, id, 1);
    model_.things[slot] = {size, 0, groups_.group(id).serial};
  }
  void move(Slot slot, GroupId id) {
    model_.things[slot].group = groups_.group(id).serial;
    groups_.move(slot, id);
  }
  void touch(Slot slot) {
    groups_.touch(slot, 2);
    auto& thing = model_.things[slot];
    thing.requests = std::min<std::uint32_t>(thing.requests + 1, kRequestsCountedMax);
    for (auto& lane : model_.lanes) {
      for (auto& part : lane) part.requests += part.serial == thing.group ? 1 : 0;
    }
  }
  void close(std::uint32_t lane) {
    const GroupId id = groups_.open_group(lane);
    if (id == kNoGroup || groups_.group(id).live == 0) return;
    model_.part(lane, groups_.group(id).serial)->open = false;
    groups_.close(id);
  }
  void step() {
    const auto lane = static_cast<std::uint32_t>(random_.below(kLanes));
    const Slot slot = any_slot();
    const auto dice = random_.below(100);
    if (dice < 40) return admit(lane);
    if (dice < 46) return begin(lane);
    if (dice < 52) return close(lane);
    if (dice < 54) return dissolve(lane);
    if (slot == kNoSlot) return;
    if (dice < 70) return touch(slot);
    if (dice < 76) return begin_after(lane, slot);
    if (dice < 82) {
      const GroupId id = any_group(lane);
      if (id != kNoGroup && id != groups_.object(slot).group) move(slot, id);
    } else if (dice < 86) {
      if (groups_.object(slot).group != kLeaving) move(slot, kLeaving);
    } else if (dice < 90) {
      groups_.forget_requests(slot);
      model_.things[slot].requests = 0;
    } else if (dice < 94) {
      const auto size = static_cast<std::uint32_t>(1 + random_.below(1000));
      groups_.resize(slot, size);
      model_.things[slot].size = size;
    } else {
      groups_.erase(slot);
      model_.things.erase(slot);
    }
  }

  void check_group(const Group& group, std::uint64_t serial) {
    std::uint32_t live = 0, active = 0;
    std::uint64_t bytes = 0;
    for (const auto& [slot, thing] : model_.things) {
      if (thing.group != serial) continue;
      ++live;
      bytes += thing.size;
      active += thing.requests > 0 ? 1 : 0;
      ASSERT_EQ(std::count(group.members.begin(), group.members.end(), slot), 1);
    }
    ASSERT_EQ(group.live, live);
    ASSERT_EQ(group.bytes, bytes);
    ASSERT_EQ(group.active, active);
    const auto holes = std::count(group.members.begin(), group.members.end(), kNoSlot);
    ASSERT_EQ(group.members.size() - static_cast<std::size_t>(holes), live);
  }
  void check() {
    model_.bury();
    std::uint32_t alive = 0, closed = 0;
    for (std::uint32_t lane = 0; lane < kLanes; ++lane) {
      GroupId id = groups_.oldest(lane);
      std::uint64_t bytes = 0;
      for (const auto& part : model_.lanes[lane]) {
        ASSERT_NE(id, kNoGroup);
        const Group& group = groups_.group(id);
        ASSERT_EQ(group.serial, part.serial) << "the order of writing";
        ASSERT_EQ(group.open, part.open);
        ASSERT_EQ(group.requests, part.requests);
        ASSERT_EQ(group.lane, lane);
        ASSERT_NO_FATAL_FAILURE(check_group(group, part.serial));
        bytes += group.bytes;
        ++alive;
        closed += part.open ? 0 : 1;
        id = group.newer;
      }
      ASSERT_EQ(id, kNoGroup);
      ASSERT_EQ(groups_.lane_bytes(lane), bytes);
    }
    ASSERT_NO_FATAL_FAILURE(check_group(groups_.group(kLeaving), 0));
    ASSERT_EQ(groups_.groups_alive(), alive);
    ASSERT_EQ(groups_.groups_closed(), closed);
    ASSERT_EQ(groups_.objects(), model_.things.size());
    for (Slot slot = 0; slot < kSlots; ++slot) ASSERT_EQ(groups_.holds(slot), model_.things.contains(slot));
  }

  base::Random random_;
  Groups groups_{kLanes};
  Model model_;
};

TEST_P(GroupsProperty, KeepsTheBooks) {
  SCOPED_TRACE(testing::Message() << "seed " << GetParam());
  std::size_t most = 0;
  for (int i = 0; i < 1500 && !HasFatalFailure(); ++i) {
    step();
    check();
    most = std::max<std::size_t>(most, groups_.groups_alive());
  }
  EXPECT_GT(most, 5u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, GroupsProperty, testing::Range<std::uint64_t>(1, 11));

}  // namespace
}  // namespace freshet::eviction::gl_cache
