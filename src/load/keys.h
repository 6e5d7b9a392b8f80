// Which keys a load asks for: a set of keys, and streams of draws from it. May use trace.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "freshet/result.h"
#include "trace/reader.h"

namespace freshet::load {

inline constexpr std::uint64_t kKeysMax = 1'000'000'000'000;  // What twelve digits can number.
inline constexpr std::size_t kKeyBytesMax = 4096;
inline constexpr std::uint64_t kReplayedRequestsMax = 500'000'000;  // Of a list or a trace; each takes four bytes.

// One thread's stream of keys, without end. The view holds until the next call.
class KeySource {
 public:
  virtual ~KeySource() = default;
  virtual std::string_view next() = 0;
};

// Shared by all threads.
class KeySet {
 public:
  virtual ~KeySet() = default;
  // How many different keys there are.
  virtual std::uint64_t size() const = 0;
  // Thread-safe. Streams of different seeds differ, where they are random.
  virtual std::unique_ptr<KeySource> draws(std::uint64_t seed) = 0;
  // The keys numbered from `first` up to before `last`, each once; from then on the empty key.
  virtual std::unique_ptr<KeySource> each(std::uint64_t first, std::uint64_t last) = 0;
  // For people: "100000 keys, uniform".
  virtual std::string to_text() const = 0;
};

// "key:000000000000" and so on: `prefix` and twelve digits, as redis-benchmark names them. The exponent is Zipf's; 0: every
// key as often as any other. The popular ones are spread over the numbers, so that they are no neighbours where they are
// stored.
Result<std::shared_ptr<KeySet>> numbered_keys(std::string_view prefix, std::uint64_t count, double zipf_exponent);

// The lines of a file, asked for in the file's order, over and over. All threads share one place in it.
Result<std::shared_ptr<KeySet>> listed_keys(const std::string& path);

// The requests of a trace (trace/reader.h), in its order, over and over; all threads share one place in it. Keys are named
// "key:" and their hash. Sizes and times are left aside, and so are deletions.
Result<std::shared_ptr<KeySet>> traced_keys(const std::string& path, const trace::ReadOptions& options);

}  // namespace freshet::load
