// What stands behind the collections, looked up on the database: how to read each, how the stream speaks of it, and what the
// probes watch. May use storage and libpq.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/observed.h"
#include "storage/postgres/catalog/catalog_session.h"
#include "storage/postgres/observed/change_mapper.h"
#include "storage/postgres/observed/fill_sql.h"
#include "storage/postgres/catalog/options.h"
#include "storage/postgres/catalog/table_facts.h"
#include "storage/postgres/owned_statement.h"

namespace freshet::storage::postgres {

// Catalog rows by number. What is not in it, a change of the schema cannot touch.
struct Watched {
  std::vector<Oid> relations;        // pg_class: tables, partitions, primary keys' indexes, views, composite types.
  std::vector<Oid> attributes;       // pg_attribute of these relations.
  std::vector<Oid> parents;          // pg_inherits below these.
  std::vector<Oid> published;        // pg_publication_rel of these tables,
  std::vector<Oid> schemas;          // and pg_publication_namespace of their schemas.
  std::vector<Oid> enumerations;
  std::vector<Oid> functions;
  std::vector<Oid> views;            // pg_rewrite.
  Oid publication = 0;
  Oid commits_in = 0;                // A database: whether commits of its sessions and subscriptions wait, by default.

  void add(const Watched& other);
};

// An expression over them, of type int8. The same rows give the same value in every session.
std::string fingerprint_sql(const Watched& watched);

struct CollectionPlan {
  CollectionSpec spec;
  std::optional<Error> fault;
  std::string depends_on;
  RowShapeRef shape;
  FillText text;
  StatementRef fill;       // Null with a fault, as is `validation`.
  StatementRef validation;
  Watched watched;
  std::vector<TableMapping> mappings;  // One a table, of this collection alone.
  Fingerprint fingerprint;

  // Nothing is to be followed: it has a fault that nobody needs to mend.
  bool rests() const { return spec.table.empty() && !spec.is_query(); }
};

struct Catalog {
  std::vector<CollectionPlan> collections;
  // $1: a snapshot of this session's. Its columns: snapshot, position, fingerprint (NULL: the same as with that snapshot).
  StatementRef probe;
  // The first two columns alone: see prober.h.
  StatementRef short_probe;
  Fingerprint fingerprint;
  // Of what is published of the tables: if it changes, transactions that run meanwhile may be told in part only.
  Fingerprint publishing;
  Lsn published = 0;
  FullXid first_xid = 0;
  bool insert_position = false;
  std::size_t faults = 0;          // That may go by themselves.
  std::uint64_t revision = 0;      // Of the collections looked up.

  std::vector<TableMapping> mappings() const;
  Description description() const;
};
using CatalogRef = std::shared_ptr<const Catalog>;

// Looks everything up, and sees to the publication. Errors: unavailable.
Result<CatalogRef> read_catalog(CatalogSession& session, const ObservedOptions& options, std::uint64_t revision = 0);

// What every session of fills, probes and the catalog sets: how texts are written, and that indexes decide.
std::string output_settings_sql();
// How often it is looked up again if the schema changes at the same time.
inline constexpr int kCatalogRoundsMax = 5;

// A position at the start of a page counts as the end of the page before: what follows it is the page's header.
Lsn without_page_header(Lsn position);

}  // namespace freshet::storage::postgres
