// Non-blocking libpq, and poll() over its socket and the interrupt.
#include "storage/postgres/catalog/catalog_session.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/clock.h"

namespace freshet::storage::postgres {

Interrupt::Interrupt() : descriptor_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
Interrupt::~Interrupt() { close(descriptor_); }

void Interrupt::raise() {
  raised_.store(true, std::memory_order_release);
  eventfd_write(descriptor_, 1);  // Never read again: every wait from now on ends at once.
}

std::string CatalogSession::Outcome::value(int column) const {
  return ok() && PQntuples(rows.get()) > 0 ? PQgetvalue(rows.get(), 0, column) : std::string();
}

bool CatalogSession::wait(short events, base::Nanoseconds deadline) {
  while (!interrupt_.is_raised()) {
    const auto left = deadline - base::now();
    if (left <= 0) return false;
    std::array<pollfd, 2> waits = {{{PQsocket(pq_.get()), events, 0}, {interrupt_.descriptor(), POLLIN, 0}}};
    const auto ready = poll(waits.data(), waits.size(), static_cast<int>(left / base::kMillisecond + 1));
    if (ready > 0 && waits[0].revents != 0) return true;
  }
  return false;
}

CatalogSession::Outcome CatalogSession::broken(std::string why) {
  pq_.reset();
  Outcome outcome;
  outcome.error.message = interrupt_.is_raised() ? "Freshet is shutting down" : std::move(why);
  return outcome;
}

Result<void> CatalogSession::ensure_connected(const std::string& session_sql) {
  if (pq_) return {};
  const auto deadline = base::now() + connect_timeout_;
  const ParameterArrays arrays(parameters_);
  pq_.reset(PQconnectStartParams(arrays.keywords.data(), arrays.values.data(), 0));
  auto status = pq_ && PQstatus(pq_.get()) != CONNECTION_BAD ? PGRES_POLLING_WRITING : PGRES_POLLING_FAILED;
  bool in_time = true;
  while (in_time && status != PGRES_POLLING_OK && status != PGRES_POLLING_FAILED) {
    in_time = wait(status == PGRES_POLLING_READING ? POLLIN : POLLOUT, deadline);
    if (in_time) status = PQconnectPoll(pq_.get());
  }
  if (status != PGRES_POLLING_OK || PQsetnonblocking(pq_.get(), 1) != 0) {
    auto why = !in_time ? "no connection within the connect timeout" : pq_ ? message_of(pq_.get()) : "out of memory";
    return Error::of(ErrorCode::unavailable, broken(std::move(why)).error.message,
                     "Freshet connects again by itself; look whether the database is up.");
  }
  PQsetNoticeReceiver(pq_.get(), [](void*, const PGresult*) {}, nullptr);
  if (const auto outcome = run(session_sql); !outcome.ok()) {
    pq_.reset();
    return Error::of(ErrorCode::unavailable, outcome.error.message);
  }
  return {};
}

CatalogSession::Outcome CatalogSession::run(const std::string& sql, const std::vector<std::string>& parameters) {
  if (!pq_) return broken("there is no connection");
  std::vector<const char*> values;
  for (const auto& parameter : parameters) values.push_back(parameter.c_str());
  const bool sent = PQsendQueryParams(pq_.get(), sql.c_str(), static_cast<int>(values.size()), nullptr, values.data(),
                                      nullptr, nullptr, 0) == 1;
  return sent ? collect() : broken(message_of(pq_.get()));
}

CatalogSession::Outcome CatalogSession::describe(const std::string& sql) {
  if (!pq_) return broken("there is no connection");
  if (PQsendPrepare(pq_.get(), "", sql.c_str(), 0, nullptr) != 1) return broken(message_of(pq_.get()));
  auto prepared = collect();
  if (!prepared.ok()) return prepared;
  return PQsendDescribePrepared(pq_.get(), "") == 1 ? collect() : broken(message_of(pq_.get()));
}

CatalogSession::Outcome CatalogSession::collect() {
  const auto deadline = base::now() + answer_timeout_;
  Outcome outcome;
  while (true) {
    const int pending = PQflush(pq_.get());
    if (pending < 0) return broken(message_of(pq_.get()));
    if (PQisBusy(pq_.get()) != 0) {
      if (!wait(static_cast<short>(POLLIN | (pending > 0 ? POLLOUT : 0)), deadline)) return broken("no answer in time");
      if (PQconsumeInput(pq_.get()) != 1) return broken(message_of(pq_.get()));
      continue;
    }
    Rows rows(PQgetResult(pq_.get()));
    if (!rows) return outcome;
    if (succeeded(rows.get())) {
      if (outcome.error.message.empty()) outcome.rows = std::move(rows);
    } else {
      outcome.error = sql_error_of(rows.get());
      outcome.rows.reset();
      if (PQstatus(pq_.get()) == CONNECTION_BAD) return broken(outcome.error.message);
    }
  }
}

}  // namespace freshet::storage::postgres
