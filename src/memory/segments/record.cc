// Writing a record. See memory/segments/record.h.
#include "memory/segments/record.h"

#include <cassert>
#include <limits>

namespace freshet::memory::segments {
namespace {

template <typename Word>
constexpr std::size_t kMost = std::numeric_limits<Word>::max();

// Appends to a record.
class Pen {
 public:
  explicit Pen(char* at) : at_(at) {}
  template <typename Word>
  void put(Word word, std::size_t bytes = sizeof(Word)) {
    std::memcpy(at_, &word, bytes);  // Little-endian: the low bytes.
    at_ += bytes;
  }
  void put(std::string_view text) {
    if (!text.empty()) std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }

 private:
  char* at_;
};

}  // namespace

std::uint8_t Record::shape_of(const Contents& contents) {
  unsigned shape = 0;
  if (contents.present) shape |= kPresent;
  if (contents.outside) shape |= kOutside;
  if (contents.expires_at_ms != 0) shape |= kExpires;
  if (contents.key.size() > kMost<std::uint8_t>) shape |= kWideKey;
  if (contents.kind == base::ValueKind::hash) {
    shape |= kHugeValue | kWideValue;
  } else if (contents.value.size() > kMost<std::uint16_t>) {
    shape |= kHugeValue;
  } else if (contents.value.size() > kMost<std::uint8_t>) {
    shape |= kWideValue;
  }
  if (contents.version > kSixBytes) shape |= kWideVersion;
  return static_cast<std::uint8_t>(shape);
}

std::size_t Record::bytes_of(const Contents& contents) {
  const unsigned shape = shape_of(contents);
  std::size_t bytes = kHeadBytesUsual + contents.key.size();
  bytes += shape & kOutside ? sizeof(char*) : contents.value.size();
  if (shape & kWideVersion) bytes += 2;
  if (shape & kExpires) bytes += 6;
  if (shape & kWideKey) bytes += 1;
  bytes += shape & kHugeValue ? 3 : shape & kWideValue ? 1 : 0;
  return bytes;
}

void Record::write(const Contents& contents, char* to) {
  assert(contents.key.size() <= kKeyBytesMax && contents.value.size() <= kValueBytesMax);
  assert(contents.expires_at_ms >= 0 && contents.expires_at_ms <= kExpiryMax);
  const unsigned shape = shape_of(contents);
  Pen pen(to);
  pen.put(static_cast<std::uint8_t>(shape));
  pen.put(std::uint8_t{0});
  pen.put(contents.witness);
  pen.put(contents.version, shape & kWideVersion ? 8 : 6);
  if (shape & kExpires) pen.put(contents.expires_at_ms, 6);
  pen.put(static_cast<std::uint16_t>(contents.key.size()), shape & kWideKey ? 2 : 1);
  pen.put(static_cast<std::uint32_t>(contents.value.size()), shape & kHugeValue ? 4 : shape & kWideValue ? 2 : 1);
  pen.put(contents.key);
  if (contents.outside) {
    pen.put(contents.outside);
  } else {
    pen.put(contents.value);
  }
}

}  // namespace freshet::memory::segments
