// What a query collection's SELECT reads, and whether the rows of one table tell which of its keys a change touches. A small
// state machine over the database's catalog: it says which statement to run next and takes the answer, so that any loop can
// drive it. PostgreSQL 14 or later: the server parses the query as the body of a temporary function, in a transaction that
// is rolled back, and shows its tree. May use libpq's Oid and storage.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "freshet/result.h"
#include "storage/collection.h"
#include "storage/postgres/query/findings.h"

namespace freshet::storage::postgres {

struct QueryTable {
  Oid oid = 0;
  std::string name;  // As SQL writes it, with its schema.
  friend bool operator==(const QueryTable&, const QueryTable&) = default;
};

struct QueryResultColumn {
  std::string name;  // No two are the same.
  Oid type = 0;
  std::int32_t modifier = -1;
  friend bool operator==(const QueryResultColumn&, const QueryResultColumn&) = default;
};

struct QueryDescription {
  std::vector<Oid> parameter_types;         // Of $1, $2, …
  std::vector<QueryResultColumn> columns;   // At least one.
  // What the stream must tell of, as it tells it: partitioned tables by their root, tables that inherit by themselves, views
  // by what they read; depends_on too. In the order of their oids.
  std::vector<QueryTable> tables;
  // Not empty: exact. One column of the only table for each parameter: a row belongs to the key whose parts are the row's
  // values of these columns, and to no key if one of them is NULL. The replica identity of the table, and of each of its
  // partitions, has them all. The column's type is the parameter's (or varchar for text), but its modifier is not: a row's
  // 1.50 of a numeric(9,2) belongs to the key 1.5, so take both in the form of the parameter's type without a modifier.
  // Empty: any change of any table may touch every key.
  std::vector<std::string> exact_columns;
  std::string why_not_exact;                // For people; empty if exact.
  // Functions and views that the operator may replace, and with them the result: for the catalog fingerprint.
  std::vector<Oid> functions;
  std::vector<Oid> views;
  // What else its texts are made of: enums, and the pg_class numbers of composite types.
  std::vector<Oid> enumerations;
  std::vector<Oid> composites;

  bool exact() const { return !exact_columns.empty(); }
};

// Drive it with every statement on one session, one after the other:
//   while (auto step = analysis.next()) analysis.answer(run(*step)) or, if the server refused it, analysis.fail(…);
//   analysis.result();
// A session that broke on the way is simply dropped, with the analysis.
class QueryAnalysis {
 public:
  struct Step {
    enum class Kind : std::uint8_t {
      describe,  // PQprepare and PQdescribePrepared of the unnamed statement: PQnparams, PQnfields and so on.
      run,       // PQexecParams, texts both ways.
    };
    Kind kind = Kind::run;
    std::string sql;
    std::vector<std::string> parameters;
  };

  explicit QueryAnalysis(CollectionSpec spec) : spec_(std::move(spec)) {}

  // Nullopt: the result is there.
  std::optional<Step> next() const;
  // The server's answer to the step that next() gave: of PQdescribePrepared, or of a statement.
  void answer(const PGresult* reply);
  // The server refused it. `message`: what it said.
  void fail(std::string_view sqlstate, std::string_view message);

  // Errors: invalid_argument (it is no SELECT that can be served, and why), unsupported (what cannot be known to be right,
  // and what to declare or to run), unavailable (try again).
  Result<QueryDescription> result() const;

 private:
  enum class Stage : std::uint8_t { describe, begin, types, create, tree, names, relations, functions, texts, equality,
                                    identities, rollback, done };
  struct Relation {
    std::string name;
    char kind = 'r';                // pg_class.relkind
    bool row_security = false;
    bool logged = true;
    bool in_catalog = false;        // A table of the server's own.
    Oid root = 0;                   // Of a partition: what the stream calls it.
    std::vector<Oid> children;      // Tables that inherit, partitions aside.
    std::string definition;         // A view's tree.
    std::string dark_partition;     // See dark_partition.h.
  };

  Step step_for(Stage stage) const;
  // Takes the answer and says what comes next.
  Stage take(const PGresult* reply);
  void take_description(const PGresult* reply);
  void take_tree(const PGresult* reply);
  void take_names(const PGresult* reply);
  void take_relations(const PGresult* reply);
  void take_functions(const PGresult* reply);
  void take_texts(const PGresult* reply);
  void take_equality(const PGresult* reply);
  void take_identities(const PGresult* reply);

  void look_at(const std::string& tree_text, bool is_query);
  void judge_relation(Oid oid, const Relation& relation);
  bool can_be_followed(const Relation& relation);
  Stage after_relations() const;
  void give_exactness_up(std::string why);

  std::string about(std::string_view what) const;
  void refuse(ErrorCode code, std::string what, std::string remedy);
  // What a declaration allows; without one it is refused.
  void leave_to_declaration(std::string_view what);

  CollectionSpec spec_;
  Stage stage_ = Stage::describe;
  std::optional<Error> error_;
  QueryDescription description_;
  std::string argument_types_;
  analysis::Findings findings_;
  analysis::Exactness exactness_;
  std::set<Oid> to_look_up_;       // Relations that were named and not yet looked up.
  std::set<Oid> looked_up_;
};

class CatalogSession;

// Drives an analysis on a session. Errors: those of result(), and unavailable if the session was lost.
Result<QueryDescription> analyse(CatalogSession& session, const CollectionSpec& spec);

}  // namespace freshet::storage::postgres
