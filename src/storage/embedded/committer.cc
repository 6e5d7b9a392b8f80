// The commit queue and its thread.
#include "storage/embedded/committer.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

namespace freshet::storage::embedded {
namespace {

bool skips_guard_check([[maybe_unused]] const EmbeddedOptions& options) {
#if FRESHET_PROTECTION_SWITCHES
  return options.skip_guard_check;
#else
  return false;
#endif
}

std::optional<Error> invalid(const WriteRequest& request) {
  const auto error = [](std::string what) { return Error::of(ErrorCode::invalid_argument, "write: " + std::move(what)); };
  if (request.mutations.size() > kBatchKeysMax) {
    return error(std::to_string(request.mutations.size()) + " keys; at most " + std::to_string(kBatchKeysMax));
  }
  std::unordered_set<std::string_view> keys;
  for (const auto& mutation : request.mutations) {
    if (mutation.key.size() > kKeyBytesMax) return error("a key of more than " + std::to_string(kKeyBytesMax) + " bytes");
    if (mutation.value.size() > kValueBytesMax) {
      return error("a value of more than " + std::to_string(kValueBytesMax) + " bytes");
    }
    if (request.mutations.size() > 1 && !keys.insert(mutation.key).second) return error("one key is named twice");
  }
  return std::nullopt;
}

std::size_t bytes_of(const WriteRequest& request) {
  std::size_t bytes = 0;
  for (const auto& mutation : request.mutations) bytes += sizeof mutation + mutation.key.size() + mutation.value.size();
  return bytes;
}

Error busy(const std::string& what) {
  return Error::of(ErrorCode::busy, "the embedded storage's queue of " + what + " is full",
                   "Send again later, with fewer writes at a time, or raise the limit.");
}

Error refused_after(const std::string& failure) {
  return Error::of(ErrorCode::unavailable, "the embedded storage takes no writes since one failed: " + failure,
                   "Check the disk (space, errors), then open the storage again.");
}

}  // namespace

Committer::Committer(Database& database, DatabaseClock& clock, const EmbeddedOptions& options)
    : database_(database),
      writes_queued_max_(options.writes_queued_max),
      write_bytes_queued_max_(options.write_bytes_queued_max),
      state_{database, clock, options.durability, skips_guard_check(options), {}, VersionSource(database.first_version())},
      thread_([this] { run(); }) {}

void Committer::write(WriteRequest request, Callback<WriteReply> done) {
  if (auto error = invalid(request)) return done(*std::move(error));
  if (request.mutations.empty()) return done(WriteReply{});
  auto ticket = std::make_unique<Ticket>();
  ticket->deadline = request.deadline;
  ticket->bytes = bytes_of(request);
  ticket->call = WriteCall{std::move(request), std::move(done), WriteReply{}};
  if (auto error = enqueue(ticket)) ticket->take_answer(*error)();
}

void Committer::set_guard(base::SlotRange range, Token token, base::Nanoseconds deadline, Callback<void> done) {
  if (range.first > range.last || range.last >= base::kSlots || token.is_nil()) {
    return done(Error::of(ErrorCode::invalid_argument, "set_guard: no such range of slots, or a nil token"));
  }
  auto ticket = std::make_unique<Ticket>();
  ticket->deadline = deadline;
  ticket->call = GuardCall{range, token, std::move(done), {}};
  if (auto error = enqueue(ticket)) ticket->take_answer(*error)();
}

// Best effort: what finds no room is dropped, and the tombstones go with a later compaction.
void Committer::forget(std::vector<Tombstone> tombstones) {
  for (std::size_t from = 0; from < tombstones.size(); from += kBatchKeysMax) {
    const auto first = tombstones.begin() + static_cast<std::ptrdiff_t>(from);
    const auto count = std::min(kBatchKeysMax, tombstones.size() - from);
    auto ticket = std::make_unique<Ticket>();
    ticket->call = ForgetCall{{first, first + static_cast<std::ptrdiff_t>(count)}};
    if (enqueue(ticket)) return;
  }
}

std::optional<Error> Committer::enqueue(std::unique_ptr<Ticket>& ticket) {
  std::lock_guard lock(mutex_);
  if (auto error = refusal(*ticket)) return error;
  count(*ticket, true);
  queue_.push_back(std::move(ticket));
  work_.notify_one();
  return std::nullopt;
}

std::optional<Error> Committer::refusal(Ticket& ticket) const {
  if (stopping_) return Error::of(ErrorCode::unavailable, "the embedded storage is being closed");
  if (failed_) return refused_after(failure_);
  if (ticket.deadline <= base::now()) {
    return Error::of(ErrorCode::deadline_exceeded, "the deadline had passed when the call was made");
  }
  if (ticket.guard() != nullptr && queued_.guards >= kGuardsQueuedMax) return busy("guards");
  if (ticket.forget() != nullptr && queued_.forgets >= kForgetsQueuedMax) return busy("forgotten tombstones");
  if (ticket.write() == nullptr || queued_.writes == 0) return std::nullopt;
  if (queued_.writes >= writes_queued_max_) return busy("writes");
  if (queued_.write_bytes + ticket.bytes > write_bytes_queued_max_) return busy("writes (bytes)");
  return std::nullopt;
}

void Committer::count(Ticket& ticket, bool in) {
  const auto change = [in](std::size_t& number, std::size_t by) { number = in ? number + by : number - by; };
  if (ticket.write() != nullptr) {
    change(queued_.writes, 1);
    change(queued_.write_bytes, ticket.bytes);
  }
  if (ticket.guard() != nullptr) change(queued_.guards, 1);
  if (ticket.forget() != nullptr) change(queued_.forgets, 1);
}

void Committer::run() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      work_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      take_group();
    }
    commit_group();
  }
}

void Committer::take_group() {
  std::size_t bytes = 0;
  while (!queue_.empty() && in_flight_.size() < kGroupCallsMax) {
    bytes += queue_.front()->bytes;
    if (!in_flight_.empty() && bytes > kGroupBytesMax) return;
    count(*queue_.front(), false);
    in_flight_.push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
}

void Committer::commit_group() {
  if (failed_) {
    for (auto& ticket : in_flight_) ticket->refuse(failure());
  } else {
    Group group(state_);
    auto committed = group.commit(in_flight_);
    if (group.left_unsynced()) unsynced_ = true;
    if (!committed) fail(committed.error().what);
  }
  std::vector<std::function<void()>> answers;
  Tickets finished;  // Freed without the lock.
  {
    std::lock_guard lock(mutex_);
    for (auto& ticket : in_flight_) {
      if (auto answer = ticket->take_answer()) answers.push_back(std::move(answer));
    }
    finished.swap(in_flight_);
  }
  for (auto& answer : answers) answer();
}

bool Committer::expire(base::Nanoseconds now) {
  std::vector<std::function<void()>> answers;
  bool open = false;
  {
    std::lock_guard lock(mutex_);
    const auto late = Error::of(ErrorCode::deadline_exceeded, "the deadline passed while the call waited for its turn");
    std::erase_if(queue_, [&](auto& ticket) {
      if (ticket->deadline > now) return false;
      count(*ticket, false);
      answers.push_back(ticket->take_answer(late));
      return true;
    });
    const auto unknown = Error::of(ErrorCode::unknown_outcome, "the deadline passed while the log was being written",
                                   "The disk is slow or stuck. Renew the guard, then read the key.");
    for (auto& ticket : in_flight_) {
      if (ticket->deadline > now) continue;
      if (auto answer = ticket->take_answer(unknown)) answers.push_back(std::move(answer));
    }
    open = !queue_.empty() || !in_flight_.empty();
  }
  for (auto& answer : answers) answer();
  return open;
}

void Committer::sync() {
  if (failed_ || !unsynced_.exchange(false)) return;
  const auto status = database_.db().SyncWAL();
  if (!status.ok()) fail("syncing the log: " + status.ToString());
}

void Committer::fail(std::string what) {
  std::lock_guard lock(mutex_);
  failure_ = std::move(what);
  failed_ = true;
}

Error Committer::failure() {
  std::lock_guard lock(mutex_);
  return refused_after(failure_);
}

void Committer::stop() {
  std::deque<std::unique_ptr<Ticket>> left;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    work_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
  {
    std::lock_guard lock(mutex_);
    left.swap(queue_);
  }
  const auto closing = Error::of(ErrorCode::unavailable, "the embedded storage is being closed");
  for (auto& ticket : left) {
    if (auto answer = ticket->take_answer(closing)) answer();
  }
}

}  // namespace freshet::storage::embedded
