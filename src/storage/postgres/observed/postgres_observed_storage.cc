// The interface: checks, and callbacks that never run inside the call that they belong to.
#include "storage/postgres/observed/postgres_observed_storage.h"

#include <fmt/format.h>

#include <cassert>
#include <utility>

#include "storage/postgres/observed/core.h"
#include "storage/postgres/options.h"

namespace freshet::storage::postgres {
namespace {

// While `inside` is set, an answer waits for the loop's next turn.
template <typename T>
Callback<T> outside_of(net::Loop& loop, const std::shared_ptr<bool>& inside, Callback<T> done) {
  return [&loop, inside, done = std::move(done)](Result<T> reply) {
    if (!*inside) return done(std::move(reply));
    loop.post([done, shared = std::make_shared<Result<T>>(std::move(reply))] { done(std::move(*shared)); });
  };
}

Error wrong(std::string what, std::string remedy = {}) {
  return Error::of(ErrorCode::invalid_argument, std::move(what), std::move(remedy));
}

StreamOptions stream_options(const ObservedOptions& options, ConnectionParameters parameters) {
  StreamOptions stream;
  stream.parameters = std::move(parameters);
  stream.publication = options.publication;
  stream.slot = options.slot;
  stream.managed = options.slot_managed;
  return stream;
}

}  // namespace

Result<void> PostgresObservedStorage::check(const ObservedOptions& options) {
  if (options.fill_connections < 1 || options.fill_connections > kFillConnectionsMax) {
    return wrong(fmt::format("{} connections for fills: there must be 1 to {}", options.fill_connections,
                             kFillConnectionsMax));
  }
  if (options.fleet.empty() || options.fleet.size() > kFleetBytesMax) {
    return wrong(fmt::format("the fleet's name must have 1 to {} bytes", kFleetBytesMax));
  }
  for (const auto& spec : options.specs) {
    if (spec.table.empty() == spec.query.empty()) {
      return wrong(fmt::format("collection {} must have either a table or a query", spec.name));
    }
  }
  auto parameters = connection_parameters(options.url, "");
  if (!parameters) return parameters.error();
  return ReplicationStream::check(stream_options(options, std::move(*parameters)));
}

Result<std::unique_ptr<PostgresObservedStorage>> PostgresObservedStorage::open(const ObservedOptions& options,
                                                                               net::Loop& loop) {
  assert(loop.on_thread());
  if (auto checked = check(options); !checked) return checked.error();
  const auto parameters = connection_parameters(options.url, fmt::format("freshet:{}:catalog", options.fleet));
  if (!parameters) return parameters.error();
  auto core = std::make_unique<Core>(options, *parameters, loop);
  return std::unique_ptr<PostgresObservedStorage>(new PostgresObservedStorage(std::move(core), loop));
}

PostgresObservedStorage::PostgresObservedStorage(std::unique_ptr<Core> core, net::Loop& loop)
    : core_(std::move(core)), loop_(loop) {}
PostgresObservedStorage::~PostgresObservedStorage() = default;

void PostgresObservedStorage::follow(StreamListener& listener) { core_->follow(listener); }
void PostgresObservedStorage::confirm(Lsn position) { core_->confirm(position); }
void PostgresObservedStorage::reload() { core_->reload(); }
void PostgresObservedStorage::describe(std::vector<CollectionSpec> specs) { core_->describe(std::move(specs)); }
void PostgresObservedStorage::nudge() { core_->nudge(); }
bool PostgresObservedStorage::probes_insert_position() const { return core_->probes_insert_position(); }
StreamStatus PostgresObservedStorage::status() const { return core_->status(); }

void PostgresObservedStorage::probe(base::Nanoseconds deadline, Callback<ProbeReply> done) {
  const auto inside = std::make_shared<bool>(true);
  core_->probe(deadline, outside_of(loop_, inside, std::move(done)));
  *inside = false;
}

void PostgresObservedStorage::fill(CollectionId collection, std::vector<std::string> keys, base::Nanoseconds deadline,
                                   Callback<FillReply> done) {
  assert(keys.size() <= kFillKeysMax);
  CollectionKeys together;
  for (auto& key : keys) together.emplace_back(collection, std::move(key));
  fill_together(std::move(together), deadline, std::move(done));
}

void PostgresObservedStorage::fill_together(std::vector<std::pair<CollectionId, std::string>> keys,
                                            base::Nanoseconds deadline, Callback<FillReply> done) {
  const auto inside = std::make_shared<bool>(true);
  core_->fill(std::move(keys), deadline, outside_of(loop_, inside, std::move(done)));
  *inside = false;
}

void PostgresObservedStorage::position(base::Nanoseconds deadline, Callback<std::pair<Identity, Lsn>> done) {
  const auto inside = std::make_shared<bool>(true);
  core_->position(deadline, outside_of(loop_, inside, std::move(done)));
  *inside = false;
}

}  // namespace freshet::storage::postgres
