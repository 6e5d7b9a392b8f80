// A hash of the key-value table, as it is stored and cached: whole, in one string. Whoever changes a field writes all of
// them anew, so what it may hold is limited. May use base only.
//
//   format 1 byte: 1 | fields | for each field: name bytes | name | value bytes | value
//
// Numbers are LEB128 (seven bits a byte, the low ones first), in as few bytes as they take, below 2^32. There is at least
// one field: a hash without fields is an absent key. Fields stand in the order in which they came, as in Redis's small
// hashes: a client reads them as it wrote them. Sorted, they could not be found faster: they have no fixed places, so that
// who looks for one goes through those before it in either case.
//
// Changing the layout means a new format byte; decoders keep the old ones for as long as databases may hold them. Bytes that
// break any of these rules are ErrorCode::corrupted. That no name is there twice is not checked: of two the first counts.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "freshet/result.h"

namespace freshet::storage {

// What one hash may hold; its bytes are those of the form above.
inline constexpr std::size_t kHashFieldsMax = 65'536;
inline constexpr std::size_t kHashBytesMax = 4ull * 1024 * 1024;

struct HashField {
  std::string_view name;
  std::string_view value;
};

// Views into `bytes`. Errors: corrupted.
Result<std::vector<HashField>> read_hash(std::string_view bytes);
// How many fields it has. Reads no field.
Result<std::size_t> hash_size(std::string_view bytes);
// One field's value; reads nothing behind it. Nullopt: there is no such field.
Result<std::optional<std::string_view>> find_in_hash(std::string_view bytes, std::string_view name);

// A hash that is being changed. What it is given (bytes, names, values) must outlive it.
class HashFields {
 public:
  HashFields() = default;
  // Errors: corrupted.
  static Result<HashFields> read(std::string_view bytes);

  std::size_t size() const { return size_; }
  std::optional<std::string_view> find(std::string_view name) const;
  // A new field comes last; one that is there stays in its place. True: it is new.
  bool set(std::string_view name, std::string_view value);
  // False: there was no such field.
  bool erase(std::string_view name);

  // Its bytes; it has a field. Errors: out_of_range.
  Result<std::string> write() const;

 private:
  struct Place {
    std::string_view name;
    std::optional<std::string_view> value;  // Nullopt: erased.
  };
  static constexpr std::size_t kNowhere = SIZE_MAX;
  std::size_t place_of(std::string_view name) const;

  std::vector<Place> places_;
  std::size_t size_ = 0;
  // By name; made once so many fields have been looked for that going through all each time would cost more.
  static constexpr std::size_t kLooksWithoutIndex = 8;
  mutable std::size_t looks_ = 0;
  mutable std::unordered_map<std::string_view, std::size_t> index_;
};

}  // namespace freshet::storage
