// The lane for writes: unconditional puts that wait travel together, as one transaction. They wait while every connection is
// busy, and while fewer wait than are under way, for company.
//
// Each keeps its own operation, token, deadline and outcome. A merged transaction that the server refuses, for whatever
// reason, is rolled back, and its writes are sent again, each alone: what one of them suffers concerns no other. One that
// gets no answer leaves them all with an unknown outcome.
//
// Writes of rows, each of one row or a transaction of several, travel together likewise, where no trigger could carry one's
// doings over to another's row (WriteTransaction::may_travel). Others travel alone.
//
// May use storage.
#pragma once

#include <atomic>
#include <functional>
#include <span>

#include "storage/postgres/guarded/write_codec.h"

namespace freshet::storage::postgres {

// The most puts in one transaction, and the bytes of their keys and values together.
inline constexpr std::size_t kMergedPutsMax = 64;
inline constexpr std::size_t kMergedBytesMax = 256 * 1024;
// The most rows in one transaction, those of all its writes together,
inline constexpr std::size_t kMergedRowsMax = 256;
// and the most statements that they are: each waits for the ones before it.
inline constexpr std::size_t kMergedStatementsMax = 16;
// How far behind the first call of the queue puts are looked for: others stand between them.
inline constexpr std::size_t kMergeLookMax = 4 * kMergedPutsMax;
// Puts go to connections with fewer statements in flight than this: one runs, the next is on its way. More would travel
// alone only to wait there.
inline constexpr std::size_t kPutsInFlightMax = 2;
// Writes of rows to idle ones only: what comes while one is under way is the next transaction, and the more travel together,
// the less each costs.
inline constexpr std::size_t kRowsInFlightMax = 1;
// And of either kind: while fewer wait than are under way, they wait for those to come back, and for company; no longer than
// this.
inline constexpr base::Nanoseconds kCompanyWaitMax = 2 * base::kMillisecond;

class WriteLane final : public Lane {
 public:
  // `fetch`, on the loop's thread: submits what is on its way here.
  WriteLane(net::Loop& loop, Deadlines& deadlines, Options options, const PostgresOptions& storage_options,
            std::function<void()> fetch)
      : Lane(loop, deadlines, std::move(options)), storage_options_(storage_options), fetch_(std::move(fetch)),
        company_timer_(loop) {}

  bool would_hold_back(const Call& call) const override;

 private:
  using Batch = std::vector<WriteCallPointer>;
  void dispatch(Connection& connection) override;
  std::size_t in_flight_max() const override;
  bool holds_back() const override;
  void go_on() override;
  void on_reply(const CallPointer& call, Connection& connection, Reply reply) override;
  void set_out(const Batch& batch);
  void came_back(std::span<const WriteCallPointer> calls);
  void fetch();
  void limit_waiting();
  void send_alone(const WriteCallPointer& call, Connection& connection);
  void send_transactions(Batch batch, Connection& connection);
  void on_transactions(const Batch& batch, Connection& connection, Reply reply);
  void take_reply(const WriteCallPointer& call, const Reply& reply);
  void send_transaction(const WriteCallPointer& call, Connection& connection);
  void on_transaction(const WriteCallPointer& call, Connection& connection, Reply reply);
  // Takes the first call off the queue, and what may travel with it: puts, or transactions on rows.
  Batch gather_puts();
  Batch gather_transactions();
  void send_merged(Batch batch, Connection& connection);
  void on_batch(const Batch& batch, Connection& connection, Reply reply);
  void refuse_batch(const Batch& batch, Connection& connection, const SqlError& error);
  void finish_batch(const Batch& batch, const PGresult* rows);

  const PostgresOptions& storage_options_;
  const std::function<void()> fetch_;
  std::atomic<std::size_t> under_way_ = 0;  // Writes that may travel with others.
  net::Timer company_timer_;                // Runs while some are under way.
  bool is_timed_ = false;
  bool is_fetching_ = false;
};

}  // namespace freshet::storage::postgres
