// libpq without blocking, in turns that leave room on the loop for others.
#include "storage/postgres/stream/wal_connection.h"

#include <memory>
#include <utility>

namespace freshet::storage::postgres {
namespace {

// What one turn of the loop may take: timers and other connections of the loop wait for so long.
constexpr int kTurnMessagesMax = 512;
constexpr base::Nanoseconds kTurnMax = 500 * base::kMicrosecond;
constexpr int kMessagesAClockReading = 16;

struct CopyDeleter {
  void operator()(char* data) const { PQfreemem(data); }
};

bool is_error(const PGresult* rows) {
  return !succeeded(rows) && PQresultStatus(rows) != PGRES_COPY_BOTH && PQresultStatus(rows) != PGRES_COPY_OUT;
}

}  // namespace

WalConnection::WalConnection(net::Loop& loop, const ConnectionParameters& parameters, Observer& observer)
    : observer_(observer),
      later_(loop),
      watch_(loop, [this](int status, int events) { on_io(status, events); }),
      heard_at_(base::now()) {
  const ParameterArrays arrays(parameters);
  pq_.reset(PQconnectStartParams(arrays.keywords.data(), arrays.values.data(), 0));
  if (!pq_ || PQstatus(pq_.get()) == CONNECTION_BAD) {
    close(pq_ ? message_of(pq_.get()) : "out of memory");
    return;
  }
  PQsetNoticeReceiver(pq_.get(), [](void*, const PGresult*) {}, nullptr);
  want(UV_WRITABLE);
}

WalConnection::~WalConnection() { watch_.stop(); }

void WalConnection::step_connect() {
  // The socket may be replaced inside: it must not be watched meanwhile.
  watch_.stop();
  switch (PQconnectPoll(pq_.get())) {
    case PGRES_POLLING_READING: return want(UV_READABLE);
    case PGRES_POLLING_WRITING: return want(UV_WRITABLE);
    case PGRES_POLLING_OK: break;
    default: return close(message_of(pq_.get()));
  }
  if (PQsetnonblocking(pq_.get(), 1) != 0) return close(message_of(pq_.get()));
  connected_ = true;
  heard_at_ = base::now();
  want(UV_READABLE);
  observer_.on_connected();
}

void WalConnection::command(const std::string& sql) {
  if (closing_) return;
  if (PQsendQuery(pq_.get(), sql.c_str()) != 1) return close(message_of(pq_.get()));
  flush();
}

void WalConnection::put(std::string_view data) {
  if (closing_ || !copying_) return;
  if (PQputCopyData(pq_.get(), data.data(), static_cast<int>(data.size())) != 1) return close(message_of(pq_.get()));
  flush();
}

void WalConnection::close(std::string why, std::string state) {
  if (closing_) return;
  closing_ = true;
  watch_.stop();
  later_.start(0, [this, why = std::move(why), state = std::move(state)] { observer_.on_closed(why, state); });
}

void WalConnection::on_io(int status, int events) {
  // libuv reports a refused connection as a bad descriptor; libpq knows better, and goes on to the URL's next host.
  if (!connected_) return step_connect();
  if (status < 0) return close("the connection broke");
  if ((events & UV_READABLE) != 0) {
    heard_at_ = base::now();
    if (PQconsumeInput(pq_.get()) != 1) lost_ = message_of(pq_.get());
    read();
  }
  if (!closing_ && (events & UV_WRITABLE) != 0) flush();
}

void WalConnection::read() {
  copying_ ? read_copy() : read_results();
  if (!closing_ && !paused_ && !lost_.empty()) close(lost_);
}

// A command's results end with a NULL; of several (the last is what counts) an error is kept.
void WalConnection::read_results() {
  while (!closing_ && PQisBusy(pq_.get()) == 0) {
    Rows rows(PQgetResult(pq_.get()));
    if (!rows) {
      if (outcome_) observer_.on_result(std::move(outcome_));
      return;
    }
    if (PQresultStatus(rows.get()) == PGRES_COPY_BOTH) {
      copying_ = true;
      observer_.on_result(std::move(rows));
      return read_copy();
    }
    if (!outcome_ || !is_error(outcome_.get())) outcome_ = std::move(rows);
  }
}

void WalConnection::read_copy() {
  paused_ = false;
  const auto turn_end = base::now() + kTurnMax;
  for (int count = 1; !closing_; ++count) {
    char* data = nullptr;
    const int bytes = PQgetCopyData(pq_.get(), &data, 1);
    const std::unique_ptr<char, CopyDeleter> owned(data);
    if (bytes == 0) return flush();
    if (bytes < 0) return end_of_copy();
    observer_.on_data({data, static_cast<std::size_t>(bytes)});
    if (count == kTurnMessagesMax || (count % kMessagesAClockReading == 0 && base::now() >= turn_end)) {
      paused_ = true;
      flush();
      if (!closing_) later_.start(0, [this] { read(); });
      return;
    }
  }
}

// The server ended the copy, or the connection broke: the result that follows says why.
void WalConnection::end_of_copy() {
  Rows rows(PQgetResult(pq_.get()));
  if (!rows || succeeded(rows.get()) || PQresultStatus(rows.get()) == PGRES_COPY_IN) {
    return close(lost_.empty() ? "the server ended the stream" : lost_);
  }
  auto error = sql_error_of(rows.get());
  close(std::move(error.message), std::move(error.state));
}

void WalConnection::flush() {
  if (closing_) return;
  const int pending = PQflush(pq_.get());
  if (pending < 0) return close(message_of(pq_.get()));
  // While a turn's rest waits, nothing more is read: what is not taken stays with the server.
  want((paused_ ? 0 : UV_READABLE) | (pending > 0 ? UV_WRITABLE : 0));
}

void WalConnection::want(int events) {
  if (closing_) return;
  const int status = watch_.watch(PQsocket(pq_.get()), events);
  if (status < 0) close(uv_strerror(status));
}

}  // namespace freshet::storage::postgres
