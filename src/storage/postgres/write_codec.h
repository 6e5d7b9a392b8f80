// WriteRequests as parameters of the functions of schema freshet, and their rows as WriteReplies. May use storage.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "storage/postgres/lane.h"
#include "storage/postgres/options.h"
#include "storage/storage.h"

namespace freshet::storage::postgres {

// PostgreSQL takes messages of up to 1 GiB; the rest is room for arrays and their headers.
inline constexpr std::size_t kWriteBytesMax = 1000ull * 1024 * 1024;

struct WriteCall final : Call {
  WriteRequest request;
  // An unconditional put: it may travel with others, and is encoded when it is sent.
  bool may_merge = false;
  // If it travelled with others: set before `done` is called without an error. Else the answer's rows tell.
  std::optional<Version> merged_version;
};
using WriteCallPointer = std::shared_ptr<WriteCall>;

// What is wrong with the request itself, if anything.
std::optional<Error> fault_of(const WriteRequest& request);

// Fills statement, parameters and bytes in from the request; what the reply needs stays in the request. A call that may
// merge only gets what its place in the queue needs.
void prepare_write(WriteCall& call, const PostgresOptions& options);
// The statement and parameters of a call that may merge, and travels alone.
void encode_put(WriteCall& call, const PostgresOptions& options);
// freshet.put_many's, for calls that may merge. Sorts them by key.
Parameters encode_puts(std::vector<WriteCallPointer>& calls, const PostgresOptions& options);

WriteReply decode_write(const WriteCall& call, const PGresult* rows);

}  // namespace freshet::storage::postgres
