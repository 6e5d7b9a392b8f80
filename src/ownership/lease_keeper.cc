// The steps of holder and challenger.
#include "ownership/lease_keeper.h"

#include <fmt/format.h>

#include <algorithm>

#include "storage/postgres/options.h"
#include "storage/postgres/statements.h"

namespace freshet::ownership {

using storage::postgres::Connection;

namespace {

constexpr base::SlotRange kAllSlots{0, base::kSlots - 1};

Connection::Options connection_options(const PostgresLeaseOptions& options,
                                       const storage::postgres::ConnectionParameters& parameters) {
  storage::postgres::PostgresOptions session;
  session.statement_timeout = options.lease / 2;
  session.idle_in_transaction_timeout = options.lease / 2;
  Connection::Options result;
  result.parameters = parameters;
  result.session_sql = storage::postgres::session_sql(session, options.lease / 4);
  result.statements = {&kReadLease, &kSwapLease};
  // Half a lease without an answer: a new connection may still renew in time.
  result.stall_timeout = options.lease / 2;
  result.connect_timeout = std::max(options.lease / 2, base::kSecond);
  result.backoff_max = options.lease / 4;
  return result;
}

}  // namespace

PostgresLease::Keeper::Keeper(PostgresLeaseOptions options, storage::postgres::ConnectionParameters parameters)
    : options_(std::move(options)), parameters_(std::move(parameters)), loop_("freshet-lease") {
  status_ = {"postgres", "", 0, "The database has not answered yet."};
  loop_.run([this] {
    step_timer_ = std::make_unique<net::Timer>(loop_);
    expiry_timer_ = std::make_unique<net::Timer>(loop_);
    connection_ = std::make_unique<Connection>(loop_, connection_options(options_, parameters_), *this);
  });
}

PostgresLease::Keeper::~Keeper() {
  loop_.run([this] {
    role_ = Role::released;
    if (handle_) handle_->revoke();
    connection_.reset();
    step_timer_.reset();
    expiry_timer_.reset();
  });
}

void PostgresLease::Keeper::listen(AssignmentListener listener) {
  const std::lock_guard lock(listener_mutex_);
  listener_ = std::move(listener);
  if (listener_ && handle_) listener_({{}, {handle_}});
}

OwnershipStatus PostgresLease::Keeper::status() const {
  const std::lock_guard lock(status_mutex_);
  return status_;
}

void PostgresLease::Keeper::say(std::string detail, std::string holder) {
  const std::lock_guard lock(status_mutex_);
  status_ = {"postgres", std::move(holder), handle_ ? handle_->period() : 0, std::move(detail)};
}

void PostgresLease::Keeper::connected(Connection&) { step(); }

void PostgresLease::Keeper::disconnected(Connection&, bool, const std::string& why) {
  if (role_ == Role::releasing) return finish_release();
  if (role_ == Role::challenger) seen_since_ = 0;
  if (role_ == Role::holder) in_doubt_ = true;
  if (role_ == Role::challenger) say(fmt::format("No lease: PostgreSQL cannot be reached ({}).", why));
}

void PostgresLease::Keeper::step() {
  if (in_flight_ || !connection_ || !connection_->is_ready()) return;
  switch (role_) {
    case Role::challenger: return read_record();
    case Role::holder: return in_doubt_ ? read_record() : renew();
    case Role::releasing: return send_release();
    case Role::released: return;
  }
}

void PostgresLease::Keeper::step_in(base::Nanoseconds wait) {
  step_timer_->start(wait, [this] { step(); });
}

void PostgresLease::Keeper::send(const storage::postgres::Statement& statement,
                                 const storage::postgres::Parameters& parameters,
                                 std::function<void(const LeaseAnswer&)> take) {
  in_flight_ = true;
  connection_->send(statement, parameters, [this, take = std::move(take)](Reply reply) {
    in_flight_ = false;
    if (role_ == Role::released) return;
    if (reply.rows) {
      take(lease_answer_of(reply.rows.get()));
    } else {
      on_no_answer(reply.error ? reply.error->message : reply.lost);
    }
    if (role_ == Role::releasing) step();
  });
}

void PostgresLease::Keeper::on_no_answer(const std::string& why) {
  if (role_ == Role::releasing) return finish_release();
  if (role_ == Role::holder) in_doubt_ = true;
  if (role_ == Role::challenger) {
    seen_since_ = 0;
    say("No lease: " + why);
  }
  step_in(options_.renewal_interval);
}

bool PostgresLease::Keeper::is_mine(const std::optional<LeaseRecord>& record) const {
  return record && record_ && record->holder == options_.holder && record->period == record_->period;
}

void PostgresLease::Keeper::read_record() {
  send(kReadLease, read_parameters(options_.fleet), [this](const LeaseAnswer& answer) { on_record(answer); });
}

void PostgresLease::Keeper::on_record(const LeaseAnswer& answer) {
  if (role_ == Role::challenger) return watch(answer);
  if (role_ != Role::holder) return;
  if (!is_mine(answer.record)) return become_challenger();
  // A renewal whose answer was lost may have been applied: its counter is as good as the one before.
  record_ = answer.record;
  in_doubt_ = false;
  renew();
}

// The challenger's clock starts when an answer is *received*: the holder's renewal was sent before.
void PostgresLease::Keeper::watch(const LeaseAnswer& answer) {
  const auto now = base::now();
  if (seen_since_ == 0 || answer.record != record_ || answer.identity != identity_) {
    seen_since_ = now;
    record_ = answer.record;
    identity_ = answer.identity;
  }
  if (!record_ || record_->holder.empty()) return claim(record_);
  const auto lease = std::max(options_.lease, record_->lease_ms * base::kMillisecond);
  const auto free_at = base::deadline_after(seen_since_, lease + drift_margin(lease));
  if (now >= free_at) return claim(record_);
  say(fmt::format("The lease is held by {}; it is taken over once it has not been renewed for {} ms.", record_->holder,
                  (lease + drift_margin(lease)) / base::kMillisecond),
      record_->holder);
  step_in(std::min(options_.renewal_interval, free_at - now));
}

void PostgresLease::Keeper::claim(const std::optional<LeaseRecord>& seen) {
  LeaseRecord next{options_.holder, 1, 1, options_.lease / base::kMillisecond};
  if (seen) {
    next.period = seen->period + 1;
    next.counter = seen->counter + 1;
  }
  const auto sent = base::now();
  send(kSwapLease, swap_parameters(options_.fleet, seen, next),
       [this, next, sent](const LeaseAnswer& answer) { on_claim(next, sent, answer); });
}

void PostgresLease::Keeper::on_claim(const LeaseRecord& next, base::Nanoseconds sent, const LeaseAnswer& answer) {
  if (role_ == Role::releasing && answer.swapped) record_ = next;
  if (role_ != Role::challenger) return;
  if (!answer.swapped) return watch(answer);
  const auto deadline = sent + options_.lease - drift_margin(options_.lease);
  if (base::now() >= deadline) return become_challenger();
  hold(next, deadline, answer.identity);
}

void PostgresLease::Keeper::hold(const LeaseRecord& record, base::Nanoseconds deadline, const storage::Identity& identity) {
  role_ = Role::holder;
  record_ = record;
  identity_ = identity;
  in_doubt_ = false;
  const std::lock_guard lock(listener_mutex_);
  handle_ = new SliceHandle(kAllSlots, record.period, deadline);
  say(fmt::format("This node holds the lease, in period {}.", record.period));
  arm_expiry();
  step_in(options_.renewal_interval);
  if (listener_) listener_({{}, {handle_}});
}

void PostgresLease::Keeper::renew() {
  LeaseRecord next = *record_;
  ++next.counter;
  const auto sent = base::now();
  send(kSwapLease, swap_parameters(options_.fleet, record_, next),
       [this, sent](const LeaseAnswer& answer) { on_renewal(sent, answer); });
}

void PostgresLease::Keeper::on_renewal(base::Nanoseconds sent, const LeaseAnswer& answer) {
  if (role_ == Role::releasing && is_mine(answer.record)) record_ = answer.record;
  if (role_ == Role::challenger) return step();  // The lease ran out while this was on its way.
  if (role_ != Role::holder) return;
  if (!is_mine(answer.record)) return become_challenger();
  record_ = answer.record;
  // A renewal of ours from a connection that was given up came first: this one, from the record as it is now.
  if (!answer.swapped) return renew();
  if (answer.identity != identity_) {
    // Another server, or another history. No other node can hold the lease, since ours has not run out; but what is cached
    // and guarded is void. A new period, at once.
    if (base::now() >= handle_->deadline()) return become_challenger();
    drop_handle();
    role_ = Role::challenger;
    identity_ = answer.identity;
    seen_since_ = base::now();
    return claim(record_);
  }
  if (!handle_->extend(sent + options_.lease - drift_margin(options_.lease), base::now())) return become_challenger();
  arm_expiry();
  step_in(options_.renewal_interval);
}

void PostgresLease::Keeper::arm_expiry() {
  expiry_timer_->start(handle_->deadline() - base::now(), [this] {
    if (role_ != Role::holder) return;
    if (base::now() < handle_->deadline()) return arm_expiry();
    become_challenger();
  });
}

void PostgresLease::Keeper::drop_handle() {
  expiry_timer_->stop();
  const std::lock_guard lock(listener_mutex_);
  if (!handle_) return;
  const auto removed = std::move(handle_);
  handle_ = nullptr;
  removed->revoke();
  if (listener_) listener_({{removed}, {}});
}

void PostgresLease::Keeper::become_challenger() {
  role_ = Role::challenger;
  seen_since_ = 0;
  in_doubt_ = false;
  drop_handle();
  say("No lease: it ran out, or another node has it.");
  step_in(0);
}

void PostgresLease::Keeper::release() {
  loop_.post([this] {
    if (role_ == Role::released || role_ == Role::releasing) return;
    const bool held = role_ == Role::holder;
    role_ = Role::releasing;
    drop_handle();
    say("This node has given the lease up.");
    if (!held && !in_flight_) return finish_release();
    step_timer_->start(options_.lease / 2, [this] { finish_release(); });
    step();
  });
  std::unique_lock lock(release_mutex_);
  released_.wait(lock, [this] { return is_released_; });
}

// Whoever comes next need not wait for the lease to run out.
void PostgresLease::Keeper::send_release() {
  if (in_doubt_ || !record_ || record_->holder != options_.holder) return finish_release();
  LeaseRecord next{"", record_->period, record_->counter + 1, record_->lease_ms};
  send(kSwapLease, swap_parameters(options_.fleet, record_, next), [this](const LeaseAnswer&) { finish_release(); });
}

void PostgresLease::Keeper::finish_release() {
  if (role_ == Role::released) return;
  role_ = Role::released;
  step_timer_->stop();
  // Later, not from within the connection's own callback.
  loop_.post([this] {
    connection_.reset();
    const std::lock_guard lock(release_mutex_);
    is_released_ = true;
    released_.notify_all();
  });
}

}  // namespace freshet::ownership
