// The steps of set_guard. A waiting exclusive lock queues every later shared one, so each attempt waits for a short time.
#include "storage/postgres/guarded/set_guard.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "storage/postgres/statements.h"
#include "storage/postgres/text_array.h"

namespace freshet::storage::postgres {
namespace {

// The tables that are sealed, and the functions of their seals.
void add_seals(const RowPlans& plans, Parameters& parameters) {
  ArrayBuilder tables(oid::kText), seals(oid::kText);
  for (const auto& plan : plans.serving()) {
    if (!plan->text().sealed) continue;
    tables.add(plan->text().table);
    seals.add(seal_name(plan->text()));
  }
  parameters.add(tables.take()).add(seals.take());
}

}  // namespace

void GuardSetter::run(base::SlotRange range, Token token, base::Nanoseconds deadline, Callback<void> done) {
  range_ = range;
  token_ = token;
  deadline_ = deadline;
  done_ = std::move(done);
  next_slot_ = range.first;
  send_next();
}

void GuardSetter::send_next() {
  const bool single = next_slot_ <= single_cells_until_;
  const int last_cell = base::cell_of(static_cast<base::Slot>(next_slot_)) + (single ? 0 : kGuardCellsPerTransaction - 1);
  batch_end_ = std::min<int>(range_.last, (last_cell + 1) * base::kSlotsPerCell - 1);
  auto call = std::make_shared<Call>();
  call->doing = "set_guard";
  call->statement = &statements::kSetGuard;
  call->deadline = deadline_;
  // Sent again it would carry a token that is no longer fresh.
  call->on_loss = OnLoss::fail;
  call->tells_timeline = true;
  if (options_.dialect == GuardDialect::advisory) {
    call->parameters.add(encoded(options_.advisory_lock_class));
  } else {
    call->parameters.add_null();
  }
  call->parameters.add(options_.fleet)
      .add(encoded(std::int32_t{next_slot_}))
      .add(encoded(std::int32_t{batch_end_}))
      .add(encoded(token_));
  add_seals(rows_.now(), call->parameters);
  call->done = [self = shared_from_this()](Answer answer) { self->on_answer(std::move(answer)); };
  if (!guards_.admit(*call)) {
    return finish(Error::of(ErrorCode::busy, fmt::format("{} set_guard calls wait already", kGuardQueueMax)));
  }
  sent_ = base::now();
  call_ = call;
  if (stuck_since_ != 0) {
    // While the attempt waits, PostgreSQL can say for whom.
    deadlines_.add(sent_ + options_.guard_lock_timeout / 2, [self = shared_from_this(), call] {
      if (self->call_ == call) self->probe_holders();
    });
  }
  guards_.submit(std::move(call));
}

void GuardSetter::on_answer(Answer answer) {
  call_.reset();
  if (!done_) return;
  if (answer.state == sqlstate::kLockNotAvailable) return on_lock_timeout();
  if (answer.error) {
    if (!holder_.empty()) answer.error->what += "; the last holder seen of its lock is " + holder_;
    return finish(*answer.error);
  }
  if (!is_null(answer.rows.get(), 0, 1)) note_unsealed(bytes_at(answer.rows.get(), 0, 1));
  stuck_since_ = 0;
  holder_.clear();
  next_slot_ = batch_end_ + 1;
  if (next_slot_ > range_.last) return finish({});
  send_next();
}

// The guard counts for all others.
void GuardSetter::note_unsealed(std::string_view array) {
  std::vector<std::string> tables;
  const auto names = read_text_array(array);
  if (!names) return finish(names.error());
  for (const auto& name : *names) tables.emplace_back(name.value_or(""));
  if (const auto news = rows_.now().not_known_unsealed(tables); !news.empty()) {
    base::log_warning("storage", "{} is not sealed: its rows are not cached until it is", fmt::join(tables, ", "));
    rows_.change([&](const RowPlans& now) { return now.with_unsealed(now.not_known_unsealed(tables)); });
  }
  unsealed_();
}

void GuardSetter::on_lock_timeout() {
  const bool was_single = batch_end_ / base::kSlotsPerCell == next_slot_ / base::kSlotsPerCell;
  if (!was_single) {
    single_cells_until_ = std::max(single_cells_until_, batch_end_);
  } else if (stuck_since_ == 0) {
    stuck_since_ = sent_;
  } else if (base::now() - stuck_since_ >= 2 * options_.guard_holder_limit) {
    return finish(Error::of(ErrorCode::busy,
                            fmt::format("set_guard waited {} ms for the lock of cell {}{}{}",
                                        (base::now() - stuck_since_) / base::kMillisecond,
                                        base::cell_of(static_cast<base::Slot>(next_slot_)),
                                        holder_.empty() ? "" : ", held by ", holder_),
                            "End that transaction."));
  }
  send_next();
}

void GuardSetter::probe_holders() {
  if (call_->connection == nullptr) return;
  auto call = std::make_shared<Call>();
  call->doing = "looking for the holder of a lock";
  call->statement = &statements::kHolders;
  call->deadline = std::min(deadline_, base::now() + options_.guard_lock_timeout);
  call->parameters.add(encoded(std::int32_t{call_->connection->server_process()}))
      .add(application_name(options_.fleet, "write"))
      .add(encoded(is_past_limit()));
  call->done = [self = shared_from_this()](Answer answer) { self->on_holders(std::move(answer)); };
  if (administration_.admit(*call)) administration_.submit(std::move(call));
}

void GuardSetter::on_holders(Answer answer) {
  if (!done_ || !answer.rows || PQntuples(answer.rows.get()) == 0) return;
  holder_.clear();
  bool ended = false;
  for (int row = 0; row < PQntuples(answer.rows.get()); ++row) {
    if (row > 0) holder_ += "; ";
    holder_ += bytes_at(answer.rows.get(), row, 0);
    ended |= bool_at(answer.rows.get(), row, 1);
  }
  if (ended || !is_past_limit()) return;
  finish(Error::of(ErrorCode::busy,
                   fmt::format("set_guard waits for the lock of cell {}, held for {} ms by {}",
                               base::cell_of(static_cast<base::Slot>(next_slot_)),
                               (base::now() - stuck_since_) / base::kMillisecond, holder_),
                   "End that transaction."));
}

void GuardSetter::finish(Result<void> result) {
  if (!done_) return;
  // The attempt in flight ends by itself; its token is never installed.
  std::exchange(done_, nullptr)(std::move(result));
}

}  // namespace freshet::storage::postgres
