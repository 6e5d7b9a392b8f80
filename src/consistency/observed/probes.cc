// See consistency/observed/probes.h.
#include "consistency/observed/probes.h"

#include <algorithm>
#include <utility>

namespace freshet::consistency {

void Probes::join(std::shared_ptr<ProbeWaiter> waiter) {
  if (!context_.protections.probe_after_read && !probes_.empty()) {
    probes_.back().waiters.push_back(std::move(waiter));
  } else {
    next_.push_back(std::move(waiter));
  }
}

void Probes::advance(bool may_probe) {
  const base::Nanoseconds now = context_.host.now();
  if (may_probe && next_send() <= now) send();
  const bool due = std::any_of(probes_.begin(), probes_.end(), [&](const Probe& probe) { return probe.nudge_at <= now; });
  if (due) nudge();
}

base::Nanoseconds Probes::next_due(bool may_probe) const {
  base::Nanoseconds due = base::kForever;
  for (const Probe& probe : probes_) due = std::min(due, probe.nudge_at);
  return may_probe ? std::min(due, next_send()) : due;
}

base::Nanoseconds Probes::next_send() const {
  if (outstanding_ || probes_.size() >= kWaitingMax) return base::kForever;
  return std::max(not_before_, next_.empty() ? clock_due() : 0);
}

base::Nanoseconds Probes::clock_due() const {
  const bool asked = context_.host.now() - context_.published.bounded_read_at() < context_.limits.clock_idle_after;
  return last_sent_ + (asked ? context_.limits.clock_period : context_.limits.clock_idle_period);
}

void Probes::nudge() {
  ++context_.stats.nudges;
  context_.storage.nudge();
  const base::Nanoseconds again = context_.host.now() + kNudgeAgainFactor * context_.limits.nudge_after;
  for (Probe& probe : probes_) {
    if (probe.nudge_at != base::kForever) probe.nudge_at = again;
  }
}

void Probes::send() {
  ++context_.stats.probes;
  const base::Nanoseconds now = context_.host.now();
  probes_.push_back({++numbers_, now, nullptr, base::kForever, std::exchange(next_, {})});
  outstanding_ = true;
  last_sent_ = now;
  not_before_ = now + context_.limits.probe_interval_min;
  context_.storage.probe(now + kDeadline, [this, number = numbers_](Result<storage::ProbeReply> reply) {
    on_reply(number, std::move(reply));
    context_.advance();
  });
}

void Probes::on_reply(std::uint64_t number, Result<storage::ProbeReply> reply) {
  outstanding_ = false;
  if (!reply) not_before_ = std::max(not_before_, context_.host.now() + kPauseAfterError);
  if (probes_.empty() || probes_.back().number != number) return;  // Given up.
  const bool proves = reply && listener_.on_probe_reply(*reply, probes_.back().sent);
  if (probes_.empty() || probes_.back().number != number) return;
  if (!proves) {
    const Waiters waiters = std::move(probes_.back().waiters);
    probes_.pop_back();
    const Error why = reply ? Error::of(ErrorCode::unavailable, "the database's catalog has changed") : reply.error();
    for (const auto& waiter : waiters) waiter->on_unprovable(why);
    return;
  }
  Probe& probe = probes_.back();
  newest_position_ = reply->position;
  probe.reply = std::make_shared<Proof>(
      Proof{std::move(reply->identity), std::move(reply->snapshot), reply->position, probe.sent, 0});
  if (context_.protections.nudge) {
    const bool at_once = context_.storage.probes_insert_position();
    probe.nudge_at = context_.host.now() + (at_once ? 0 : context_.limits.nudge_after);
  }
  received();
}

void Probes::received() {
  while (!probes_.empty() && probes_.front().reply && context_.received >= probes_.front().reply->position) {
    const Probe probe = std::move(probes_.front());
    probes_.pop_front();
    listener_.on_probe_proven(probe.reply);
    for (const auto& waiter : probe.waiters) waiter->on_proven(probe.reply);
  }
}

void Probes::give_up(const Error& why) {
  const auto probes = std::exchange(probes_, {});
  const auto next = std::exchange(next_, {});
  for (const Probe& probe : probes) {
    for (const auto& waiter : probe.waiters) waiter->on_unprovable(why);
  }
  for (const auto& waiter : next) waiter->on_unprovable(why);
}

}  // namespace freshet::consistency
