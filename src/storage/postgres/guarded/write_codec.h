// WriteRequests as parameters of the functions of schema freshet, and their rows as WriteReplies. May use storage.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "storage/postgres/guarded/write_transaction.h"
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
  // Of several statements: with rows among its keys, or keys that are only checked. And then its reply.
  std::unique_ptr<WriteTransaction> transaction;
  std::optional<Result<WriteReply>> transaction_reply;
  bool is_under_way = false;  // Sent as one that may travel with others, and not answered.
};
using WriteCallPointer = std::shared_ptr<WriteCall>;

// What is wrong with the request itself, if anything. `may_repeat`: whether a mutation's key may be another's too.
std::optional<Error> fault_of(const WriteRequest& request, const std::function<bool(const Mutation&)>& may_repeat);

// freshet.write's, for key-value mutations.
Parameters encode_batch(const WriteRequest& request, const PostgresOptions& options);
// One result a mutation, of its rows.
WriteReply decode_batch(const std::vector<Mutation>& mutations, const PGresult* rows);
void add_lock_class(Parameters& parameters, const PostgresOptions& options);
std::int64_t expiry_ms_of(const Expiry& expiry);

// Its keys, values and cells, and what is sent with each.
std::size_t bytes_of(const WriteRequest& request);

// Fills statement, parameters and bytes in from the request; what the reply needs stays in the request. A call that may
// merge only gets what its place in the queue needs.
void prepare_write(WriteCall& call, const PostgresOptions& options);
// The statement and parameters of a call that may merge, and travels alone.
void encode_put(WriteCall& call, const PostgresOptions& options);
// freshet.put_many's, for calls that may merge. Sorts them by key.
Parameters encode_puts(std::vector<WriteCallPointer>& calls, const PostgresOptions& options);

// freshet.put_many's, for unconditional puts whose deadlines, if any, are moments.
struct Put {
  const Mutation* mutation;
  OperationId operation;
};
bool are_plain_puts(const std::vector<Mutation>& mutations);
// `puts`: ascending by key.
Parameters encode_puts(const std::vector<Put>& puts, const PostgresOptions& options);

WriteReply decode_write(const WriteCall& call, const PGresult* rows);

}  // namespace freshet::storage::postgres
