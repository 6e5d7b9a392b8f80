// What the tree of a parsed query says about it: what it reads and calls, what speaks against serving it, and whether the
// rows of one table tell which parameter values a change touches. Pure. May use libpq's Oid.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "storage/postgres/query/tree.h"

namespace freshet::storage::postgres::analysis {

struct Findings {
  std::set<Oid> relations;      // Tables, views and the like.
  std::set<Oid> functions;      // Aggregates and the functions of operators too.
  std::set<Oid> operators;
  std::set<Oid> types;          // Of all expressions,
  std::set<Oid> written_types;  // and of those that the query itself takes as texts.
  std::set<Oid> parsed_types;   // Types whose input functions run on texts while the query runs.
  // Never to be served, and to be served only at the operator's word: each as "it …".
  std::set<std::string> refusals;
  std::set<std::string> opaque;
};

// Adds what the tree of a query, or a list of them, says.
void look_at(const Node& tree, Findings& findings);

// `column = $parameter`, or the other way round, at the top of the WHERE clause. Whether the operator is the equality of the
// types, only the catalog knows.
struct Equality {
  std::size_t parameter = 0;   // From 1.
  Oid relation = 0;
  int attribute = 0;
  Oid operation = 0;           // pg_operator
  Oid parameter_type = 0;
  Oid collation = 0;           // 0: none.
};

struct Exactness {
  std::vector<Equality> equalities;  // One a parameter, in their order; empty: not exact,
  std::string why_not;               // and why.
};

// A query over one table whose parameters each stand once, in such an equality, is exact: its result is a function of the
// rows that match them all. Whatever is not recognised is not exact, which is always right.
Exactness judge_exactness(const Node& query, std::size_t parameters);

}  // namespace freshet::storage::postgres::analysis
