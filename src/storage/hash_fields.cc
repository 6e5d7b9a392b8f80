// Reading and writing the form of hashes. See storage/hash_fields.h.
#include "storage/hash_fields.h"

#include <algorithm>

namespace freshet::storage {
namespace {

constexpr char kFormat = 1;
// A field takes a byte for each of its lengths.
constexpr std::size_t kFieldBytesMin = 2;

Error corrupted_hash() {
  return Error::of(ErrorCode::corrupted, "the bytes of a hash do not have its form",
                   "write the key anew (DEL, then HSET); if it happens again, please report it");
}

Error too_large(const std::string& what, std::size_t most) {
  return Error::of(ErrorCode::out_of_range,
                   "the hash would have " + what + "; at most " + std::to_string(most) +
                       " are allowed, since each write stores all of it",
                   "spread it over several keys, or keep it as rows of a table");
}

void append_number(std::string& out, std::size_t number) {
  for (; number >= 0x80; number >>= 7) out.push_back(static_cast<char>(number | 0x80));
  out.push_back(static_cast<char>(number));
}

std::size_t bytes_of_number(std::size_t number) {
  std::size_t bytes = 1;
  while (number >>= 7) ++bytes;
  return bytes;
}

// Walks from front to back, checking every length.
class Walk {
 public:
  explicit Walk(std::string_view bytes) : rest_(bytes) {}

  // The number of fields that follow; nullopt if so many cannot follow.
  std::optional<std::size_t> begin() {
    if (rest_.empty() || rest_.front() != kFormat) return std::nullopt;
    rest_.remove_prefix(1);
    const auto fields = take_number();
    if (!fields || *fields == 0 || *fields > rest_.size() / kFieldBytesMin) return std::nullopt;
    return fields;
  }
  bool take(HashField& field) { return take_text(field.name) && take_text(field.value); }
  bool at_end() const { return rest_.empty(); }

 private:
  std::optional<std::size_t> take_number() {
    std::uint64_t number = 0;
    for (std::size_t i = 0; i < rest_.size() && i < 5; ++i) {
      const auto byte = static_cast<unsigned char>(rest_[i]);
      number |= std::uint64_t{byte & 0x7fu} << (7 * i);
      if (byte & 0x80) continue;
      if ((byte == 0 && i > 0) || number > UINT32_MAX) return std::nullopt;  // Another spelling; too large.
      rest_.remove_prefix(i + 1);
      return number;
    }
    return std::nullopt;
  }
  bool take_text(std::string_view& text) {
    const auto length = take_number();
    if (!length || *length > rest_.size()) return false;
    text = rest_.substr(0, *length);
    rest_.remove_prefix(*length);
    return true;
  }

  std::string_view rest_;
};

}  // namespace

Result<std::vector<HashField>> read_hash(std::string_view bytes) {
  Walk walk(bytes);
  const auto count = walk.begin();
  if (!count) return corrupted_hash();
  std::vector<HashField> fields(*count);
  for (auto& field : fields) {
    if (!walk.take(field)) return corrupted_hash();
  }
  if (!walk.at_end()) return corrupted_hash();
  return fields;
}

Result<std::size_t> hash_size(std::string_view bytes) {
  const auto count = Walk(bytes).begin();
  if (!count) return corrupted_hash();
  return *count;
}

Result<std::optional<std::string_view>> find_in_hash(std::string_view bytes, std::string_view name) {
  Walk walk(bytes);
  const auto count = walk.begin();
  if (!count) return corrupted_hash();
  for (std::size_t i = 0; i < *count; ++i) {
    HashField field;
    if (!walk.take(field)) return corrupted_hash();
    if (field.name == name) return std::optional(field.value);
  }
  if (!walk.at_end()) return corrupted_hash();
  return std::optional<std::string_view>();
}

Result<HashFields> HashFields::read(std::string_view bytes) {
  const auto fields = read_hash(bytes);
  if (!fields) return fields.error();
  HashFields hash;
  hash.places_.reserve(fields->size());
  for (const auto& [name, value] : *fields) hash.places_.push_back({name, value});
  hash.size_ = fields->size();
  return hash;
}

std::size_t HashFields::place_of(std::string_view name) const {
  if (++looks_ <= kLooksWithoutIndex) {
    const auto found = std::find_if(places_.begin(), places_.end(),
                                    [&](const Place& place) { return place.value && place.name == name; });
    return found == places_.end() ? kNowhere : static_cast<std::size_t>(found - places_.begin());
  }
  if (index_.empty()) {
    for (std::size_t i = 0; i < places_.size(); ++i) {
      if (places_[i].value) index_.try_emplace(places_[i].name, i);
    }
  }
  const auto found = index_.find(name);
  return found == index_.end() ? kNowhere : found->second;
}

std::optional<std::string_view> HashFields::find(std::string_view name) const {
  const std::size_t place = place_of(name);
  return place == kNowhere ? std::nullopt : places_[place].value;
}

bool HashFields::set(std::string_view name, std::string_view value) {
  const std::size_t place = place_of(name);
  if (place != kNowhere) {
    places_[place].value = value;
    return false;
  }
  if (!index_.empty()) index_.emplace(name, places_.size());
  places_.push_back({name, value});
  ++size_;
  return true;
}

bool HashFields::erase(std::string_view name) {
  const std::size_t place = place_of(name);
  if (place == kNowhere) return false;
  places_[place].value.reset();
  index_.erase(name);
  --size_;
  return true;
}

Result<std::string> HashFields::write() const {
  if (size_ > kHashFieldsMax) return too_large(std::to_string(size_) + " fields", kHashFieldsMax);
  std::size_t bytes = 1 + bytes_of_number(size_);
  for (const auto& [name, value] : places_) {
    if (!value) continue;
    bytes += bytes_of_number(name.size()) + name.size() + bytes_of_number(value->size()) + value->size();
  }
  if (bytes > kHashBytesMax) return too_large(std::to_string(bytes) + " bytes", kHashBytesMax);
  std::string out;
  out.reserve(bytes);
  out.push_back(kFormat);
  append_number(out, size_);
  for (const auto& [name, value] : places_) {
    if (!value) continue;
    append_number(out, name.size());
    out.append(name);
    append_number(out, value->size());
    out.append(*value);
  }
  return out;
}

}  // namespace freshet::storage
