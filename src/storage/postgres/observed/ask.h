// One statement on a lane of sessions, and the reply made of its rows. On the loop's thread. May use storage.
#pragma once

#include <fmt/format.h>

#include <memory>
#include <utility>

#include "storage/postgres/observed/catalog.h"
#include "storage/postgres/observed/session_lane.h"

namespace freshet::storage::postgres {

// `read(const PGresult*, const SessionCall&)` gives the Result<T>. `doing` is for messages: "a probe". Errors: busy if the
// lane's queue is full, and the lane's own. For statements that change nothing: sent again where a connection is lost.
template <typename T, typename Read>
void ask(SessionLane& lane, StatementRef statement, const char* doing, base::Nanoseconds deadline, Callback<T> done,
         Read read, Parameters parameters = {}) {
  const auto call = std::make_shared<SessionCall>();
  call->parameters = std::move(parameters);
  call->doing = doing;
  call->statement = &statement->get();
  call->keeps = std::move(statement);
  call->deadline = deadline;
  call->on_loss = OnLoss::resend;
  if (!lane.admit(*call)) {
    const auto what = fmt::format("{} calls like {} wait for PostgreSQL already", lane.queue_max(), doing);
    return done(Error::of(ErrorCode::busy, what, "Try again."));
  }
  // Not the call itself: it would own itself.
  const std::weak_ptr<SessionCall> weak = call;
  call->done = [done = std::move(done), read = std::move(read), weak](const Answer& answer) {
    if (answer.error) return done(*answer.error);
    done(read(answer.rows.get(), *weak.lock()));
  };
  lane.submit(call);
}

}  // namespace freshet::storage::postgres
