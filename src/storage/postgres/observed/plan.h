// Plans collections: from a spec and the catalog to statements, mappings and shapes. May use storage and libpq.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "storage/postgres/observed/catalog.h"
#include "storage/postgres/observed/publication.h"

namespace freshet::storage::postgres {

// What a collection rests on, before the publication is looked at.
struct Draft {
  CollectionPlan plan;
  std::vector<std::string> tables;  // Names of its tables, in `tables` of DraftBook.
};

// The drafts of all collections and the tables that they share.
struct DraftBook {
  std::string role;                           // Quoted: who is to be granted what.
  std::map<std::string, TableFacts> tables;   // By the name under which they were looked up.
  std::vector<Draft> drafts;
};

// Errors: unavailable. What is wrong with one collection stands in its plan.
Result<void> draft_rows(CatalogSession& session, DraftBook& book, const CollectionSpec& spec, CollectionId id);
Result<void> draft_query(CatalogSession& session, DraftBook& book, const CollectionSpec& spec, CollectionId id);

// The publication is known now: what it does not tell, and which columns are missing there.
void finish_draft(const DraftBook& book, Draft& draft, const Publication& publication, const ObservedOptions& options);

}  // namespace freshet::storage::postgres
