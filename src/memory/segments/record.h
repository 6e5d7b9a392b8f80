// A cached object as it stands in a segment: a head of twelve bytes as a rule, the key, the value. No padding: records stand
// at any address.
//
//   shape 1 | policy 1 | witness 2 | version 6 or 8 | [expiry 6] | key bytes 1 or 2 | value bytes 1, 2 or 4 | key | value
//
// A value that is kept outside has its address in place of its bytes. The shape has no bit for the value's kind: of a hash
// it has both those of a longer value, which a string never has, and four bytes for its length. So a hash never has the
// usual shape, and who looks for that alone never meets one.
//
// A reader without the shard's lock may find anything here: it decodes a copy of the head, takes nothing of it for true
// until the shard's sequence has shown that it was, and reads within the sizes that the copy says (memory/unlocked_reader.h
// has the protocol). May use memory/mapped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/value_kind.h"
#include "memory/mapped/unlocked_read.h"

namespace freshet::memory::segments {

// What a record is made of.
struct Contents {
  std::string_view key = {};
  std::string_view value = {};       // Of one that is kept outside: not its bytes, but as long as it is.
  const char* outside = nullptr;     // Where the value is, unless it is in the record.
  std::uint64_t version = 0;
  std::int64_t expires_at_ms = 0;    // 0: never. Below 2^48.
  std::uint16_t witness = 0;
  bool present = true;
  base::ValueKind kind = base::ValueKind::string;
};

// A record's head, decoded from any bytes.
struct Head {
  std::uint64_t version;
  std::int64_t expires_at_ms;
  std::uint32_t key_bytes;
  std::uint32_t value_bytes;
  std::uint16_t witness;
  std::uint8_t head_bytes;
  std::uint8_t policy;
  bool present;
  bool outside;
  bool dead;
  base::ValueKind kind;

  // Of the whole record.
  std::size_t bytes() const { return head_bytes + std::size_t{key_bytes} + (outside ? sizeof(char*) : value_bytes); }
};

// The head of a record of the usual shape, or what a reader without the lock took for one: its first sixteen bytes, which
// two registers hold. What is behind the head belongs to the key.
class UsualHead {
 public:
  static constexpr std::size_t kBytes = 12;

  UsualHead(std::uint64_t first, std::uint64_t second) : first_(first), second_(second) {}
  static UsualHead glimpse(const char* at) {
    return {unlocked_read::at<unlocked_read::Word>(at),
            unlocked_read::at<unlocked_read::Word>(at + sizeof(std::uint64_t))};
  }

  // The record has this shape, its value inside (a string then), and all of these bits in its policy's byte.
  bool has(std::uint8_t policy_bits) const;
  std::uint8_t shape() const { return static_cast<std::uint8_t>(first_); }
  std::uint8_t policy() const { return static_cast<std::uint8_t>(first_ >> 8); }
  std::uint16_t witness() const { return static_cast<std::uint16_t>(first_ >> 16); }
  std::uint64_t version() const { return first_ >> 32 | std::uint64_t{static_cast<std::uint16_t>(second_)} << 32; }
  std::size_t key_bytes() const { return static_cast<std::uint8_t>(second_ >> 16); }
  std::size_t value_bytes() const { return static_cast<std::uint8_t>(second_ >> 24); }
  bool present() const;

 private:
  std::uint64_t first_;
  std::uint64_t second_;
};

class Record {
 public:
  // As many bytes behind any record may be read.
  static constexpr std::size_t kHeadBytesMax = 24;
  static constexpr std::size_t kHeadBytesUsual = UsualHead::kBytes;
  static constexpr std::size_t kKeyBytesMax = UINT16_MAX;
  static constexpr std::size_t kValueBytesMax = UINT32_MAX;
  static constexpr std::int64_t kExpiryMax = (std::int64_t{1} << 48) - 1;

  static constexpr bool can_hold(std::size_t key_bytes, std::size_t value_bytes, std::int64_t expires_at_ms) {
    return key_bytes <= kKeyBytesMax && value_bytes <= kValueBytesMax && expires_at_ms >= 0 && expires_at_ms <= kExpiryMax;
  }
  static std::size_t bytes_of(const Contents& contents);
  // Writes bytes_of(contents) bytes; the policy's byte is 0.
  static void write(const Contents& contents, char* to);

  explicit Record(char* at) : at_(at) {}

  char* address() const { return at_; }
  Head head() const { return decode(at_); }
  // With the lock; `head` is this record's.
  std::string_view key(const Head& head) const { return {at_ + head.head_bytes, head.key_bytes}; }
  std::string_view value(const Head& head) const {
    const char* const behind_key = at_ + head.head_bytes + head.key_bytes;
    return {head.outside ? outside_at(behind_key) : behind_key, head.value_bytes};
  }

  // For the policy, with the lock. 0 at first.
  std::uint8_t policy() const { return static_cast<std::uint8_t>(at_[1]); }
  void set_policy(std::uint8_t policy) { poke(at_[1], static_cast<char>(policy)); }
  // It has left the index: who goes through the segment passes it over.
  void kill() { poke(at_[0], static_cast<char>(at_[0] | kDead)); }

  // Without the lock: a copy of the head, decoded.
  static Head glimpse(const char* at) {
    const UsualHead head = UsualHead::glimpse(at);
    if (head.shape() & kUnusual) [[unlikely]] return glimpse_unusual(at);
    return decode_usual(head);
  }

 private:
  friend class UsualHead;
  enum Shape : std::uint8_t {
    kPresent = 1,
    kOutside = 2,
    kExpires = 4,
    kWideKey = 8,      // Two bytes say how long the key is.
    kWideValue = 16,   // Two bytes say how long the value is,
    kHugeValue = 32,   // or four; both: four, and the value is a hash.
    kWideVersion = 64, // Eight bytes instead of six.
    kDead = 128,
  };
  static constexpr std::uint64_t kSixBytes = (std::uint64_t{1} << 48) - 1;

  template <typename Word>
  static Word load(const char* from) {
    Word word;
    std::memcpy(&word, from, sizeof word);
    return word;
  }
  static const char* outside_at(const char* from) { return load<const char*>(from); }
  static constexpr std::uint64_t kUnusual = kWideVersion | kExpires | kWideKey | kWideValue | kHugeValue;

  static std::uint8_t shape_of(const Contents& contents);
  static Head decode(const char* from);
  [[gnu::noinline]] static Head glimpse_unusual(const char* at) {
    char copy[kHeadBytesMax];
    peek_bytes(at, sizeof copy, copy);
    return decode(copy);
  }
  static Head decode_usual(UsualHead head) {
    return {.version = head.version(),
            .expires_at_ms = 0,
            .key_bytes = static_cast<std::uint32_t>(head.key_bytes()),
            .value_bytes = static_cast<std::uint32_t>(head.value_bytes()),
            .witness = head.witness(),
            .head_bytes = kHeadBytesUsual,
            .policy = head.policy(),
            .present = head.present(),
            .outside = (head.shape() & kOutside) != 0,
            .dead = (head.shape() & kDead) != 0,
            .kind = base::ValueKind::string};
  }

  char* at_;
};

inline bool UsualHead::has(std::uint8_t policy_bits) const {
  const std::uint64_t wanted = std::uint64_t{policy_bits} << 8;
  return (first_ & (wanted | Record::kUnusual | Record::kOutside)) == wanted;
}

inline bool UsualHead::present() const { return (first_ & Record::kPresent) != 0; }

// Reads kHeadBytesMax bytes at most, whatever they are.
inline Head Record::decode(const char* from) {
  Head head = decode_usual({load<std::uint64_t>(from), load<std::uint64_t>(from + sizeof(std::uint64_t))});
  const auto shape = load<std::uint8_t>(from);
  if (!(shape & kUnusual)) [[likely]] return head;
  std::size_t at = 10;
  if (shape & kWideVersion) {
    head.version = load<std::uint64_t>(from + 4);
    at += 2;
  }
  if (shape & kExpires) {
    head.expires_at_ms = static_cast<std::int64_t>(load<std::uint64_t>(from + at) & kSixBytes);
    at += 6;
  }
  if (shape & kWideKey) {
    head.key_bytes = load<std::uint16_t>(from + at);
    at += 2;
  } else {
    head.key_bytes = load<std::uint8_t>(from + at++);
  }
  if (shape & kHugeValue) {
    head.value_bytes = load<std::uint32_t>(from + at);
    at += 4;
    if (shape & kWideValue) head.kind = base::ValueKind::hash;
  } else if (shape & kWideValue) {
    head.value_bytes = load<std::uint16_t>(from + at);
    at += 2;
  } else {
    head.value_bytes = load<std::uint8_t>(from + at++);
  }
  head.head_bytes = static_cast<std::uint8_t>(at);
  return head;
}

}  // namespace freshet::memory::segments
