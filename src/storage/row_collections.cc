// The number in front of a row's bytes, and who wrote it.
#include "storage/row_collections.h"

#include <cstring>

namespace freshet::storage {

bool RowCollection::has_shape(std::string_view value) const {
  std::uint32_t number = 0;
  if (value.size() < sizeof number) return false;
  std::memcpy(&number, value.data(), sizeof number);
  return number == shape_number;
}

std::string RowCollection::value_of(std::string_view row) const {
  std::string value(sizeof shape_number, '\0');
  std::memcpy(value.data(), &shape_number, sizeof shape_number);
  value += row;
  return value;
}

const RowCollection* RowCollections::of_value(std::string_view key, std::string_view value) const {
  const auto* const now = find(key);
  if (now && now->has_shape(value)) return now;
  for (const auto& collection : former_) {
    if (collection->spec.name == prefix_of(key) && collection->has_shape(value)) return collection.get();
  }
  return nullptr;
}

const RowCollection* RowCollections::of_shape(std::string_view key, const RowShape* shape) const {
  const auto* const now = find(key);
  if (now && now->shape.get() == shape) return now;
  for (const auto& collection : former_) {
    if (collection->spec.name == prefix_of(key) && collection->shape.get() == shape) return collection.get();
  }
  return nullptr;
}

}  // namespace freshet::storage
