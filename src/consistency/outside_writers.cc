// Polling for transactions of plain SQL, marking their cells, and letting them in.
#include "consistency/outside_writers.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/log.h"

namespace freshet::consistency {
namespace {

// Polls in a row without an answer after which that is said: a connection that was lost is soon there again.
constexpr int kFailuresQuiet = 20;

}  // namespace

OutsideWriters::OutsideWriters(storage::Storage& storage, net::Loop& loop, Guards& guards, Protections protections,
                               OutsideLimits limits, Listener listener)
    : storage_(storage),
      loop_(loop),
      guards_(guards),
      protections_(protections),
      limits_(limits),
      listener_(std::move(listener)) {
  loop_.after(limits_.poll_interval, [this] { tick(); });
}

// Marks outlive a period of ownership: while no polls are made nobody is let in, and the first of the next period brings
// them up to date.
void OutsideWriters::on_assignment_change(const ownership::AssignmentChange& change) {
  if (!change.added.empty()) {
    period_ = change.added.back()->period();
  } else if (!change.removed.empty()) {
    period_ = 0;
  }
}

// One poll at a time, so that answers come in the order in which the database was looked at.
void OutsideWriters::tick() {
  if (stopped_) return;
  loop_.after(limits_.poll_interval, [this] { tick(); });
  if (polling_ || period_ == 0 || storage_.rows() == nullptr) return;
  polling_ = true;
  storage_.pass_requests(known_, standing_.any(), base::now() + limits_.call_timeout,
                         [this](Result<storage::PassRequests> reply) {
                           loop_.post([this, reply = std::move(reply)] { on_poll(reply); });
                         });
}

void OutsideWriters::on_poll(Result<storage::PassRequests> reply) {
  if (stopped_) return;
  // A storage that lets nobody in need not be asked again.
  polling_ = !reply && reply.error().code == ErrorCode::unsupported;
  if (!reply) {
    if (++failures_ == kFailuresQuiet && !polling_) {
      base::log_warning("consistency", "transactions of plain SQL wait: {}", reply.error().what);
    }
    return;
  }
  failures_ = 0;
  note_number(*reply);
  if (reply->cells) {
    CellSet standing;
    for (const int cell : *reply->cells) standing.set(static_cast<std::size_t>(cell));
    apply(standing);
  }
  fence();
  acknowledge();
}

// Another server, or the same after a crash, begins to count anew.
void OutsideWriters::note_number(const storage::PassRequests& reply) {
  const bool same = reply.server == known_.server;
  if (same && reply.number > known_.number) requests_ += reply.number - known_.number;
  if (!same) acknowledged_.fill(0);
  known_.number = reply.number;
  known_.server = reply.server;
}

void OutsideWriters::apply(const CellSet& standing) {
  const CellSet opened = standing & ~standing_;
  const CellSet ended = standing_ & ~standing;
  standing_ = standing;
  for (std::size_t cell = 0; cell < opened.size(); ++cell) {
    if (opened[cell] && protections_.outside_marks) ++marks_[cell];
    if (!ended[cell]) continue;
    if (protections_.outside_marks) ++marks_[cell];
    fenced_.reset(cell);
    acknowledged_[cell] = 0;
  }
  cells_ += opened.count();
  open_ = standing.count();
  if (opened.any() && protections_.outside_marks) listener_.opened(opened);
  if (ended.none()) return;
  listener_.ended();
  let_go(ended);
}

// A waiter that saw the mark came before this takes the mutex.
void OutsideWriters::let_go(const CellSet& cells) {
  std::vector<Waiting> gone;
  {
    std::lock_guard lock(waiters_mutex_);
    const auto stays = [&](const Waiting& waiting) { return !cells[waiting.cell]; };
    const auto first = std::stable_partition(waiters_.begin(), waiters_.end(), stays);
    gone.assign(std::move_iterator(first), std::move_iterator(waiters_.end()));
    waiters_.erase(first, waiters_.end());
  }
  for (auto& waiting : gone) waiting.run();
}

bool OutsideWriters::wait(base::Slot slot, std::function<void()> run) {
  {
    std::lock_guard lock(waiters_mutex_);
    if (stopped_ || waiters_.size() >= limits_.waiters_max) return false;
    if (is_marked(slot)) {
      waiters_.push_back({static_cast<std::size_t>(base::cell_of(slot)), std::move(run)});
      return true;
    }
  }
  run();
  return true;
}

void OutsideWriters::stop() {
  {
    std::lock_guard lock(waiters_mutex_);
    stopped_ = true;
  }
  let_go(CellSet().set());
}

void OutsideWriters::fence() {
  const CellSet missing = standing_ & ~fenced_ & ~fencing_;
  if (!protections_.outside_fence) fenced_ = standing_;
  if (!protections_.outside_fence || missing.none()) return;
  const auto deadline = base::deadline_after(base::now(), limits_.fence_timeout);
  for (std::size_t i = 0; i < missing.size(); ++i) {
    if (!missing[i]) continue;
    const int cell = static_cast<int>(i);
    fencing_.set(i);
    guards_.renew_cell(cell);
    await_guards(cell, base::range_of_cell(cell).first, marks_[i], deadline);
  }
}

// Every slot's guard was dropped when its cell was marked, or was under way and nobody had it: whoever has one now has it
// since the mark.
void OutsideWriters::await_guards(int cell, int slot, std::uint64_t mark, base::Nanoseconds deadline) {
  if (slot > base::range_of_cell(cell).last) {
    return loop_.post([=, this] { on_guards(cell, mark, true); });
  }
  guards_.wait(static_cast<base::Slot>(slot), deadline, [=, this](const Result<GuardRef>& guard) {
    if (guard) return await_guards(cell, slot + 1, mark, deadline);
    loop_.post([=, this] { on_guards(cell, mark, false); });
  });
}

void OutsideWriters::on_guards(int cell, std::uint64_t mark, bool are_there) {
  if (stopped_) return;
  const auto i = static_cast<std::size_t>(cell);
  fencing_.reset(i);
  // The mark may have ended, and another begun: what came then is not fenced by this.
  if (!are_there || !standing_[i] || marks_[i] != mark) return;
  fenced_.set(i);
  acknowledge();
}

void OutsideWriters::acknowledge() {
  const std::uint64_t period = period_;
  if (acknowledging_ || period == 0) return;
  if (std::exchange(acknowledged_period_, period) != period) acknowledged_.fill(0);
  storage::PassesHeard heard{{}, known_.number, known_.server, period};
  for (std::size_t cell = 0; cell < fenced_.size(); ++cell) {
    if (fenced_[cell] && acknowledged_[cell] < known_.number) heard.cells.push_back(static_cast<int>(cell));
  }
  if (heard.cells.empty()) return;
  acknowledging_ = true;
  storage_.acknowledge_passes(heard, base::now() + limits_.call_timeout, [this, heard](const Result<void>& reply) {
    loop_.post([this, heard, ok = reply.operator bool()] { on_acknowledged(heard, ok); });
  });
}

// One whose answer was lost is given again after the next poll.
void OutsideWriters::on_acknowledged(const storage::PassesHeard& heard, bool ok) {
  acknowledging_ = false;
  if (stopped_ || !ok || heard.server != known_.server || heard.period != acknowledged_period_) return;
  for (const int cell : heard.cells) acknowledged_[static_cast<std::size_t>(cell)] = heard.number;
  acknowledge();
}

OutsideStats OutsideWriters::stats() const { return {requests_, cells_, open_}; }

}  // namespace freshet::consistency
