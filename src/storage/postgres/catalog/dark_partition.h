// Partitions whose changes are not in the log, below a root whose other changes are. May use fmt.
#pragma once

#include <fmt/format.h>

#include <string_view>

#include "freshet/result.h"

namespace freshet::storage::postgres {

// An expression over `pg_class c`: the kind and the name of the first such leaf of c, as in "rapp.part", or an empty text.
inline constexpr std::string_view kDarkPartitionSql = R"(
  coalesce((SELECT d.relkind::text || format('%I.%I', dn.nspname, d.relname)
  FROM pg_partition_tree(c.oid) l JOIN pg_class d ON d.oid = l.relid JOIN pg_namespace dn ON dn.oid = d.relnamespace
  WHERE c.relkind = 'p' AND d.relkind <> 'p' AND (d.relpersistence <> 'p' OR d.relkind = 'f')
  ORDER BY d.oid LIMIT 1), ''))";

// Nothing else tells of it either, so this is a fault whatever is declared. `dark`: what the expression gave, not empty.
inline Error fault_of_dark_partition(std::string_view table, std::string_view dark) {
  const auto leaf = dark.substr(1);
  if (dark.front() == 'f') {
    return Error::of(ErrorCode::unsupported,
                     fmt::format("{} has a foreign partition, {}: its changes happen in another database", table, leaf),
                     "Detach it, or observe a table without it.");
  }
  return Error::of(ErrorCode::unsupported,
                   fmt::format("{} has an unlogged partition, {}: its changes are not in the log", table, leaf),
                   fmt::format("Run: ALTER TABLE {} SET LOGGED;", leaf));
}

}  // namespace freshet::storage::postgres
