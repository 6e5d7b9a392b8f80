// The number in front of a row's bytes.
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

}  // namespace freshet::storage
