// Random numbers: a small fast generator that repeats from a seed (tests, policies), and process-unique tokens.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>

namespace freshet::base {

// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014).
class Random {
 public:
  using result_type = std::uint64_t;
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t operator()() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  // Uniform in [0, bound); bound > 0. The bias is below 2^-32 for bounds below 2^32.
  std::uint64_t below(std::uint64_t bound) {
    return static_cast<std::uint64_t>((static_cast<__uint128_t>((*this)()) * bound) >> 64);
  }
  // Uniform in [0, 1).
  double share() { return static_cast<double>((*this)() >> 11) * 0x1p-53; }
  bool chance(double probability) { return share() < probability; }

  static constexpr std::uint64_t min() { return 0; }
  static constexpr std::uint64_t max() { return UINT64_MAX; }

 private:
  std::uint64_t state_;
};

// A 128-bit value that is never made twice: 64 random bits drawn from the operating system for this process, and a counter.
// Guard tokens and operation ids are such values. PostgreSQL stores them as uuid.
struct UniqueId {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  // A fresh id. Safe from any thread.
  static UniqueId make();
  bool is_nil() const { return high == 0 && low == 0; }
  // The 36-character text form of a UUID.
  std::string to_text() const;
  // 16 bytes, most significant first, as PostgreSQL's binary uuid.
  std::array<unsigned char, 16> to_bytes() const;
  static UniqueId from_bytes(const unsigned char* bytes);
  friend auto operator<=>(const UniqueId&, const UniqueId&) = default;
};

// A seed from the operating system's entropy.
std::uint64_t entropy();

}  // namespace freshet::base
