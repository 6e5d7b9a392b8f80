// See storage/postgres/guarded/rows_watch.h.
#include "storage/postgres/guarded/rows_watch.h"

#include "storage/postgres/statements.h"

namespace freshet::storage::postgres {

void RowsWatch::wait() {
  timer_.start(kRowsLookPeriod, [this] { look(); });
}

void RowsWatch::look() {
  const auto& plans = rows_.now();
  if (plans.serving().empty()) return wait();
  auto call = std::make_shared<Call>();
  call->doing = "looking at guarded tables";
  call->statement = &statements::kRowsDigest;
  call->tells_timeline = true;
  call->deadline = base::now() + kRowsLookPeriod;
  call->on_loss = OnLoss::fail;
  call->parameters.add(plans.tables());
  call->done = [this, &plans](const Answer& answer) { on_digest(plans, answer); };
  if (!lane_.admit(*call)) return wait();
  lane_.submit(std::move(call));
}

void RowsWatch::on_digest(const RowPlans& of, const Answer& answer) {
  wait();
  if (answer.error || &of != &rows_.now()) return;
  const auto* const rows = answer.rows.get();
  std::string digests, planned;
  for (int row = 0; row < PQntuples(rows); ++row) {
    digests.append(bytes_at(rows, row, 2)).push_back(' ');
    planned.append(of.serving()[static_cast<std::size_t>(row)]->digest()).push_back(' ');
  }
  const auto now = base::now();
  if (digests == planned || (digests == told_ && now - told_at_ < kRowsLookAgain)) return;
  if (!outdated_()) return;
  told_ = digests;
  told_at_ = now;
}

}  // namespace freshet::storage::postgres
