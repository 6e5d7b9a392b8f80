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

template <typename Any>
FRESHET_UNLOCKED_READ inline void copy_unit(const char* from, char* to) {
  reinterpret_cast<Any*>(to)->value = at<Any>(from);
}

// At least one unit; the last one may overlap the one before.
template <typename Any>
FRESHET_UNLOCKED_READ inline void copy_units(const char* from, std::size_t bytes, char* to) {
  const char* const last = from + bytes - sizeof(Any);
  char* const last_to = to + bytes - sizeof(Any);
  for (; from < last; from += sizeof(Any), to += sizeof(Any)) copy_unit<Any>(from, to);
  copy_unit<Any>(last, last_to);
}

// What differs between the two: zero if nothing does.
template <typename Any>
FRESHET_UNLOCKED_READ inline auto difference(const char* from, std::size_t bytes, const char* to) {
  const char* const last = from + bytes - sizeof(Any);
  auto all = at<Any>(last) ^ reinterpret_cast<const Any*>(to + bytes - sizeof(Any))->value;
  for (; from < last; from += sizeof(Any), to += sizeof(Any)) all |= at<Any>(from) ^ reinterpret_cast<const Any*>(to)->value;
  return all;
}

// Out of line: less than a unit of those that most have.
[[gnu::noinline]] FRESHET_UNLOCKED_READ inline void copy_short(const char* from, std::size_t bytes, char* to) {
  if (bytes >= sizeof(Word)) return copy_units<Word>(from, bytes, to);
  if (bytes >= sizeof(Half)) return copy_units<Half>(from, bytes, to);
  for (std::size_t i = 0; i < bytes; ++i) copy_unit<Unit<char>>(from + i, to + i);
}

[[gnu::noinline]] FRESHET_UNLOCKED_READ inline bool equal_short(const char* from, std::string_view wanted) {
  if (wanted.size() >= sizeof(Word)) return difference<Word>(from, wanted.size(), wanted.data()) == 0;
  bool equal = true;
  for (std::size_t i = 0; i < wanted.size(); ++i) equal &= at<Unit<char>>(from + i) == wanted[i];
  return equal;
}

}  // namespace unlocked_read

FRESHET_UNLOCKED_READ inline void peek_bytes(const char* from, std::size_t bytes, char* to) {
  using namespace unlocked_read;
  if (bytes < sizeof(Long)) return copy_short(from, bytes, to);
  copy_units<Long>(from, bytes, to);
}

FRESHET_UNLOCKED_READ inline bool peek_equal(const char* from, std::string_view wanted) {
  using namespace unlocked_read;
  if (wanted.size() < sizeof(Long)) return equal_short(from, wanted);
  const Vector differs = difference<Long>(from, wanted.size(), wanted.data());
  return (differs[0] | differs[1]) == 0;
}

}  // namespace freshet::memory
