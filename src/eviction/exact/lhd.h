// LHD: least hit density. Beckmann, Chen, Cidon: "LHD: improving cache hit rate by maximizing hit density", NSDI 2018.
//
// An object's hit density is the hits that are to be expected of it for the bytes and the time that it will take: the
// probability that it is hit at all, over its size times its expected time in the cache. The lowest leaves. What is to be
// expected is learnt: for each age (requests since the last use, in coarse steps) how many objects were hit and how many
// left at that age, in classes of objects by how long their last two intervals between uses were together.
//   Room: ten objects drawn at random, and the last eight that came in looking like losers, are compared. (The reference
//   simulator draws 8 at first and 32 later. On the reference traces 32 would miss up to 0.013 less, at half the speed.)
//   Densities are computed anew after 2^16 requests, then after twice as many each time up to 2^20; the counts decay by a
//   tenth each time. Until then density is class / age, and nearly GDSF.
//   One object in 100 is an explorer until its next use: it is kept whatever its density, so that ages beyond the usual are
//   learnt at all. Explorers have at most a hundredth of the bytes.
//   There are 512 ages, in steps such that they cover a hundred times as many requests as there are objects; and twelve
//   classes, by the binary digits of the two last ages' sum.
// It draws random numbers from a seed; the same seed and requests repeat exactly.
//
// The paper's second kind of class, by application, has no use here: a trace names none.
// Time: a hit writes a tag and counts. A victim reads some eighteen tags and densities. Memory: 16 to 32 bytes an object,
// and 124 KiB of tables.
// May use base and policy.h.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "base/random.h"
#include "eviction/exact/policy.h"

namespace freshet::eviction::exact {

class Lhd final : public Policy {
 public:
  static constexpr std::uint32_t kSamples = 10;
  static constexpr std::uint32_t kRecent = 8;
  static constexpr std::uint32_t kExplorerPart = 100;  // One object in so many, and at most one byte in so many.
  static constexpr std::uint32_t kAges = 512;
  static constexpr std::uint32_t kClasses = 12;
  static constexpr std::uint64_t kFirstPeriod = std::uint64_t{1} << 16;  // Requests until densities are learnt,
  static constexpr std::uint64_t kLongestPeriod = std::uint64_t{1} << 20;  // and between later times.
  static constexpr float kDecay = 0.9F;

  explicit Lhd(std::uint64_t seed);

  bool on_miss(const Access&) override {
    tick();
    return true;
  }
  void on_insert(Slot slot, const Access& access) override;
  void on_hit(Slot slot, const Access&) override {
    tick();
    Tag& tag = tags_[slot];
    const std::uint32_t age = age_of(tag);
    ++fresh_[tag.group * kAges + age].hits;
    if (tag.row == kExplorer) stop_exploring(slot);
    tag.row = tag.group = class_of(tag.last_age + age);
    tag.last_age = static_cast<std::uint16_t>(age);
    tag.used = static_cast<std::uint32_t>(now_);
    if (--until_explorer_ == 0) start_exploring(slot);
  }
  void on_resize(Slot slot, std::uint32_t size) override;
  void on_erase(Slot slot) override;
  Slot take_victim() override;
  void set_capacity(std::uint64_t bytes) override;
  std::size_t overhead_bytes() const override;

 private:
  struct Tag {
    std::uint32_t used;      // The request that used it last, modulo 2^32.
    float per_byte;          // 1 / size.
    std::uint16_t last_age;  // At the last hit.
    std::uint8_t group;      // The class.
    std::uint8_t row;        // Of the densities: the class, kExplorer, or kAbsent.
  };
  template <typename Count>
  struct Events {
    Count hits = 0;
    Count evictions = 0;
  };

  void tick() {
    if (++now_ == next_learning_) learn();
  }
  std::uint32_t age_of(const Tag& tag) const {
    const std::uint32_t age = (static_cast<std::uint32_t>(now_) - tag.used) >> age_shift_;
    return age < kAges ? age : kAges - 1;
  }
  float density_of(const Tag& tag) const {
    return densities_[tag.row * kAges + age_of(tag)] * tag.per_byte;
  }
  // The shorter the last two intervals, the higher the class; new objects, of which nothing is known, are in the lowest.
  static std::uint8_t class_of(std::uint32_t last_two_ages) {
    const int down = std::bit_width(last_two_ages);
    return static_cast<std::uint8_t>(std::max(static_cast<int>(kClasses) - 1 - down, 0));
  }
  void start_exploring(Slot slot);
  void stop_exploring(Slot slot);
  void forget(Slot slot);
  Slot least_dense();
  Slot any_object();
  void learn();
  void adapt_age_step();
  void scale_ages(int by);
  void compute_densities();

  // Two rows of densities more: of explorers, and of slots that are not in use.
  static constexpr std::uint8_t kExplorer = kClasses;
  static constexpr std::uint8_t kAbsent = kClasses + 1;

  base::Random random_;
  std::vector<Tag> tags_;              // By slot.
  std::vector<std::uint32_t> size_;    // By slot.
  std::size_t objects_ = 0;
  std::vector<Events<std::uint32_t>> fresh_;  // By class and age: since the last learning,
  std::vector<Events<float>> learnt_;         // and before, decayed.
  std::vector<float> densities_;       // By row and age.
  std::array<Slot, kRecent> recent_;
  std::uint32_t recent_next_ = 0;
  float victim_density_ = 0;           // Of late victims, smoothed.
  std::uint64_t until_explorer_ = kExplorerPart;  // Requests.
  std::int64_t explorer_bytes_left_ = 0;
  std::uint64_t explorer_bytes_max_ = 0;
  std::uint64_t now_ = 0;              // Requests so far.
  std::uint64_t next_learning_ = kFirstPeriod;
  std::uint64_t period_ = kFirstPeriod;
  int age_shift_ = 10;
};

}  // namespace freshet::eviction::exact
