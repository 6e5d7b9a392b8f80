// See eviction/gl_cache/gl_cache.h.
#include "eviction/gl_cache/gl_cache.h"

#include <algorithm>
#include <utility>

namespace freshet::eviction::gl_cache {

GlCache::GlCache(const Settings& settings, std::unique_ptr<Learner> learner, std::uint64_t seed)
    : settings_(within_limits(settings)), groups_(settings_.size_classes * (1 + settings_.generations)),
      study_(settings_, std::move(learner), seed), ranking_(settings_.rerank_part) {}

bool GlCache::on_miss(const exact::Access& access) {
  ++now_;
  rates_.on_miss(now_, access.time_s);
  returns_ = sifted() && returning_.take(access.key);
  if (study_.missed(access, now_, requests_to_refill(), groups_.objects())) ranking_.forget();
  if (study_.look_due()) look();
  return true;
}

// At the miss ratio so far, so many requests bring in as many objects as are cached.
std::uint64_t GlCache::requests_to_refill() const {
  return static_cast<std::uint64_t>(groups_.objects() / rates_.miss_ratio_since_start(now_));
}

// The next request of an object that rows wait for.
void GlCache::answer(Slot slot) {
  Object& object = groups_.object(slot);
  object.watched = false;
  study_.requested(key_of_[slot], object.size, now_);
}

void GlCache::look() {
  study_.begin_look(now_, groups_.groups_closed());
  for (GroupId id = 1; id < groups_.ids(); ++id) {
    if (groups_.is_closed(id) && study_.is_chosen()) sample(groups_.group(id));
  }
}

// Sifted, a merge would keep those that have earned it: the group's worth is that of the others.
void GlCache::sample(const Group& group) {
  if (!study_.add_row(features_of(group, now_), now_, group.live)) return;
  for (const Slot slot : group.members) {
    if (slot == kNoSlot) continue;
    Object& object = groups_.object(slot);
    if (sifted() && earned(object, is_kept_lane(group.lane))) continue;
    study_.watch(key_of_[slot]);
    object.watched = true;
  }
}

void GlCache::on_insert(Slot slot, const exact::Access& access) {
  exact::make_room_for(key_of_, slot);
  key_of_[slot] = access.key;
  mean_size_.add(access.size);
  const GroupId id = group_to_write(access.size, returns_ ? 1 : 0);
  groups_.admit(slot, access.size, id, tick_of(now_));
  close_if_full(id);
}

void GlCache::set_capacity(std::uint64_t bytes) {
  capacity_ = bytes;
  returning_.trim(capacity_);
}

// By size: each class ends at twice the size of the one before, the mean in the middle.
std::uint32_t GlCache::lane_of(std::uint32_t size, std::uint32_t generation) const {
  std::uint32_t size_class = 0;
  double end = mean_size_.value() * 2 / static_cast<double>(1U << (settings_.size_classes / 2));
  for (; size_class + 1 < settings_.size_classes && size >= end; ++size_class) end *= 2;
  return size_class * (1 + settings_.generations) + std::min(generation, settings_.generations);
}

GroupId GlCache::group_to_write(std::uint32_t size, std::uint16_t generation) {
  const std::uint32_t lane = lane_of(size, generation);
  const GroupId open = groups_.open_group(lane);
  return open != kNoGroup ? open : groups_.begin(lane, now_, circumstances(), generation);
}

void GlCache::close_if_full(GroupId id) {
  const Group& group = groups_.group(id);
  const std::uint32_t few = std::min(kGroupObjectsMin, settings_.group_objects);
  const auto objects_max = std::clamp(groups_.objects() / settings_.groups_min, few, settings_.group_objects);
  const bool has_bytes = settings_.group_bytes > 0 && group.bytes >= settings_.group_bytes;
  if (has_bytes || group.members.size() >= objects_max) groups_.close(id);
}

void GlCache::close_all() {
  for (std::uint32_t lane = 0; lane < groups_.lanes(); ++lane) {
    const GroupId id = groups_.open_group(lane);
    if (id != kNoGroup && groups_.group(id).live > 0) groups_.close(id);
  }
}

Slot GlCache::take_victim() {
  while (groups_.objects() > 0) {
    const Group& leaving = groups_.group(kLeaving);
    if (leaving.live == 0) {
      merge();
      continue;
    }
    const Slot slot = leaving.members.back();
    const Object& object = groups_.object(slot);
    if (object.requests > 0) {
      groups_.forget_requests(slot);
      const GroupId id = group_to_write(object.size, sifted() ? 1 : 0);
      groups_.move(slot, id);
      close_if_full(id);
      continue;
    }
    study_.evicted(key_of_[slot], object.size, way_, now_);
    if (sifted()) {
      returning_.push(key_of_[slot], object.size);
      returning_.trim(capacity_);
    }
    groups_.erase(slot);
    return slot;
  }
  return exact::kNoSlot;
}

void GlCache::merge() {
  ++merges_;
  gather(choose());
  candidates_.clear();
  for (const GroupId id : merged_) {
    for (const Slot slot : groups_.group(id).members) {
      if (slot == kNoSlot) continue;
      const auto order = static_cast<std::uint32_t>(candidates_.size());
      candidates_.push_back({badness_of(groups_.object(slot)), order, slot});
    }
  }
  sifted() ? keep_sifted() : keep_neighbours();
}

GroupId GlCache::choose() {
  if (groups_.groups_closed() == 0) close_all();
  way_ = study_.choose();
  return way_ == Way::model ? ranking_.next(groups_, study_.training()->trees, now_) : choose_by_rule();
}

GroupId GlCache::choose_by_rule() const {
  if (!sifted()) return oldest(false);
  std::uint64_t new_bytes = 0, all_bytes = 0;
  for (std::uint32_t lane = 0; lane < groups_.lanes(); ++lane) {
    all_bytes += groups_.lane_bytes(lane);
    if (!is_kept_lane(lane)) new_bytes += groups_.lane_bytes(lane);
  }
  const bool from_kept = new_bytes < all_bytes / kNewPart;
  const GroupId id = oldest(from_kept);
  return id != kNoGroup ? id : oldest(!from_kept);
}

// Of the closed groups; kNoGroup if there is none.
GroupId GlCache::oldest(bool kept) const {
  GroupId oldest = kNoGroup;
  for (std::uint32_t lane = 0; lane < groups_.lanes(); ++lane) {
    const GroupId id = groups_.oldest(lane);
    if (is_kept_lane(lane) != kept || id == kNoGroup || groups_.group(id).open) continue;
    if (oldest == kNoGroup || groups_.group(id).serial < groups_.group(oldest).serial) oldest = id;
  }
  return oldest;
}

// The group and n - 1 that were written after it; if there are too few, before it.
void GlCache::gather(GroupId first) {
  merged_.assign(1, first);
  for (GroupId id = groups_.group(first).newer; id != kNoGroup && merged_.size() < settings_.merge_groups;
       id = groups_.group(id).newer) {
    if (groups_.group(id).open) break;
    merged_.push_back(id);
  }
  for (GroupId id = groups_.group(first).older; id != kNoGroup && merged_.size() < settings_.merge_groups;
       id = groups_.group(id).older) {
    merged_.insert(merged_.begin(), id);
  }
}

float GlCache::badness_of(const Object& object) const {
  const auto idle = static_cast<float>(tick_of(now_) - object.requested + 1);
  return settings_.objective == Objective::objects ? idle * static_cast<float>(object.size) : idle;
}

// Sorts the candidates and says how many of the best are one group's worth: by objects, or by bytes if groups have them.
std::size_t GlCache::count_to_keep() {
  const auto better = [](const Candidate& a, const Candidate& b) {
    return a.badness != b.badness ? a.badness < b.badness : a.order < b.order;
  };
  const std::size_t count = candidates_.size() / settings_.merge_groups;
  const auto middle = candidates_.begin() + static_cast<std::ptrdiff_t>(count);
  if (settings_.group_bytes == 0) {
    std::nth_element(candidates_.begin(), middle, candidates_.end(), better);
    return count;
  }
  std::sort(candidates_.begin(), candidates_.end(), better);
  std::uint64_t bytes_left = 0;
  for (const GroupId id : merged_) bytes_left += groups_.group(id).bytes;
  bytes_left /= settings_.merge_groups;
  std::size_t fitting = 0;
  while (fitting + 1 < candidates_.size()) {
    const std::uint32_t size = groups_.object(candidates_[fitting].slot).size;
    if (size > bytes_left) break;
    bytes_left -= size;
    ++fitting;
  }
  return fitting;
}

void GlCache::keep_neighbours() {
  const auto count = static_cast<std::ptrdiff_t>(count_to_keep());
  const auto kept_end = candidates_.begin() + count;
  // In the order of writing, and who leaves first last.
  const auto written_first = [](const Candidate& a, const Candidate& b) { return a.order < b.order; };
  std::sort(candidates_.begin(), kept_end, written_first);
  std::sort(kept_end, candidates_.end(), [](const Candidate& a, const Candidate& b) { return a.order > b.order; });
  const std::uint32_t lane = groups_.group(merged_.front()).lane;
  const GroupId older = groups_.group(merged_.front()).older;
  const Circumstances begun_in = groups_.group(merged_.front()).circumstances;
  const auto generation = static_cast<std::uint16_t>(oldest_generation() + 1);
  dissolve_merged();
  GroupId into = kNoGroup;
  if (count > 0) {
    into = groups_.begin_after(trained() ? older : groups_.newest_closed(lane), lane, now_, begun_in, generation);
  }
  for (auto candidate = candidates_.begin(); candidate != candidates_.end(); ++candidate) {
    groups_.put_again(candidate->slot, candidate < kept_end ? into : kLeaving);
  }
}

std::uint16_t GlCache::oldest_generation() const {
  std::uint16_t generation = 0;
  for (const GroupId id : merged_) generation = std::max(generation, groups_.group(id).generation);
  return generation;
}

void GlCache::dissolve_merged() {
  for (const GroupId id : merged_) groups_.dissolve(id);
}

// Whether the object's requests, since it was written, make up for its size.
bool GlCache::earned(const Object& object, bool kept_before) const {
  return has_earned(settings_, mean_size_, object.requests, kRequestsCountedMax, object.size, kept_before);
}

void GlCache::keep_sifted() {
  const bool kept_before = is_kept_lane(groups_.group(merged_.front()).lane);
  const auto generation = static_cast<std::uint16_t>(oldest_generation() + 1);
  const auto has_earned = [&](const Candidate& c) { return earned(groups_.object(c.slot), kept_before); };
  const auto kept_end = std::stable_partition(candidates_.begin(), candidates_.end(), has_earned);
  auto count = static_cast<std::size_t>(kept_end - candidates_.begin());
  if (const std::size_t count_max = candidates_.size() * kKeptOfEight / 8; count > count_max) {
    std::sort(candidates_.begin(), kept_end, [](const Candidate& a, const Candidate& b) {
      return a.badness != b.badness ? a.badness < b.badness : a.order < b.order;
    });
    count = count_max;
  }
  dissolve_merged();
  // Who leaves first comes last.
  for (std::size_t i = candidates_.size(); i-- > count;) groups_.put_again(candidates_[i].slot, kLeaving);
  for (std::size_t i = 0; i < count; ++i) {
    const Slot slot = candidates_[i].slot;
    const GroupId id = group_to_write(groups_.object(slot).size, generation);
    groups_.put_again(slot, id);
    close_if_full(id);
  }
}

std::size_t GlCache::overhead_bytes() const {
  return learning_bytes() + groups_.bytes() + returning_.overhead_bytes() + exact::bytes_of(key_of_) +
         exact::bytes_of(candidates_);
}

std::vector<exact::PolicyFact> GlCache::describe() const {
  const auto number = [](auto count) { return static_cast<double>(count); };
  std::vector<exact::PolicyFact> facts{{"policies", 1},
                                       {"objects", number(groups_.objects())},
                                       {"groups", number(groups_.groups_alive())},
                                       {"merges", number(merges_)},
                                       {"rankings", number(ranking_.count())},
                                       {"ranking_us", number(ranking_.spent() / base::kMicrosecond)},
                                       {"overhead_bytes", number(overhead_bytes())},
                                       {"learning_bytes", number(learning_bytes())}};
  study_.describe(now_, facts);
  return facts;
}

}  // namespace freshet::eviction::gl_cache
