// Planning guarded tables from the catalog, at the start and while the storage serves others: in sessions that end with it,
// and on a thread that may wait. May use storage and libpq.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "storage/postgres/options.h"
#include "storage/postgres/rows/row_plan.h"

namespace freshet::storage::postgres {

// How often tables are planned again if the catalog changes at the same time; sealing them is such a change.
inline constexpr int kPlanningRoundsMax = 5;

// Those of `specs` that are guarded; seals their tables, or refuses. Nothing changed in the catalog while they were planned.
// Errors: as plan_rows().
Result<std::vector<RowPlanRef>> plan_guarded(const PostgresOptions& options, const std::vector<CollectionSpec>& specs,
                                 const LeaseClaim& claim);

// Takes away the seals that were made for these collections, where their tables have them: nobody serves their rows as
// guarded ones any more. Those that went wrong, by their tables; errors: as ensure_unsealed().
std::vector<std::pair<std::string, Error>> unseal_each(const PostgresOptions& options,
                                                       const std::vector<CollectionSpec>& specs, const LeaseClaim& claim);

}  // namespace freshet::storage::postgres
