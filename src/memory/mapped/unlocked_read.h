// Reading memory that another thread may be changing, or has put to another use since: what a reader without the shard's
// lock does (memory/unlocked_reader.h). Nothing that was read so means anything until the shard's sequence has shown that
// the shard did not change meanwhile.
//
// Single words are relaxed atomic loads. Runs of bytes are volatile loads of words: each is made once, in the order written,
// and a torn run is thrown away like every other. C++ has no word for reading an object that may have ended; this relies on
// what every processor and compiler does: a load gives some bytes and no more than that, if the memory is mapped. It is: the
// block pool never unmaps (memory/mapped/block_pool.h).
//
// The sanitizers are right that such reads meet freed blocks and other threads' writes, so these functions, and only these,
// are taken out of their sight. May use the standard library only.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#define FRESHET_UNLOCKED_READ __attribute__((no_sanitize("address"), no_sanitize("thread"), no_sanitize("undefined")))

namespace freshet::memory {

template <typename T>
concept OneWord = std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(std::uint64_t);

template <OneWord T>
FRESHET_UNLOCKED_READ inline T peek(const T& from) {
  return __atomic_load_n(&from, __ATOMIC_RELAXED);
}

template <OneWord T>
FRESHET_UNLOCKED_READ inline T peek(const std::atomic<T>& from) {
  static_assert(std::atomic<T>::is_always_lock_free && sizeof(std::atomic<T>) == sizeof(T));
  return __atomic_load_n(reinterpret_cast<const T*>(&from), __ATOMIC_RELAXED);
}

// Writes in one piece what such a reader may be reading.
template <OneWord T>
inline void poke(T& to, T value) {
  __atomic_store_n(&to, value, __ATOMIC_RELAXED);
}

namespace unlocked_read {

// What is read at once; anywhere in memory.
template <typename Value>
struct [[gnu::packed, gnu::may_alias]] Unit {
  Value value;
};
using Vector [[gnu::vector_size(16)]] = std::int64_t;
struct [[gnu::packed, gnu::may_alias]] Long {
  Vector value;
};
using Word = Unit<std::uint64_t>;
using Half = Unit<std::uint32_t>;

template <typename Any>
FRESHET_UNLOCKED_READ inline auto at(const char* from) {
  return reinterpret_cast<const volatile Any*>(from)->value;
}

// At least one unit; the last one may overlap the one before.
template <typename Any>
FRESHET_UNLOCKED_READ inline void copy_units(const char* from, std::size_t bytes, char* to) {
  const std::size_t last = bytes - sizeof(Any);
  for (std::size_t i = 0; i < last; i += sizeof(Any)) reinterpret_cast<Any*>(to + i)->value = at<Any>(from + i);
  reinterpret_cast<Any*>(to + last)->value = at<Any>(from + last);
}

template <typename Any>
FRESHET_UNLOCKED_READ inline bool equal_units(const char* from, std::size_t bytes, const char* to) {
  const std::size_t last = bytes - sizeof(Any);
  bool equal = at<Any>(from + last) == reinterpret_cast<const Any*>(to + last)->value;
  for (std::size_t i = 0; i < last; i += sizeof(Any)) {
    equal &= at<Any>(from + i) == reinterpret_cast<const Any*>(to + i)->value;
  }
  return equal;
}

}  // namespace unlocked_read

FRESHET_UNLOCKED_READ inline void peek_bytes(const char* from, std::size_t bytes, char* to) {
  using namespace unlocked_read;
  if (bytes >= sizeof(Long)) return copy_units<Long>(from, bytes, to);
  if (bytes >= sizeof(Word)) return copy_units<Word>(from, bytes, to);
  if (bytes >= sizeof(Half)) return copy_units<Half>(from, bytes, to);
  for (std::size_t i = 0; i < bytes; ++i) to[i] = at<Unit<char>>(from + i);
}

FRESHET_UNLOCKED_READ inline bool peek_equal(const char* from, std::string_view wanted) {
  using namespace unlocked_read;
  if (wanted.size() >= sizeof(Word)) return equal_units<Word>(from, wanted.size(), wanted.data());
  bool equal = true;
  for (std::size_t i = 0; i < wanted.size(); ++i) equal &= at<Unit<char>>(from + i) == wanted[i];
  return equal;
}

}  // namespace freshet::memory
