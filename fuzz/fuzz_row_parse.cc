// Fuzzes the reader of rows' JSON: any bytes are cells within the limits, or an invalid argument. Cells that are written as
// strings read back as the same cells, so their texts are UTF-8 without U+0000, and no name is there twice.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "storage/row.h"
#include "storage/row_parse.h"

namespace {

using namespace freshet::storage;

std::string written(const std::vector<ParsedCell>& cells) {
  std::string json = "{";
  for (const auto& cell : cells) {
    if (json.size() > 1) json += ',';
    append_json(json, ColumnKind::text, cell.name);
    json += ':';
    append_json(json, ColumnKind::text, cell.text);
  }
  return json + '}';
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A copy, so that the sanitizer sees a read behind the end.
  const std::vector<char> bytes(data, data + size);
  const auto cells = parse_row_object({bytes.data(), bytes.size()});
  if (!cells) {
    if (cells.error().code != freshet::ErrorCode::invalid_argument) std::abort();
    return 0;
  }
  if (cells->size() > kParsedCellsMax) std::abort();
  const auto again = parse_row_object(written(*cells));
  if (!again || !(*again == *cells)) std::abort();
  return 0;
}
