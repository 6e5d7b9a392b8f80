// The answers of a transaction's statements by their places. May use storage.
#pragma once

#include <cstddef>

#include "storage/postgres/connection.h"

namespace freshet::storage::postgres {

inline const PGresult* rows_of(const Reply& reply, std::size_t step) {
  return step < reply.earlier.size() ? reply.earlier[step].get() : reply.rows.get();
}

}  // namespace freshet::storage::postgres
