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
  const auto digest = std::string(bytes_at(answer.rows.get(), 0, 1));
  const auto now = base::now();
  if (digest == of.digest() || (digest == told_ && now - told_at_ < kRowsLookAgain)) return;
  told_ = digest;
  told_at_ = now;
  outdated_();
}

}  // namespace freshet::storage::postgres
