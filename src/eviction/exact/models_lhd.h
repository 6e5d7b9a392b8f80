// For tests: LHD once more, with sums written out and numbers of double precision. It draws the same random numbers, so it
// knows who was compared; as it rounds differently, any victim whose density is the least but for rounding will do. May use
// this room's files.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <map>
#include <vector>

#include "base/random.h"
#include "eviction/exact/lhd.h"
#include "eviction/exact/models.h"

namespace freshet::eviction::exact {

class LhdModel final : public Model {
 public:
  explicit LhdModel(std::uint64_t seed) : random_(seed) { recent_.fill(kNoSlot); }

  bool on_miss(const Access&) override { return tick(), true; }
  void on_insert(const Object& object) override {
    slots_ = std::max<std::uint64_t>(slots_, object.slot + 1);
    Tag& tag = tags_[object.slot] = {now_, object.size, 0, class_of(Lhd::kAges), false};
    if (!turn(tag) && density_of(tag) < victim_density_) recent_[recent_next_++ % Lhd::kRecent] = object.slot;
  }
  void on_hit(Slot slot, const Access&) override {
    tick();
    Tag& tag = tags_[slot];
    const std::uint64_t age = age_of(tag);
    ++fresh_hits_[{tag.group, age}];
    stop_exploring(tag);
    tag = {now_, tag.size, age, class_of(tag.last_age + age), false};
    turn(tag);
  }
  void on_resize(Slot slot, std::uint32_t size) override {
    Tag& tag = tags_[slot];
    if (tag.explorer) explorer_bytes_ += std::int64_t{size} - std::int64_t{tag.size};
    tag.size = size;
  }
  void on_erase(Slot slot) override {
    stop_exploring(tags_[slot]);
    tags_.erase(slot);
    std::replace(recent_.begin(), recent_.end(), slot, kNoSlot);
  }
  bool leaves(Slot victim) override {
    if (!tags_.contains(victim)) return false;
    std::vector<Slot> drawn;
    for (std::uint32_t i = 0; i < Lhd::kSamples; i += 2) {
      const std::uint64_t random = random_();
      drawn.push_back(static_cast<Slot>(((random >> 32) * slots_) >> 32));
      drawn.push_back(static_cast<Slot>(((random & UINT32_MAX) * slots_) >> 32));
    }
    drawn.insert(drawn.end(), recent_.begin(), recent_.end());
    double least = INFINITY;
    bool compared = false;
    for (const Slot slot : drawn) {
      if (!tags_.contains(slot)) continue;
      least = std::min(least, density_of(tags_[slot]));
      compared = compared || slot == victim;
    }
    const double density = density_of(tags_[victim]);
    if (least == INFINITY) {
      auto slot = random_.below(slots_);
      while (!tags_.contains(static_cast<Slot>(slot))) slot = (slot + 1) % slots_;
      if (slot != victim) return false;
    } else {
      if (!compared || density > least * (1 + kRounding)) return false;
      victim_density_ += (1 - double{Lhd::kDecay}) * (density - victim_density_);
    }
    ++fresh_evictions_[{tags_[victim].group, age_of(tags_[victim])}];
    on_erase(victim);
    return true;
  }
  void set_capacity(std::uint64_t bytes) override {
    explorer_bytes_max_ = static_cast<std::int64_t>(bytes / Lhd::kExplorerPart);
  }
  std::uint64_t lessons() const { return lessons_; }

 private:
  static constexpr double kRounding = 1e-4;
  struct Tag {
    std::uint64_t used = 0;
    std::uint32_t size = 0;
    std::uint64_t last_age = 0;
    std::uint64_t group = 0;
    bool explorer = false;
  };
  using ByClassAndAge = std::map<std::pair<std::uint64_t, std::uint64_t>, double>;

  static std::uint64_t class_of(std::uint64_t ages) {
    const auto digits = static_cast<std::uint64_t>(std::bit_width(ages));
    return digits > Lhd::kClasses - 1 ? 0 : Lhd::kClasses - 1 - digits;
  }
  std::uint64_t age_of(const Tag& tag) const { return std::min<std::uint64_t>((now_ - tag.used) >> shift_, Lhd::kAges - 1); }
  double density_of(const Tag& tag) const {
    const std::uint64_t age = age_of(tag);
    const double per_byte = 1.0 / std::max(tag.size, 1U);
    if (tag.explorer) return 1e20 * per_byte;
    if (age == Lhd::kAges - 1) return 0;
    if (lessons_ == 0) return static_cast<double>(tag.group + 1) / static_cast<double>(age + 1) * per_byte;
    return learnt_[tag.group][age] * per_byte;
  }
  bool turn(Tag& tag) {
    if (--until_explorer_ > 0) return false;
    until_explorer_ = 1 + random_.below(2 * Lhd::kExplorerPart - 1);
    if (explorer_bytes_ >= explorer_bytes_max_) return true;
    tag.explorer = true;
    explorer_bytes_ += tag.size;
    return true;
  }
  void stop_exploring(Tag& tag) {
    if (tag.explorer) explorer_bytes_ -= tag.size;
    tag.explorer = false;
  }

  void tick() {
    if (++now_ < next_lesson_) return;
    ++lessons_;
    for (auto* counts : {&fresh_hits_, &fresh_evictions_}) {
      ByClassAndAge& learnt = counts == &fresh_hits_ ? hits_ : evictions_;
      for (const auto& [where, count] : *counts) learnt[where] += count;
      for (auto& [where, count] : learnt) count *= Lhd::kDecay;
      counts->clear();
    }
    change_step();
    learn();
    period_ = std::min(period_ * 2, Lhd::kLongestPeriod);
    next_lesson_ = now_ + period_;
  }
  // Steps that cover a hundred requests an object: counts go where their ages are now.
  void change_step() {
    int wanted = 0;
    while ((std::uint64_t{Lhd::kAges} << (wanted + 1)) <= 100 * tags_.size()) ++wanted;
    for (ByClassAndAge* counts : {&hits_, &evictions_}) {
      ByClassAndAge moved;
      for (const auto& [where, count] : *counts) {
        const std::uint64_t parts = wanted < shift_ ? std::uint64_t{1} << (shift_ - wanted) : 1;
        for (std::uint64_t part = 0; part < parts; ++part) {
          const std::uint64_t age = wanted < shift_ ? where.second * parts + part : where.second >> (wanted - shift_);
          moved[{where.first, std::min<std::uint64_t>(age, Lhd::kAges - 1)}] += count / static_cast<double>(parts);
        }
      }
      counts->swap(moved);
    }
    shift_ = wanted;
  }
  // At each age: the hits to come, over the time until each event to come.
  void learn() {
    for (std::uint64_t group = 0; group < Lhd::kClasses; ++group) {
      std::array<double, Lhd::kAges> hits{}, events{};
      for (std::uint64_t age = 0; age < Lhd::kAges; ++age) {
        hits[age] = hits_[{group, age}];
        events[age] = hits[age] + evictions_[{group, age}];
      }
      for (std::uint64_t age = 0; age + 1 < Lhd::kAges; ++age) {
        double hits_ahead = 0, events_ahead = 0, time_ahead = 0;
        for (std::uint64_t later = age; later < Lhd::kAges; ++later) {
          hits_ahead += hits[later];
          events_ahead += events[later];
          time_ahead += events[later] * static_cast<double>(later - age + 1);
        }
        learnt_[group][age] = events_ahead > 1e-5 ? hits_ahead / time_ahead : 0;
      }
    }
  }

  base::Random random_;
  std::map<Slot, Tag> tags_;
  std::uint64_t slots_ = 0;
  std::uint64_t now_ = 0;
  std::uint64_t next_lesson_ = Lhd::kFirstPeriod, period_ = Lhd::kFirstPeriod;
  std::uint64_t lessons_ = 0;
  int shift_ = 10;
  std::array<Slot, Lhd::kRecent> recent_;
  std::uint32_t recent_next_ = 0;
  double victim_density_ = 0;
  std::uint64_t until_explorer_ = Lhd::kExplorerPart;
  std::int64_t explorer_bytes_ = 0, explorer_bytes_max_ = 0;
  ByClassAndAge fresh_hits_, fresh_evictions_, hits_, evictions_;
  std::array<std::array<double, Lhd::kAges>, Lhd::kClasses> learnt_{};
};

}  // namespace freshet::eviction::exact
