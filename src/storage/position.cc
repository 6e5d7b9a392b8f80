// The order of keys in storage.
#include "storage/storage.h"

namespace freshet::storage {

std::uint64_t position_of(std::string_view key) {
  return first_position_of(base::slot_of(key)) | (base::hash_of(key) >> 16);
}

}  // namespace freshet::storage
