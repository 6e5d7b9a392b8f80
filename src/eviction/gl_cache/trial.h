// Which of two ways to choose who leaves does better: by trying both. May use eviction/exact/policy.h.
//
// The model is a guess; on some traces it is a worse one than the rule for untrained caches. So some of the choices are made
// by the other way, and what each way evicted is remembered for a while: the way whose victims are asked for again less, for
// the room that they gave, makes most of the choices. Old evidence counts for less and less.
// Memory: 24 bytes a victim that is remembered. Keys are sampled by their hash, so that the memory reaches as far back as
// the cache is large.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "eviction/exact/policy.h"

namespace freshet::eviction::gl_cache {

enum class Way : std::uint8_t { rule, model };

class Trial {
 public:
  static constexpr std::uint64_t kOtherPart = 16;      // One choice in so many is made by the way that does worse.
  static constexpr std::uint32_t kEvidenceMax = 4096;  // Victims; then all evidence is halved.

  // Remembers so many victims: a power of two.
  explicit Trial(std::uint32_t victims) : victims_(victims) {}

  // The cache has so many objects, and so many requests fill it anew: what returns later than that would have been missed
  // by either way.
  void set_reach(std::uint32_t objects, std::uint64_t requests) {
    sample_shift_ = std::bit_width(objects / (static_cast<std::uint32_t>(victims_.size()) / 4));
    horizon_ = requests;
  }

  void evicted(std::uint64_t key, std::uint32_t size, Way way, std::uint64_t now) {
    if (!sampled(key)) return;
    victims_[place_of(key)] = {key, now, way};
    Evidence& evidence = evidence_[static_cast<std::size_t>(way)];
    evidence.bytes += size;
    if (++evidence.victims < kEvidenceMax) return;
    for (Evidence& each : evidence_) each = {each.victims / 2, each.bytes / 2, each.returned / 2};
  }
  // `cost`: 1, or the object's bytes.
  void missed(std::uint64_t key, double cost, std::uint64_t now) {
    if (!sampled(key)) return;
    Victim& victim = victims_[place_of(key)];
    if (victim.key != key) return;
    if (now - victim.at <= horizon_) evidence_[static_cast<std::size_t>(victim.way)].returned += cost;
    victim = {};
  }

  // The way of the next choice. While little is known of either they take turns.
  Way next() {
    ++choices_;
    if (!knows()) return choices_ % 2 == 0 ? Way::rule : Way::model;
    const bool other = choices_ % kOtherPart == 0;
    return model_is_better() != other ? Way::model : Way::rule;
  }
  bool knows() const { return std::min(evidence(Way::model).victims, evidence(Way::rule).victims) >= kVictimsMin; }
  bool model_is_better() const { return cost(Way::model) <= cost(Way::rule); }
  // Of what returned, for each byte that was given.
  double cost(Way way) const { return evidence(way).returned / std::max(1.0, evidence(way).bytes); }
  std::size_t bytes() const { return exact::bytes_of(victims_); }

 private:
  static constexpr std::uint32_t kVictimsMin = 128;
  struct Victim {
    std::uint64_t key = 0;
    std::uint64_t at = 0;  // The request.
    Way way = Way::rule;
  };
  struct Evidence {
    std::uint32_t victims = 0;
    double bytes = 0;
    double returned = 0;
  };

  const Evidence& evidence(Way way) const { return evidence_[static_cast<std::size_t>(way)]; }
  bool sampled(std::uint64_t key) const { return (key & ((std::uint64_t{1} << sample_shift_) - 1)) == 0; }
  std::size_t place_of(std::uint64_t key) const { return (key >> 40) & (victims_.size() - 1); }

  std::vector<Victim> victims_;  // By key; a later one takes the place of an earlier one.
  std::array<Evidence, 2> evidence_;
  std::uint64_t choices_ = 0;
  std::uint64_t horizon_ = 0;  // Requests.
  int sample_shift_ = 0;
};

}  // namespace freshet::eviction::gl_cache
