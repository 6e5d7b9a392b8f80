// Observed collections behind the engine: routing, read levels, tokens, and who hears of changes.
#include <algorithm>

#include <fmt/format.h>

#include "cache/gathering.h"

namespace freshet::cache {
namespace {

// For messages: a key's beginning says which it was.
constexpr std::size_t kKeyShownBytes = 128;

const consistency::CollectionEpoch& epoch_of(const memory::Entry& entry) {
  return static_cast<const consistency::CollectionEpoch&>(*entry.witness());
}
const storage::RowShapeRef& shape_in(const memory::Entry& entry) { return epoch_of(entry).shape(); }

Error no_tokens() {
  return Error::of(ErrorCode::unsupported, "session tokens name positions in the log of a followed PostgreSQL",
                   "configure an observed collection; reads of the key-value table are linearizable and need none");
}

}  // namespace

Error no_key_value(std::string_view key) {
  return Error::of(ErrorCode::unsupported,
                   fmt::format("'{}' belongs to no collection: this server has no key-value table",
                               key.substr(0, kKeyShownBytes)),
                   "name a collection, as in users:42, or set storage.key_value = \"on\"");
}

Error read_only(std::string_view key, CollectionKind kind) {
  return Error::of(ErrorCode::unsupported,
                   fmt::format("'{}' is {} of an observed collection, which is read-only here",
                               key.substr(0, kKeyShownBytes),
                               kind == CollectionKind::row ? "a row" : "a query's result"),
                   "write to the database with SQL; FRESHET.EVICT drops cached data");
}

// While a collection moves it is served by both, or by the one that was looked at first: one of them is always there.
std::optional<storage::CollectionId> ComposedEngine::collection_of(std::string_view key) const {
  if (!follower_) return std::nullopt;
  for (;;) {
    const auto* const guarded = rows();
    if (guarded && guarded->serving(key)) return std::nullopt;
    const auto id = follower_->collection_of(key);
    if (id || guarded == rows()) return id;
  }
}

CollectionKind ComposedEngine::kind_of(std::string_view key) const {
  if (const auto id = collection_of(key)) {
    return follower_->spec(*id).is_query() ? CollectionKind::query : CollectionKind::row;
  }
  return guarded_rows(key) ? CollectionKind::guarded_row : CollectionKind::key_value;
}

storage::RowShapeRef ComposedEngine::shape_of(std::string_view key) const {
  if (const auto id = collection_of(key)) return follower_->shape_of(*id);
  const auto* const guarded = guarded_rows(key);
  return guarded ? guarded->shape : nullptr;
}

std::vector<std::string> ComposedEngine::collections() const {
  std::vector<std::string> names;
  if (has_pairs()) names.emplace_back(kKeyValueCollection);
  const std::lock_guard lock(specs_mutex_);
  for (const auto& spec : specs_) names.push_back(spec.name);
  return names;
}

Result<consistency::ReadPromise> ComposedEngine::promise_of(storage::CollectionId collection,
                                                            const ReadOptions& options) const {
  const auto& spec = follower_->spec(collection);
  consistency::ReadPromise promise;
  promise.level = options.level.value_or(spec.level);
  promise.bound = options.level ? options.bound : spec.bound;
  if (promise.level != Level::session) return promise;
  if (options.token.empty()) {  // A session that has seen and written nothing yet.
    promise.level = Level::any;
    return promise;
  }
  auto token = consistency::SessionToken::parse(options.token);
  if (!token) return std::move(token).error();
  promise.token = std::move(*token);
  return promise;
}

// The age is asked for while the entry is held in place: a change that the clock has proven has been applied, and would have
// replaced it.
Engine::Lookup ComposedEngine::try_observed(std::string_view key, storage::CollectionId collection,
                                            const consistency::ReadPromise& promise, base::Nanoseconds now,
                                            TakeObserved take) {
  if (promise.needs_new_proof()) return Lookup::miss;
  const bool hit = table_.visit(key, base::hash_of(key), [&](const memory::Entry& entry) {
    const auto age = follower_->age_if_fresh(entry, promise, now);
    if (!age || epoch_of(entry).collection() != collection) return false;
    take(entry, *age);
    return true;
  });
  if (!hit) return Lookup::miss;
  hits_.add();
  return Lookup::hit;
}

Engine::Lookup ComposedEngine::try_get_at(std::string_view key, const ReadOptions& options, base::Nanoseconds now,
                                          base::FunctionRef<void(const HitView&)> visit) {
  const auto id = collection_of(key);
  if (!id) return try_guarded(key, now, visit);
  const auto promise = promise_of(*id, options);
  if (!promise) return Lookup::miss;
  if (now == kReadClock) now = base::now();
  return try_observed(key, *id, *promise, now, [&](const memory::Entry& entry, base::Nanoseconds age) {
    visit(HitView{entry.present(), entry.value(), entry.version(), 0, shape_in(entry).get(), age, entry.version()});
  });
}

// Serves the key from memory, or puts it among the misses.
std::optional<Error> ComposedEngine::gather_observed(const std::string& key, storage::CollectionId collection,
                                                     std::size_t place, const ReadOptions& options, base::Nanoseconds now,
                                                     Gathering& gathering, ObservedMisses& misses) {
  const auto promise = promise_of(collection, options);
  if (!promise) return promise.error();
  auto& reading = gathering.readings[place];
  const auto take = [&](const memory::Entry& entry, base::Nanoseconds age) {
    reading = {entry.present(), std::string(entry.value()), entry.version(), 0, Source::memory, age, shape_in(entry),
               entry.version()};
  };
  if (try_observed(key, collection, *promise, now, take) == Lookup::hit) return std::nullopt;
  auto& group = misses.group_of(*promise);
  group.keys.push_back({collection, key});
  group.places.push_back(place);
  return std::nullopt;
}

Reading reading_of(consistency::ObservedAnswer&& answer) {
  return {answer.present, std::move(answer.value), answer.position, 0,
          answer.from_memory ? Source::memory : Source::storage, answer.age, std::move(answer.shape), answer.position};
}

void ComposedEngine::read_observed(ObservedMisses misses, base::Nanoseconds deadline,
                                   const std::shared_ptr<Gathering>& gathering) {
  for (auto& group : misses.groups) {
    follower_->read(std::move(group.keys), std::move(group.promise), deadline,
                    [gathering, places = std::move(group.places)](Result<std::vector<consistency::ObservedAnswer>> answers) {
                      if (!answers) return gathering->fail(std::move(answers).error());
                      for (std::size_t i = 0; i < places.size(); ++i) {
                        gathering->readings[places[i]] = reading_of(std::move((*answers)[i]));
                      }
                      gathering->arrive();
                    });
  }
}

void ComposedEngine::token(base::Nanoseconds deadline, Callback<std::string> done) {
  if (released_) return done(stopping());
  if (!follower_) return done(no_tokens());
  follower_->token(read_deadline(deadline), [done = std::move(done)](Result<consistency::SessionToken> token) {
    if (!token) return done(std::move(token).error());
    done(token->to_text());
  });
}

void ComposedEngine::wait(std::string token, base::Nanoseconds deadline, Callback<void> done) {
  if (released_) return done(stopping());
  if (!follower_) return done(no_tokens());
  auto parsed = consistency::SessionToken::parse(token);
  if (!parsed) return done(std::move(parsed).error());
  follower_->wait(std::move(*parsed), read_deadline(deadline), std::move(done));
}

// Evictions.

std::size_t ComposedEngine::evict(std::string_view key) {
  if (observes(key)) return follower_->evict(key);
  return table_.erase(key, base::hash_of(key)) ? 1 : 0;
}

std::size_t ComposedEngine::evict_if(base::FunctionRef<bool(std::string_view key)> leaves) {
  const std::size_t observed = follower_ ? follower_->evict_if(leaves) : 0;
  const auto own = [&](const memory::Entry& entry) { return !observes(entry.key()) && leaves(entry.key()); };
  return observed + table_.erase_if(own);
}

std::optional<std::size_t> ComposedEngine::evict_collection(std::string_view name) {
  if (has_pairs() && name == kKeyValueCollection) {
    return table_.erase_if([&](const memory::Entry& entry) { return kind_of(entry.key()) == CollectionKind::key_value; });
  }
  if (const auto* const guarded = rows(); guarded && guarded->named(name)) {
    return table_.erase_if([&](const memory::Entry& entry) { return storage::prefix_of(entry.key()) == name; });
  }
  if (!follower_) return std::nullopt;
  for (const auto id : follower_->collections()) {
    if (follower_->spec(id).name == name) return follower_->evict_collection(id);
  }
  return std::nullopt;
}

// The watcher is told by storage's threads and by the follower's, one at a time.

void ComposedEngine::watch(consistency::ChangeWatcher* watcher) {
  std::lock_guard lock(watcher_mutex_);
  watcher_ = watcher;
  watched_ = watcher != nullptr;
}

void ComposedEngine::on_changed(std::string_view key) {
  if (!watched_) return;
  std::lock_guard lock(watcher_mutex_);
  if (watcher_) watcher_->on_changed(key);
}

void ComposedEngine::on_collection_changed(std::string_view collection) {
  if (!watched_) return;
  std::lock_guard lock(watcher_mutex_);
  if (watcher_) watcher_->on_collection_changed(collection);
}

// Of guarded tables, by transactions whose rows this node does not know.
void ComposedEngine::on_rows_changed() {
  if (const auto* const guarded = rows()) {
    for (const auto& collection : guarded->all()) on_collection_changed(collection->spec.name);
  }
}

void ComposedEngine::on_everything_changed() {
  if (!watched_) return;
  std::lock_guard lock(watcher_mutex_);
  if (watcher_) watcher_->on_everything_changed();
}

storage::StreamStatus ComposedEngine::stream_status() {
  return follower_ ? follower_->stream_status() : storage::StreamStatus{};
}

}  // namespace freshet::cache
