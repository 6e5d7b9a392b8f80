// The steps of the sweep: a note each interval, then a walk if a note is old enough.
#include "storage/postgres/guarded/tombstone_sweep.h"

#include <utility>

#include "storage/postgres/statements.h"

namespace freshet::storage::postgres {
namespace {

constexpr base::Nanoseconds kSweepDeadline = 5 * base::kSecond;

}  // namespace

void TombstoneSweep::begin() {
  if (std::exchange(begun_, true)) return;
  note_timer_.start(0, [this] { take_note(); }, options_.tombstone_sweep_interval);
}

void TombstoneSweep::send(const Statement& statement, Parameters parameters, std::function<void(const Answer&)> take) {
  auto call = std::make_shared<Call>();
  call->doing = "sweeping tombstones";
  call->statement = &statement;
  call->parameters = std::move(parameters);
  call->deadline = base::now() + kSweepDeadline;
  call->on_loss = OnLoss::fail;
  call->tells_timeline = true;
  call->done = [take = std::move(take)](const Answer& answer) { take(answer); };
  if (!lane_.admit(*call)) {
    walking_ = false;
    return;
  }
  lane_.submit(std::move(call));
}

void TombstoneSweep::take_note() {
  send(statements::kLastVersion, {}, [this](const Answer& answer) { on_note(answer); });
}

// Taken when the answer is here: every version up to it was given out before.
void TombstoneSweep::on_note(const Answer& answer) {
  if (answer.error) return;
  const auto* rows = answer.rows.get();
  if (bytes_at(rows, 0, 0) != timeline_) {
    timeline_ = bytes_at(rows, 0, 0);
    notes_.clear();
    walking_ = false;
    walk_timer_.stop();
  }
  const auto now = base::now();
  notes_.push_back({now, int8_at(rows, 0, 1)});
  const auto old_enough = now - options_.tombstone_age;
  while (notes_.size() > 1 && notes_[1].taken <= old_enough) notes_.pop_front();
  if (walking_ || notes_.front().taken > old_enough) return;
  walking_ = true;
  page_ = 0;
  version_ = notes_.front().version;
  walk();
}

void TombstoneSweep::walk() {
  Parameters parameters;
  parameters.add(encoded(page_)).add(encoded(page_ + kSweepPagesMax)).add(encoded(version_)).add(encoded(kSweepRowsMax));
  send(statements::kSweep, std::move(parameters), [this](const Answer& answer) { on_pages(answer); });
}

void TombstoneSweep::on_pages(const Answer& answer) {
  if (!walking_) return;
  walking_ = !answer.error;
  if (!walking_) return;
  // A full batch may have left some on these pages.
  if (int8_at(answer.rows.get(), 0, 1) < kSweepRowsMax) page_ += kSweepPagesMax;
  walking_ = page_ < int8_at(answer.rows.get(), 0, 2);
  if (walking_) walk_timer_.start(kSweepPause, [this] { walk(); });
}

}  // namespace freshet::storage::postgres
