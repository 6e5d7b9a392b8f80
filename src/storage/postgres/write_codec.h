// A WriteRequest as parameters of freshet.put or freshet.write, and their rows as a WriteReply. May use storage.
#pragma once

#include <optional>

#include "storage/postgres/lane.h"
#include "storage/postgres/options.h"
#include "storage/storage.h"

namespace freshet::storage::postgres {

// PostgreSQL takes messages of up to 1 GiB; the rest is room for arrays and their headers.
inline constexpr std::size_t kWriteBytesMax = 1000ull * 1024 * 1024;

struct WriteCall final : Call {
  WriteRequest request;
};

// What is wrong with the request itself, if anything.
std::optional<Error> fault_of(const WriteRequest& request);

// Fills statement, parameters and bytes in from the request; what the reply needs stays in the request.
void encode_write(WriteCall& call, const PostgresOptions& options);

WriteReply decode_write(const WriteCall& call, const PGresult* rows);

}  // namespace freshet::storage::postgres
