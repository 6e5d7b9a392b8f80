// What the catalog says about the writing of a table's rows: what else changes them, and what runs when they are written.
// May use libpq.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/postgres/catalog/catalog_session.h"
#include "storage/postgres/catalog/table_facts.h"

namespace freshet::storage::postgres {

struct WriterFacts {
  std::string missing_privileges;    // Of this role: "INSERT, DELETE".
  std::string rule;                  // The first rewrite rule of the table.
  // Something may run after a statement on the table that could change its rows again: a trigger that is not the seal's,
  // or a foreign key's action on other tables; or a constraint may be checked as late as the commit.
  bool runs_after = false;
  // Ways by which others change the table's rows: the first of each, for people.
  std::string cascade;               // A foreign key of the table with an action.
  std::string foreign_rule;          // A rule of another table.
  std::string suspect_trigger;       // A trigger whose function names the table, on whatever table.
  std::vector<std::string> leaves;   // The table and its partitions, quoted.
};

// Errors: as look_up_table().
Result<WriterFacts> look_up_writers(CatalogSession& session, const TableFacts& table);

// Why the table cannot be written through Freshet at all, if so.
std::optional<Error> fault_of_writing(const TableFacts& table, const WriterFacts& facts, const std::string& role);
// Why nobody can vouch that nobody else changes its rows, if so: why it must be sealed.
std::optional<Error> fault_of_exclusive_writer(const TableFacts& table, const WriterFacts& facts);

}  // namespace freshet::storage::postgres
