// The follower as other threads see it: reads are handed to the loop's thread in batches, all else one by one. See
// consistency/observed/follower.h.
#include "consistency/observed/follower.h"

#include <algorithm>
#include <atomic>
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
      : loop(on_loop), specs(of), published(specs.size()) {
    route(std::vector<bool>(specs.size(), true));
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

  // By name; the names are those of the specifications.
  using Routes = std::unordered_map<std::string_view, storage::CollectionId>;
  const Routes& routes() const { return *routes_.load(std::memory_order_acquire); }
  // One thread at a time. The routes of before stay: somebody may be looking into them.
  void route(const std::vector<bool>& served) {
    auto routes = std::make_unique<Routes>();
    for (storage::CollectionId id = 0; id < served.size(); ++id) {
      if (served[id]) routes->emplace(specs[id].name, id);
    }
    all_routes_.push_back(std::move(routes));
    routes_.store(all_routes_.back().get(), std::memory_order_release);
  }

  // The loop follows what is `followed` now.
  void follow(std::vector<storage::CollectionId> awaited, base::Nanoseconds deadline, storage::Callback<void> done) {
    loop.post([this, now = followed, awaited = std::move(awaited), deadline, done = std::move(done)]() mutable {
      tracker->follow(now, std::move(awaited), deadline, std::move(done));
    });
  }

  net::Loop& loop;
  SpecList specs;
  std::vector<bool> followed;     // Of whoever calls follow() and serve().
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
  std::vector<std::unique_ptr<const Routes>> all_routes_;
  std::atomic<const Routes*> routes_{nullptr};
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

const storage::CollectionSpec& Follower::spec(storage::CollectionId collection) const { return core_->specs[collection]; }

std::vector<storage::CollectionId> Follower::collections() const {
  std::vector<storage::CollectionId> ids;
  for (const auto& [name, id] : core_->routes()) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::optional<storage::CollectionId> Follower::collection_of(std::string_view key) const {
  const auto& routes = core_->routes();
  const auto found = routes.find(storage::prefix_of(key));
  if (found == routes.end()) return std::nullopt;
  return found->second;
}

void Follower::follow(const std::vector<storage::CollectionSpec>& specs, base::Nanoseconds deadline,
                      storage::Callback<void> done) {
  auto& followed = core_->followed;
  followed.resize(core_->specs.size(), false);
  for (const auto id : collections()) followed[id] = true;
  std::vector<storage::CollectionId> awaited;
  for (const auto& spec : specs) {
    const auto id = core_->specs.find_or_add(spec);
    if (!id) {
      return done(Error::of(ErrorCode::out_of_range,
                            "the collections of this process have been changed too often", "Restart Freshet."));
    }
    followed.resize(core_->specs.size(), false);
    followed[*id] = true;
    awaited.push_back(*id);
  }
  core_->follow(std::move(awaited), deadline, std::move(done));
}

void Follower::serve(const std::vector<storage::CollectionSpec>& specs) {
  std::vector<bool> served(core_->specs.size(), false);
  for (const auto& spec : specs) served[*core_->specs.find(spec)] = true;
  core_->route(served);
  if (served == core_->followed) return;
  core_->followed = std::move(served);
  core_->follow({}, base::kForever, [](const Result<void>&) {});
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
