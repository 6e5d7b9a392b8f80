// Engine::open: the engine as production composes it.
#include "cache/composed_engine.h"
#include "ownership/postgres_lease.h"
#include "ownership/solo.h"
#include "storage/embedded/embedded_storage.h"
#include "storage/postgres/postgres_storage.h"

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

Result<EngineParts> open_postgres(const EngineOptions& options) {
  storage::postgres::PostgresOptions postgres;
  postgres.url = options.storage_url;
  postgres.fleet = options.fleet;
  postgres.dialect = options.for_share_dialect ? storage::postgres::GuardDialect::for_share
                                               : storage::postgres::GuardDialect::advisory;
  postgres.advisory_lock_class = options.advisory_lock_class;
  postgres.connections = options.storage_connections;
  auto storage = storage::postgres::PostgresStorage::open(postgres);
  if (!storage) return std::move(storage).error();
  ownership::PostgresLeaseOptions lease;
  lease.url = options.storage_url;
  lease.fleet = options.fleet;
  lease.lease = options.lease;
  auto ownership = ownership::PostgresLease::open(lease);
  if (!ownership) return std::move(ownership).error();
  EngineParts parts;
  parts.storage = std::move(*storage);
  parts.ownership = std::move(*ownership);
  return parts;
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::open(const EngineOptions& options) {
  auto parts = options.storage_url == "embedded" ? open_embedded(options) : open_postgres(options);
  if (!parts) return std::move(parts).error();
  return std::unique_ptr<Engine>(std::make_unique<ComposedEngine>(options, std::move(*parts)));
}

}  // namespace freshet::cache
