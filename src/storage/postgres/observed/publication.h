// The publication that the change stream reads: created and extended if it is managed, and checked in any case. May use
// libpq.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "freshet/result.h"
#include "storage/postgres/catalog/options.h"
#include "storage/postgres/catalog/table_facts.h"

namespace freshet::storage::postgres {

struct PublishedTable {
  std::set<std::string> columns;
  std::string filter;
};

struct Publication {
  Oid oid = 0;
  bool all_tables = false;
  bool via_root = false;
  std::string missing_operations;            // "update, truncate"; empty: none.
  std::map<Oid, PublishedTable> tables;      // Of those asked for.
};

// Sees to it that the publication has the tables, as far as it is managed, and says what it has now. Errors concern every
// collection: what to run by hand if the role may not.
Result<Publication> ensure_publication(CatalogSession& session, const ObservedOptions& options,
                                       const std::vector<const TableFacts*>& tables);

// Why the stream of this publication does not tell all that happens to the table, if so.
std::optional<Error> fault_of_publishing(const Publication& publication, const ObservedOptions& options,
                                         const TableFacts& table);

}  // namespace freshet::storage::postgres
