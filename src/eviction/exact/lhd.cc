// See eviction/exact/lhd.h.
#include "eviction/exact/lhd.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace freshet::eviction::exact {
namespace {

constexpr std::uint64_t kAgesTimesObjects = 100;  // Requests that ages cover, for each object.
constexpr int kShiftMax = 31;
constexpr float kEnoughEvents = 1e-5F;
constexpr float kHopeless = 0;       // The density of the greatest age: below any other,
constexpr float kExploring = 1e20F;  // that of explorers above any other but
constexpr float kNotThere = 1e30F;   // that of a slot that is not in use.

}  // namespace

Lhd::Lhd(std::uint64_t seed)
    : random_(seed), fresh_(kClasses * kAges), learnt_(kClasses * kAges), densities_((kClasses + 2) * kAges, kNotThere) {
  recent_.fill(kNoSlot);
  for (std::uint32_t group = 0; group < kClasses; ++group) {
    for (std::uint32_t age = 0; age < kAges - 1; ++age) {
      densities_[group * kAges + age] = static_cast<float>(group + 1) / static_cast<float>(age + 1);
    }
    densities_[group * kAges + kAges - 1] = kHopeless;
  }
  std::fill_n(&densities_[kExplorer * kAges], kAges, kExploring);
}

void Lhd::on_insert(Slot slot, const Access& access) {
  make_room_for(tags_, slot, Tag{0, 1, 0, 0, kAbsent});
  make_room_for(size_, slot);
  size_[slot] = access.size;
  Tag& tag = tags_[slot];
  const float per_byte = 1.0F / static_cast<float>(std::max(access.size, 1U));
  tag = {static_cast<std::uint32_t>(now_), per_byte, 0, class_of(kAges), class_of(kAges)};
  ++objects_;
  if (--until_explorer_ == 0) {
    start_exploring(slot);
  } else if (density_of(tag) < victim_density_) {
    recent_[recent_next_++ % kRecent] = slot;
  }
}

// It is this object's turn, unless explorers have their bytes already.
void Lhd::start_exploring(Slot slot) {
  until_explorer_ = 1 + random_.below(2 * kExplorerPart - 1);
  if (explorer_bytes_left_ <= 0) return;
  tags_[slot].row = kExplorer;
  explorer_bytes_left_ -= size_[slot];
}

void Lhd::stop_exploring(Slot slot) {
  if (tags_[slot].row == kExplorer) explorer_bytes_left_ += size_[slot];
  tags_[slot].row = tags_[slot].group;
}

void Lhd::on_resize(Slot slot, std::uint32_t size) {
  if (tags_[slot].row == kExplorer) explorer_bytes_left_ += std::int64_t{size_[slot]} - std::int64_t{size};
  tags_[slot].per_byte = 1.0F / static_cast<float>(std::max(size, 1U));
  size_[slot] = size;
}

void Lhd::on_erase(Slot slot) { forget(slot); }

void Lhd::forget(Slot slot) {
  stop_exploring(slot);
  for (Slot& recent : recent_) {
    if (recent == slot) recent = kNoSlot;
  }
  tags_[slot].row = kAbsent;
  tags_[slot].per_byte = 1;
  --objects_;
}

Slot Lhd::take_victim() {
  if (objects_ == 0) return kNoSlot;
  const Slot slot = least_dense();
  const Tag& tag = tags_[slot];
  ++fresh_[tag.group * kAges + age_of(tag)].evictions;
  forget(slot);
  return slot;
}

// Of the slots that are drawn, and of the recent ones. Densities are not negative, so their bits sort as they do; the slot
// stands below them, and the least of these numbers is found without a branch. Most slots are in use; one that is not has a
// density that is never the least.
Slot Lhd::least_dense() {
  std::uint64_t least = UINT64_MAX;
  const auto consider = [&](Slot slot) {
    const auto bits = std::bit_cast<std::uint32_t>(density_of(tags_[slot]));
    least = std::min(least, std::uint64_t{bits} << 32 | slot);
  };
  for (std::uint32_t i = 0; i < kSamples; i += 2) {
    const std::uint64_t random = random_();
    consider(static_cast<Slot>(((random >> 32) * tags_.size()) >> 32));
    consider(static_cast<Slot>(((random & UINT32_MAX) * tags_.size()) >> 32));
  }
  for (const Slot recent : recent_) {
    if (recent != kNoSlot) consider(recent);
  }
  const auto victim = static_cast<Slot>(least);
  if (tags_[victim].row == kAbsent) return any_object();
  const auto density = std::bit_cast<float>(static_cast<std::uint32_t>(least >> 32));
  victim_density_ = kDecay * victim_density_ + (1 - kDecay) * density;
  return victim;
}

// The first one from a place drawn at random: for a cache that has shrunk, so that draws find nobody.
Slot Lhd::any_object() {
  auto slot = static_cast<Slot>(random_.below(tags_.size()));
  while (tags_[slot].row == kAbsent) slot = slot + 1 == tags_.size() ? 0 : slot + 1;
  return slot;
}

void Lhd::set_capacity(std::uint64_t bytes) {
  const std::uint64_t budget = bytes / kExplorerPart;
  explorer_bytes_left_ += static_cast<std::int64_t>(budget) - static_cast<std::int64_t>(explorer_bytes_max_);
  explorer_bytes_max_ = budget;
}

std::size_t Lhd::overhead_bytes() const {
  return bytes_of(tags_) + bytes_of(size_) + bytes_of(fresh_) + bytes_of(learnt_) + bytes_of(densities_);
}

void Lhd::learn() {
  for (std::size_t i = 0; i < learnt_.size(); ++i) {
    learnt_[i].hits = kDecay * (learnt_[i].hits + static_cast<float>(fresh_[i].hits));
    learnt_[i].evictions = kDecay * (learnt_[i].evictions + static_cast<float>(fresh_[i].evictions));
    fresh_[i] = {};
  }
  adapt_age_step();
  compute_densities();
  period_ = std::min(period_ * 2, kLongestPeriod);
  next_learning_ = now_ + period_;
}

// The counts are carried over to the new steps; the ages in the tags are not: they only choose a class once more.
void Lhd::adapt_age_step() {
  const std::uint64_t step = std::max<std::uint64_t>(1, kAgesTimesObjects * objects_ / kAges);
  const int wanted = std::min(static_cast<int>(std::bit_width(step)) - 1, kShiftMax);
  if (wanted == age_shift_) return;
  scale_ages(wanted - age_shift_);
  age_shift_ = wanted;
}

void Lhd::scale_ages(int by) {
  for (std::uint32_t group = 0; group < kClasses; ++group) {
    Events<float>* const after = &learnt_[group * kAges];
    std::array<Events<float>, kAges> before;
    std::copy_n(after, kAges, before.begin());
    std::fill(after, after + kAges, Events<float>{});
    for (std::uint32_t age = 0; age < kAges; ++age) {
      // A longer step gathers several ages; a shorter one spreads one evenly.
      const std::uint32_t parts = by >= 0 ? 1U : 1U << -by;
      for (std::uint32_t part = 0; part < parts; ++part) {
        const std::uint64_t to = by >= 0 ? age >> by : (std::uint64_t{age} << -by) + part;
        auto& bin = after[std::min<std::uint64_t>(to, kAges - 1)];
        bin.hits += before[age].hits / static_cast<float>(parts);
        bin.evictions += before[age].evictions / static_cast<float>(parts);
      }
    }
  }
}

// From the oldest age down: the hits still to come, over the time still to be spent.
void Lhd::compute_densities() {
  for (std::uint32_t group = 0; group < kClasses; ++group) {
    const Events<float>* const bins = &learnt_[group * kAges];
    float* const densities = &densities_[group * kAges];
    float hits = bins[kAges - 1].hits;
    float events = hits + bins[kAges - 1].evictions;
    float time = events;
    densities[kAges - 1] = kHopeless;
    for (std::uint32_t age = kAges - 1; age-- > 0;) {
      hits += bins[age].hits;
      events += bins[age].hits + bins[age].evictions;
      time += events;
      densities[age] = events > kEnoughEvents ? hits / time : 0;
    }
  }
}

}  // namespace freshet::eviction::exact
