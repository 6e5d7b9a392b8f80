// Arrays of texts: in PostgreSQL's binary form, in which rows' columns come, and as literals of any type's. May use storage.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "freshet/result.h"
#include "storage/row.h"

namespace freshet::storage::postgres {

inline constexpr unsigned kTextArray = 1009;

// Elements of a one-dimensional text[]; nullopt: NULL. They are views into `bytes`. Errors: corrupted.
Result<RowView> read_text_array(std::string_view bytes);

// The text of a one-dimensional array of these elements, none of them NULL, each as its type's input function takes it.
std::string array_literal(const std::vector<std::string_view>& elements);

}  // namespace freshet::storage::postgres
