// One set_guard call: bounded batches of cells, each a transaction; cell by cell where a writer sits on its lock; after a
// limit its holder is reported, and ended if it is a writer of this fleet.
//
// On the loop's thread. May use storage.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "storage/postgres/lane.h"
#include "storage/postgres/options.h"
#include "storage/postgres/rows/row_plan.h"
#include "storage/storage.h"

namespace freshet::storage::postgres {

// Cells whose locks one transaction takes: few of PostgreSQL's fixed lock table, and short waits for writers.
inline constexpr int kGuardCellsPerTransaction = 32;
// How many set_guard calls may wait at once.
inline constexpr std::size_t kGuardQueueMax = 4096;

class GuardSetter : public std::enable_shared_from_this<GuardSetter> {
 public:
  // `rows`: whose seals must be there when the guard is set: they are told which are not, before the guard is there, and
  // then `unsealed` is called.
  GuardSetter(const PostgresOptions& options, PlansInForce& rows, Lane& guards, Lane& administration,
              Deadlines& deadlines, std::function<void()> unsealed)
      : options_(options), rows_(rows), guards_(guards), administration_(administration), deadlines_(deadlines),
        unsealed_(std::move(unsealed)) {}

  void run(base::SlotRange range, Token token, base::Nanoseconds deadline, Callback<void> done);

 private:
  void send_next();
  void on_answer(Answer answer);
  void note_unsealed(std::string_view array);
  void on_lock_timeout();
  void probe_holders();
  void on_holders(Answer answer);
  void finish(Result<void> result);
  bool is_past_limit() const { return stuck_since_ != 0 && base::now() - stuck_since_ >= options_.guard_holder_limit; }

  const PostgresOptions& options_;
  PlansInForce& rows_;
  Lane& guards_;
  Lane& administration_;
  Deadlines& deadlines_;
  const std::function<void()> unsealed_;

  base::SlotRange range_;
  Token token_;
  base::Nanoseconds deadline_ = 0;
  Callback<void> done_;

  int next_slot_ = 0;
  int batch_end_ = 0;          // The last slot of the statement in flight.
  int single_cells_until_ = -1;  // Up to this slot one cell at a time: a batch there ran into a lock.
  CallPointer call_;
  base::Nanoseconds sent_ = 0;
  base::Nanoseconds stuck_since_ = 0;  // Since when the present cell is waited for; 0: it is not.
  std::string holder_;
};

}  // namespace freshet::storage::postgres
