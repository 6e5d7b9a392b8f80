// The follower as other threads see it: reads are handed to the loop's thread in batches, all else one by one. See
// consistency/observed/follower.h.
#include "consistency/observed/follower.h"

#include <mutex>
#include <unordered_map>
#include <utility>

#include "base/spin_lock.h"
#include "consistency/observed/loop_host.h"
#include "consistency/observed/tracker.h"

namespace freshet::consistency {

class Follower::Core {
 public:
  Core(memory::Table& table, net::Loop& on_loop, const MakeStorage& make_storage, std::vector<storage::CollectionSpec> of,
       const ObservedProtections& protections, const FollowerLimits& limits)
      : loop(on_loop), specs(std::move(of)), published(specs.size()) {
    for (storage::CollectionId id = 0; id < specs.size(); ++id) ids.emplace(specs[id].name, id);
    loop.run([&] {
      host = std::make_unique<LoopHost>(loop, table, [this] { tracker->advance(); });
      storage = make_storage(loop);
      tracker = std::make_unique<Tracker>(
          Tracker::Setting{table, *host, *storage, published, specs, protections, limits});
      storage->follow(*tracker);
    });
  }

  void read(ReadRequest request) {
    {
      const std::lock_guard hold(lock_);
      inbox_.push_back(std::move(request));
      if (inbox_.size() > 1) return;  // The first one has called the loop.
    }
    loop.post([this] { take_inbox(); });
  }

  net::Loop& loop;
  const std::vector<storage::CollectionSpec> specs;
  std::unordered_map<std::string_view, storage::CollectionId> ids;
  Published published;
  std::unique_ptr<LoopHost> host;
  std::unique_ptr<storage::ObservedStorage> storage;
  std::unique_ptr<Tracker> tracker;

 private:
  void take_inbox() {
    std::vector<ReadRequest> requests;
    {
      const std::lock_guard hold(lock_);
      requests.swap(inbox_);
    }
    tracker->read(std::move(requests));
  }

  base::SpinLock lock_;
  std::vector<ReadRequest> inbox_;
};

Follower::Follower(memory::Table& table, net::Loop& loop, MakeStorage make_storage,
                   std::vector<storage::CollectionSpec> specs, ObservedProtections protections, FollowerLimits limits)
    : core_(std::make_unique<Core>(table, loop, make_storage, std::move(specs), protections, limits)) {}

Follower::~Follower() = default;

void Follower::stop() {
  core_->loop.run([this] {
    core_->tracker->stop();
    core_->storage.reset();
    core_->host->stop();
  });
}

const std::vector<storage::CollectionSpec>& Follower::specs() const { return core_->specs; }

std::optional<storage::CollectionId> Follower::collection_of(std::string_view key) const {
  const auto found = core_->ids.find(storage::prefix_of(key));
  if (found == core_->ids.end()) return std::nullopt;
  return found->second;
}

std::optional<base::Nanoseconds> Follower::age_if_fresh(const memory::Entry& entry, const ReadPromise& promise,
                                                        base::Nanoseconds now) const {
  return core_->published.age_if_fresh(entry, promise, now);
}

void Follower::read(std::vector<ObservedKey> keys, ReadPromise promise, base::Nanoseconds deadline, ReadDone done) {
  // Without keys it would wait for a token: see wait().
  if (keys.empty()) {
    core_->loop.post([done = std::move(done)] { done(std::vector<ObservedAnswer>()); });
    return;
  }
  core_->read({std::move(keys), std::move(promise), deadline, std::move(done)});
}

void Follower::token(base::Nanoseconds deadline, storage::Callback<SessionToken> done) {
  core_->loop.post([this, deadline, done = std::move(done)]() mutable { core_->tracker->token(deadline, std::move(done)); });
}

void Follower::wait(SessionToken token, base::Nanoseconds deadline, storage::Callback<void> done) {
  ReadPromise promise{storage::Level::session, 0, std::move(token)};
  auto answered = [done = std::move(done)](const Result<std::vector<ObservedAnswer>>& result) {
    done(result ? Result<void>() : Result<void>(result.error()));
  };
  core_->read({{}, std::move(promise), deadline, std::move(answered)});
}

std::size_t Follower::evict(std::string_view key) {
  std::size_t left = 0;
  core_->loop.run([&] { left = core_->tracker->evict(key); });
  return left;
}

std::size_t Follower::evict_collection(storage::CollectionId collection) {
  std::size_t left = 0;
  core_->loop.run([&] { left = core_->tracker->evict_collection(collection); });
  return left;
}

std::size_t Follower::evict_if(base::FunctionRef<bool(std::string_view key)> leaves) {
  std::size_t left = 0;
  core_->loop.run([&] { left = core_->tracker->evict_if(leaves); });
  return left;
}

void Follower::watch(ChangeWatcher* watcher) {
  core_->loop.run([&] { core_->tracker->watch(watcher); });
}

std::vector<std::pair<std::string, std::string>> Follower::explain(std::string_view key) {
  std::vector<std::pair<std::string, std::string>> said;
  const auto collection = collection_of(key);
  if (!collection) return {{"collection", "none: no observed collection has this prefix"}};
  core_->loop.run([&] { said = core_->tracker->explain(*collection, key); });
  return said;
}

FollowerStats Follower::stats() const {
  FollowerStats stats;
  core_->loop.run([&] { stats = core_->tracker->stats(); });
  return stats;
}

storage::StreamStatus Follower::stream_status() {
  storage::StreamStatus status;
  core_->loop.run([&] { status = core_->storage->status(); });
  return status;
}

storage::RowShapeRef Follower::shape_of(storage::CollectionId collection) const {
  return core_->published.shape_of(collection);
}

}  // namespace freshet::consistency
