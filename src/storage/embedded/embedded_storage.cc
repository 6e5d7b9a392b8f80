// The embedded storage: composes the committer, the readers and the keeper.
#include "storage/embedded/embedded_storage.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <utility>

#include "storage/embedded/committer.h"
#include "storage/embedded/database.h"
#include "storage/embedded/keeper.h"
#include "storage/embedded/read_pool.h"
#include "storage/embedded/reader.h"

namespace freshet::storage::embedded {
namespace {

thread_local int inline_depth = 0;

// The wall clock to read by, and the first version of this opening so that no two openings say the same.
std::string started_at(std::int64_t now_ms, Version first_version) {
  const std::time_t seconds = now_ms / 1000;
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z version {}", fmt::gmtime(seconds), now_ms % 1000, first_version);
}

std::optional<Error> invalid(const std::vector<std::string>& keys) {
  if (keys.size() <= kBatchKeysMax) return std::nullopt;
  return Error::of(ErrorCode::invalid_argument,
                   "read: " + std::to_string(keys.size()) + " keys; at most " + std::to_string(kBatchKeysMax));
}

}  // namespace

Result<std::unique_ptr<EmbeddedStorage>> EmbeddedStorage::open(const EmbeddedOptions& options) {
  if (options.directory.empty()) {
    return Error::of(ErrorCode::invalid_argument, "the embedded storage needs a data directory");
  }
  if (options.threads < 1 || options.threads > kThreadsMax) {
    return Error::of(ErrorCode::invalid_argument, "the embedded storage reads with 1 to " + std::to_string(kThreadsMax) +
                                                      " threads, not " + std::to_string(options.threads));
  }
  auto database = Database::open(options);
  if (!database) return std::move(database).error();
  return std::unique_ptr<EmbeddedStorage>(new EmbeddedStorage(*std::move(database), options));
}

EmbeddedStorage::EmbeddedStorage(std::unique_ptr<Database> database, const EmbeddedOptions& options)
    : database_(std::move(database)),
      identity_{database_->system(), "1", started_at(clock_.now_ms(), database_->first_version())},
      synced_at_(base::now()),
      committer_(std::make_unique<Committer>(*database_, clock_, options)),
      reads_(std::make_unique<ReadPool>(options.threads, options.reads_queued_max)),
      keeper_(std::make_unique<Keeper>(std::chrono::nanoseconds(kDeadlineSlack), [this] { return look_after_calls(); })) {}

// Each part answers what is open in it and returns once its callbacks have; calls that those callbacks make meanwhile are
// refused by the parts that stand last.
EmbeddedStorage::~EmbeddedStorage() {
  keeper_->stop();
  reads_->stop();
  committer_->stop();
  committer_->sync();
}

bool EmbeddedStorage::look_after_calls() {
  const auto now = base::now();
  const bool writes_open = committer_->expire(now);
  const bool reads_open = reads_->expire(now);
  if (now - synced_at_ >= kRelaxedSyncInterval) {
    synced_at_ = now;
    committer_->sync();
  }
  return writes_open || reads_open || committer_->unsynced();
}

void EmbeddedStorage::read(std::vector<std::string> keys, base::Nanoseconds deadline, Callback<ReadReply> done) {
  if (auto error = invalid(keys)) return done(*std::move(error));
  if (keys.size() <= kInlineKeysMax && inline_depth < kInlineDepthMax && deadline > base::now()) {
    // The clock first: a record that it calls expired was expired in the state read after it too.
    const auto database_ms = clock_.now_ms();
    if (auto states = read_from_memory(*database_, keys)) {
      ++inline_depth;
      done(ReadReply{*std::move(states), database_ms});
      --inline_depth;
      return;
    }
  }
  reads_->run<ReadReply>(
      deadline,
      [this, keys = std::move(keys)]() -> Result<ReadReply> {
        const auto database_ms = clock_.now_ms();
        auto states = read_all(*database_, keys);
        if (!states) return std::move(states).error();
        return ReadReply{*std::move(states), database_ms};
      },
      std::move(done));
  keeper_->stir();
}

void EmbeddedStorage::write(WriteRequest request, Callback<WriteReply> done) {
  committer_->write(std::move(request), std::move(done));
  keeper_->stir();
}

void EmbeddedStorage::set_guard(base::SlotRange range, Token token, base::Nanoseconds deadline, Callback<void> done) {
  committer_->set_guard(range, token, deadline, std::move(done));
  keeper_->stir();
}

void EmbeddedStorage::scan(std::uint64_t position, std::size_t limit, base::Nanoseconds deadline,
                           Callback<ScanReply> done) {
  reads_->run<ScanReply>(
      deadline,
      [this, position, limit]() -> Result<ScanReply> {
        const auto database_ms = clock_.now_ms();
        auto reply = scan_keys(*database_, position, limit);
        if (reply) reply->database_ms = database_ms;
        return reply;
      },
      std::move(done));
  keeper_->stir();
}

void EmbeddedStorage::count(base::Nanoseconds deadline, Callback<KeyCount> done) {
  reads_->run<KeyCount>(deadline, [this, deadline] { return count_keys(*database_, deadline); }, std::move(done));
  keeper_->stir();
}

void EmbeddedStorage::split_points(base::SlotRange range, int parts, base::Nanoseconds deadline,
                                   Callback<std::vector<base::Slot>> done) {
  if (range.first > range.last || range.last >= base::kSlots) {
    return done(Error::of(ErrorCode::invalid_argument, "split_points: no such range of slots"));
  }
  reads_->run<std::vector<base::Slot>>(
      deadline, [this, range, parts, deadline] { return find_split_points(*database_, range, parts, deadline); },
      std::move(done));
  keeper_->stir();
}

void EmbeddedStorage::forget(std::vector<Tombstone> tombstones) { committer_->forget(std::move(tombstones)); }

// Answered from memory: a stuck disk shows as calls that miss their deadlines, and as `writable` once it has failed one.
void EmbeddedStorage::health(base::Nanoseconds deadline, Callback<Health> done) {
  if (deadline <= base::now()) return done(Error::of(ErrorCode::deadline_exceeded, "the deadline had passed already"));
  done(Health{identity_, committer_->writable(), clock_.now_ms()});
}

}  // namespace freshet::storage::embedded
