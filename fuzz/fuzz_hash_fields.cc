// Fuzzes the reader of hashes: any bytes are corrupted, or fields within them; one field is found as among all; and without
// a repeated name the fields are written as the same bytes.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "storage/hash_fields.h"

namespace {

using namespace freshet::storage;

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A copy, so that the sanitizer sees a read behind the end.
  const std::vector<char> bytes(data, data + size);
  const std::string_view text(bytes.data(), bytes.size());
  const auto fields = read_hash(text);
  const auto changed = HashFields::read(text);
  const auto missing = find_in_hash(text, "a name that is long enough to be in no corpus");
  require(fields.has_value() == changed.has_value());
  if (!fields) {
    require(fields.error().code == freshet::ErrorCode::corrupted);
    require(!missing);
    return 0;
  }
  require(missing.has_value() && *hash_size(text) == fields->size());
  HashFields again;
  bool repeated = false;
  for (const auto& [name, value] : *fields) {
    require(find_in_hash(text, name)->has_value());
    repeated |= !again.set(name, value);
  }
  const auto written = again.write();
  if (!written) {
    require(written.error().code == freshet::ErrorCode::out_of_range);
    return 0;
  }
  require(repeated || *written == text);
  return 0;
}
