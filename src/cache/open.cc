// Engine::open: the engine as production composes it.
#include <algorithm>

#include "cache/composed_engine.h"
#include "cache/observed_options.h"
#include "ownership/postgres_lease.h"
#include "ownership/solo.h"
#include "storage/embedded/embedded_storage.h"
#include "storage/postgres/guarded/postgres_storage.h"
#include "storage/postgres/observed/postgres_observed_storage.h"

namespace freshet::cache {
namespace {

Result<EngineParts> open_embedded(const EngineOptions& options) {
  storage::embedded::EmbeddedOptions embedded;
  embedded.directory = options.data_directory;
  embedded.durability =
      options.relaxed_durability ? storage::embedded::Durability::relaxed : storage::embedded::Durability::synced;
  auto storage = storage::embedded::EmbeddedStorage::open(embedded);
  if (!storage) return std::move(storage).error();
  EngineParts parts;
  parts.storage = std::move(*storage);
  parts.ownership = std::make_unique<ownership::SoloOwnership>();
  return parts;
}

bool guards_rows(const EngineOptions& options) {
  return std::any_of(options.collections.begin(), options.collections.end(), [](const auto& spec) { return spec.guarded; });
}
Result<GuardedParts> open_guarded(const EngineOptions& options) {
  storage::postgres::PostgresOptions postgres;
  postgres.url = options.storage_url;
  postgres.fleet = options.fleet;
  postgres.dialect = options.for_share_dialect ? storage::postgres::GuardDialect::for_share
                                               : storage::postgres::GuardDialect::advisory;
  postgres.advisory_lock_class = options.advisory_lock_class;
  postgres.connections = options.storage_connections;
  postgres.rows = options.collections;
  auto storage = storage::postgres::PostgresStorage::open(postgres);
  if (!storage) return std::move(storage).error();
  ownership::PostgresLeaseOptions lease;
  lease.url = options.storage_url;
  lease.fleet = options.fleet;
  lease.lease = options.lease;
  auto ownership = ownership::PostgresLease::open(lease);
  if (!ownership) return std::move(ownership).error();
  return GuardedParts{std::move(*storage), std::move(*ownership)};
}

// The options are in order, so opening it cannot fail.
consistency::Follower::MakeStorage observed_storage(storage::postgres::ObservedOptions options) {
  return [options = std::move(options)](net::Loop& loop) -> std::unique_ptr<storage::ObservedStorage> {
    return *storage::postgres::PostgresObservedStorage::open(options, loop);
  };
}

// What collections may need one day is ready to be made, from the first on.
Result<EngineParts> open_postgres(const EngineOptions& options) {
  EngineParts parts;
  if (options.key_value || guards_rows(options)) {
    auto opened = open_guarded(options);
    if (!opened) return std::move(opened).error();
    static_cast<GuardedParts&>(parts) = std::move(*opened);
  }
  if (options.collections.empty()) return parts;
  parts.make_guarded = [options] { return open_guarded(options); };
  auto observed = observed_options(options);
  if (const auto checked = storage::postgres::PostgresObservedStorage::check(observed); !checked) return checked.error();
  parts.make_observed = observed_storage(std::move(observed));
  parts.observed_limits.fill_statements_max = options.fill_statements_max;
  parts.observed_limits.probe_interval_min = options.probe_interval;
  auto watched = watched_options(options);
  if (const auto checked = storage::postgres::PostgresObservedStorage::check(watched); !checked) return checked.error();
  parts.make_watched = observed_storage(std::move(watched));
  return parts;
}

// What no storage could offer.
std::optional<Error> fault_of(const EngineOptions& options) {
  if (auto known = eviction::check_policy_name(options.policy); !known) return known.error();
  if (options.storage_url != "embedded") {
    if (options.key_value || !options.collections.empty()) return std::nullopt;
    return Error::of(ErrorCode::invalid_argument, "there is nothing to offer: no collection, and no key-value table",
                     "add a [[collection]] block, or set storage.key_value = \"on\"");
  }
  if (!options.collections.empty()) {
    return Error::of(ErrorCode::invalid_argument,
                     "collections are tables and queries of a PostgreSQL, and the storage is the embedded one",
                     "name the database: storage.url = \"postgres://…\"");
  }
  if (!options.key_value) {
    return Error::of(ErrorCode::invalid_argument, "the embedded storage has nothing to offer but the key-value table",
                     "set storage.key_value = \"on\"");
  }
  return std::nullopt;
}

}  // namespace

Result<EngineParts> open_parts(const EngineOptions& options) {
  if (auto fault = fault_of(options)) return std::move(*fault);
  return options.storage_url == "embedded" ? open_embedded(options) : open_postgres(options);
}

Result<std::unique_ptr<Engine>> Engine::open(const EngineOptions& options) {
  auto parts = open_parts(options);
  if (!parts) return std::move(parts).error();
  return std::unique_ptr<Engine>(std::make_unique<ComposedEngine>(options, std::move(*parts)));
}

}  // namespace freshet::cache
