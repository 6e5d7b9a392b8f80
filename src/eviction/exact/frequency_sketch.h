// How often keys were asked for lately, in little memory: a count-min sketch of 4-bit counters that age. Cormode,
// Muthukrishnan: "An improved data stream summary: the count-min sketch and its applications", 2005; with conservative
// update, and halved at intervals as in TinyLFU (eviction/exact/w_tiny_lfu.h). May use the standard library.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace freshet::eviction::exact {

class FrequencySketch {
 public:
  static constexpr std::uint64_t kCountMax = 15;
  static constexpr std::size_t kWordsMin = 16;  // 16 counters each: one word an object.
  static constexpr std::uint64_t kSamplePerObject = 8;

  FrequencySketch() : words_(kWordsMin) { set_shift(); }

  // Room for so many objects. Growing keeps what was counted: each counter's new places begin with its value.
  void reserve(std::size_t objects) {
    while (words_.size() < objects) {
      std::vector<std::uint64_t> doubled(words_.size() * 2);
      for (std::size_t i = 0; i < doubled.size(); ++i) doubled[i] = words_[i / 2];
      words_.swap(doubled);
      set_shift();
    }
  }
  // One more request. After so many the counts are halved, so that what was popular once is forgotten.
  void add(std::uint64_t key) {
    const std::uint64_t least = count(key);
    if (least < kCountMax) {
      for (int row = 0; row < kRows; ++row) {
        const Place place = place_of(key, row);
        if (at(place) == least) words_[place.word] += std::uint64_t{1} << place.bit;
      }
    }
    if (++added_ >= words_.size() * kSamplePerObject) halve();
  }
  std::uint64_t count(std::uint64_t key) const {
    std::uint64_t least = kCountMax;
    for (int row = 0; row < kRows; ++row) least = std::min(least, at(place_of(key, row)));
    return least;
  }
  std::size_t bytes() const { return words_.capacity() * sizeof(std::uint64_t); }

 private:
  static constexpr int kRows = 4;
  static constexpr std::uint64_t kRowFactors[kRows] = {0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f, 0x165667b19e3779f9,
                                                       0xd6e8feb86659fd93};
  struct Place {
    std::size_t word;
    int bit;
  };

  void set_shift() { shift_ = 64 - std::countr_zero(words_.size()); }
  // Each row has four of a word's sixteen counters.
  Place place_of(std::uint64_t key, int row) const {
    const std::uint64_t hash = key * kRowFactors[row];
    return {static_cast<std::size_t>(hash >> shift_), 16 * row + 4 * static_cast<int>((hash >> 8) & 3)};
  }
  std::uint64_t at(Place place) const { return (words_[place.word] >> place.bit) & kCountMax; }
  void halve() {
    for (std::uint64_t& word : words_) word = (word >> 1) & 0x7777777777777777;
    added_ = 0;
  }

  std::vector<std::uint64_t> words_;  // A power of two.
  int shift_ = 0;
  std::uint64_t added_ = 0;
};

}  // namespace freshet::eviction::exact
