// The seal of a table: triggers that refuse every write whose transaction has not passed the guard of the row's key
// (docs/CONSISTENCY-ROWS.md). Looking whether it is there, making it, taking it away. May use libpq.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "storage/postgres/catalog/catalog_session.h"
#include "storage/postgres/rows/row_sql.h"

namespace freshet::storage::postgres {

// Statements, to be run in this order as the table's owner. `leaves`: the table and its partitions.
std::vector<std::string> seal_sql(const RowText& text, const std::vector<std::string>& leaves);
std::vector<std::string> unseal_sql(const RowText& text, const std::vector<std::string>& leaves);

// Whether the triggers are all there, enabled, and of this very text.
Result<bool> is_sealed(CatalogSession& session, const RowText& text, const std::vector<std::string>& leaves);

// What this process has to say about seals. One that runs: as the holder of the lease it alone serves the tables, and makes
// and takes away their seals; without the lease (period 0) it touches none. One that starts serves nothing yet: it makes
// seals, and takes them away if nobody serves.
struct LeaseClaim {
  bool runs = false;
  std::string fleet = {};
  std::uint64_t period = 0;

  bool may_seal() const { return !runs || period != 0; }
};

// Sees to it that the table is sealed, or that it is not. Waits for the table's writers up to the session's lock_timeout.
// A seal leaves the table only while nobody serves its rows but the holder of `claim`, who does not either at that time.
// Errors: unavailable; unsupported, with the SQL for the owner.
Result<void> ensure_sealed(CatalogSession& session, const RowText& text, const std::vector<std::string>& leaves,
                           const LeaseClaim& claim = {});
Result<void> ensure_unsealed(CatalogSession& session, const RowText& text, const std::vector<std::string>& leaves,
                             const LeaseClaim& claim = {});
// Whether the table has a seal that was made for this collection, of whatever text.
Result<bool> has_seal_of(CatalogSession& session, const RowText& text);

// The name of the seal's function, which tells whose seal it is.
std::string seal_name(const RowText& text);

}  // namespace freshet::storage::postgres
