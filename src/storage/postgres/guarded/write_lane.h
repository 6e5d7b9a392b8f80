// The lane for writes: unconditional puts that wait because the connections are busy travel together, as one transaction.
// Nothing waits in order to be merged: a write that finds a connection with room goes at once, and alone.
//
// Each keeps its own operation, token, deadline and outcome. A merged transaction that the server refuses, for whatever
// reason, is rolled back, and its writes are sent again, each alone: what one of them suffers concerns no other. One that
// gets no answer leaves them all with an unknown outcome.
//
// Writes of single rows travel together likewise, where no trigger could carry one's doings over to another's row. A write
// with rows among several keys, or with keys that are only checked, travels alone, as several statements of one transaction.
//
// May use storage.
#pragma once

#include "storage/postgres/guarded/write_codec.h"

namespace freshet::storage::postgres {

// The most puts in one transaction, and the bytes of their keys and values together.
inline constexpr std::size_t kMergedPutsMax = 64;
inline constexpr std::size_t kMergedBytesMax = 256 * 1024;
// The most rows that are statements of their own: each waits for the ones before it.
inline constexpr std::size_t kMergedRowsMax = 16;
// How far behind the first call of the queue puts are looked for: others stand between them.
inline constexpr std::size_t kMergeLookMax = 4 * kMergedPutsMax;
// Puts go to connections with fewer statements in flight than this: one runs, the next is on its way. More would travel
// alone only to wait there.
inline constexpr std::size_t kPutsInFlightMax = 2;

class WriteLane final : public Lane {
 public:
  // `rows` outlives it.
  WriteLane(net::Loop& loop, Deadlines& deadlines, Options options, const PostgresOptions& storage_options,
            const PlansInForce& rows)
      : Lane(loop, deadlines, std::move(options)), storage_options_(storage_options), rows_(rows) {}

 private:
  using Batch = std::vector<WriteCallPointer>;
  void dispatch(Connection& connection) override;
  std::size_t in_flight_max() const override;
  struct MergedRows;
  void send_rows(Batch batch, Connection& connection);
  void on_rows(const MergedRows& merged, Connection& connection, Reply reply);
  void send_transaction(const WriteCallPointer& call, Connection& connection);
  void on_transaction(const WriteCallPointer& call, Connection& connection, Reply reply);
  // Takes the first call off the queue, and what may travel with it.
  Batch gather();
  void send_merged(Batch batch, Connection& connection);
  void on_batch(const Batch& batch, Connection& connection, Reply reply);
  void refuse_batch(const Batch& batch, Connection& connection, const SqlError& error);
  void finish_batch(const Batch& batch, const PGresult* rows);

  const PostgresOptions& storage_options_;
  const PlansInForce& rows_;
};

}  // namespace freshet::storage::postgres
