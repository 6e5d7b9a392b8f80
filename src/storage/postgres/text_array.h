// Arrays of texts in PostgreSQL's binary form, in which rows' columns come. May use storage.
#pragma once

#include <string_view>

#include "freshet/result.h"
#include "storage/row.h"

namespace freshet::storage::postgres {

inline constexpr unsigned kTextArray = 1009;

// Elements of a one-dimensional text[]; nullopt: NULL. They are views into `bytes`. Errors: corrupted.
Result<RowView> read_text_array(std::string_view bytes);

}  // namespace freshet::storage::postgres
