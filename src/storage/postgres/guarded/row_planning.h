// Planning guarded tables from the catalog, at the start and while the storage serves others: in sessions that end with it,
// and on a thread that may wait. May use storage and libpq.
#pragma once

#include <string>
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

// Takes away the seal that was made for the collection, if its table has it: nobody serves its rows as guarded ones any
// more. Errors: as ensure_unsealed().
Result<void> unseal(const PostgresOptions& options, const CollectionSpec& spec, const LeaseClaim& claim);

}  // namespace freshet::storage::postgres
