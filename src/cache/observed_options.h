// The engine's options as the observed storage takes them, with names where the operator gave none. May
// use storage.
#pragma once

#include "cache/engine.h"
#include "storage/postgres/catalog/options.h"

namespace freshet::cache {

storage::postgres::ObservedOptions observed_options(const EngineOptions& options);
// Of the guarded collections that are followed as well.
storage::postgres::ObservedOptions watched_options(const EngineOptions& options);

std::vector<storage::CollectionSpec> observed_specs(std::vector<storage::CollectionSpec> specs);
std::vector<storage::CollectionSpec> watched_specs(std::vector<storage::CollectionSpec> specs);

// This machine's name.
std::string host_name();

// "freshet_FLEET_HOST": PostgreSQL's slots have lower-case letters, digits and '_' in their names, 63 bytes at most.
std::string default_slot(std::string_view fleet, std::string_view host);

}  // namespace freshet::cache
