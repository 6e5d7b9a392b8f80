// The analysis, stage by stage. See query_analysis.h.
#include "storage/postgres/query/analysis.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include "storage/postgres/libpq.h"
#include "storage/postgres/catalog/catalog_session.h"
#include "storage/postgres/catalog/key_text.h"
#include "storage/postgres/query/statements.h"
#include "storage/postgres/query/settled_functions.h"

namespace freshet::storage::postgres {
namespace {

// Tables and views behind one query; more are no query that a cache can follow.
constexpr std::size_t kRelationsMax = 1000;
constexpr std::size_t kStatementsShownMax = 8;
constexpr std::string_view kDeclare = "declare depends_on, if only as [], to take this upon yourself";

std::string_view text_at(const PGresult* reply, int row, int column) {
  return {PQgetvalue(reply, row, column), static_cast<std::size_t>(PQgetlength(reply, row, column))};
}
bool is_true(const PGresult* reply, int row, int column) { return text_at(reply, row, column) == "t"; }
Oid oid_of(std::string_view text) {
  Oid oid = 0;
  std::from_chars(text.data(), text.data() + text.size(), oid);
  return oid;
}

// "{1,2}", as arrays of numbers are written.
template <typename Range>
std::string array_of(const Range& numbers) {
  return fmt::format("{{{}}}", fmt::join(numbers, ","));
}

template <typename Range>
std::string array_of_texts(const Range& texts) {
  std::string out = "{";
  for (const auto& text : texts) {
    out += out.size() > 1 ? ",\"" : "\"";
    for (const char character : text) {
      if (character == '"' || character == '\\') out += '\\';
      out += character;
    }
    out += '"';
  }
  return out + "}";
}

// 'now', 'today' and so on become constants when a statement is prepared, which the tree no longer shows.
bool has_moving_constant(std::string_view query) {
  constexpr auto kWords = std::to_array<std::string_view>({"now", "today", "tomorrow", "yesterday"});
  std::string lower(query);
  for (char& character : lower) character = static_cast<char>(std::tolower(static_cast<unsigned char>(character)));
  for (auto quote = lower.find('\''); quote != lower.npos; quote = lower.find('\'', quote + 1)) {
    const auto start = std::min(lower.find_first_not_of(" \t\n", quote + 1), lower.size());
    for (const auto word : kWords) {
      const auto end = start + word.size();
      const bool ends = end >= lower.size() || std::isalnum(static_cast<unsigned char>(lower[end])) == 0;
      if (ends && lower.compare(start, word.size(), word) == 0) return true;
    }
  }
  return false;
}

}  // namespace

std::optional<QueryAnalysis::Step> QueryAnalysis::next() const {
  if (stage_ == Stage::done) return std::nullopt;
  return step_for(stage_);
}

QueryAnalysis::Step QueryAnalysis::step_for(Stage stage) const {
  using Kind = Step::Kind;
  switch (stage) {
    case Stage::describe: return {Kind::describe, spec_.query, {}};
    case Stage::begin: return {Kind::run, statements::kBegin, {}};
    case Stage::types: return {Kind::run, statements::kTypeNames, {array_of(description_.parameter_types)}};
    case Stage::create:
      // The line break ends a comment at the query's end.
      return {Kind::run, fmt::format("CREATE FUNCTION pg_temp.freshet_query({}) RETURNS SETOF record BEGIN ATOMIC {}\n; END",
                                     argument_types_, spec_.query), {}};
    case Stage::tree: return {Kind::run, statements::kTree, {}};
    case Stage::names: return {Kind::run, statements::kNames, {array_of_texts(spec_.depends_on)}};
    case Stage::relations: return {Kind::run, statements::relations_sql(), {array_of(to_look_up_)}};
    case Stage::functions:
      return {Kind::run, statements::kNotImmutable,
              {array_of(findings_.functions), array_of(findings_.operators), array_of(findings_.parsed_types),
               array_of_texts(analysis::kSettledFunctions)}};
    case Stage::texts:
      return {Kind::run, statements::kTexts,
              {array_of(findings_.written_types), array_of(findings_.types), array_of(findings_.functions),
               array_of_texts(analysis::kSettledFunctions)}};
    case Stage::equality: {
      std::vector<Oid> relations, operations, types, collations;
      std::vector<int> attributes;
      for (const auto& equality : exactness_.equalities) {
        relations.push_back(equality.relation);
        attributes.push_back(equality.attribute);
        operations.push_back(equality.operation);
        types.push_back(equality.parameter_type);
        collations.push_back(equality.collation);
      }
      return {Kind::run, statements::kEquality,
              {array_of(relations), array_of(attributes), array_of(operations), array_of(types), array_of(collations)}};
    }
    case Stage::identities: {
      std::vector<Oid> tables;
      for (const auto& table : description_.tables) tables.push_back(table.oid);
      return {Kind::run, statements::kIdentities, {array_of(tables), array_of_texts(description_.exact_columns)}};
    }
    case Stage::rollback:
    case Stage::done: break;
  }
  return {Kind::run, statements::kRollback, {}};
}

void QueryAnalysis::answer(const PGresult* reply) {
  const bool open = stage_ != Stage::describe && stage_ != Stage::rollback;
  const Stage following = take(reply);
  stage_ = !error_ ? following : open ? Stage::rollback : Stage::done;
}

void QueryAnalysis::fail(std::string_view sqlstate, std::string_view message) {
  const bool is_querys_fault = stage_ == Stage::describe || stage_ == Stage::create || stage_ == Stage::names;
  const bool open = stage_ != Stage::describe && stage_ != Stage::begin && stage_ != Stage::rollback;
  if (sqlstate == sqlstate::kNoPrivilege && stage_ == Stage::create) {
    refuse(ErrorCode::unsupported, about(fmt::format("its query cannot be looked into: {}", message)),
           "GRANT TEMPORARY ON DATABASE … TO the role by which Freshet connects");
  } else {
    const auto* what = is_querys_fault ? "its query" : "to show its query's tree";
    refuse(is_querys_fault ? ErrorCode::invalid_argument : ErrorCode::unavailable,
           about(fmt::format("PostgreSQL refuses {}: {}", what, message)), "");
  }
  stage_ = open ? Stage::rollback : Stage::done;
}

Result<QueryDescription> QueryAnalysis::result() const {
  if (error_) return *error_;
  return description_;
}

QueryAnalysis::Stage QueryAnalysis::take(const PGresult* reply) {
  switch (stage_) {
    case Stage::describe: take_description(reply); return Stage::begin;
    case Stage::begin: return Stage::types;
    case Stage::types: argument_types_ = text_at(reply, 0, 0); return Stage::create;
    case Stage::create: return Stage::tree;
    case Stage::tree: take_tree(reply); return spec_.depends_on.empty() ? after_relations() : Stage::names;
    case Stage::names: take_names(reply); return after_relations();
    case Stage::relations: take_relations(reply); return after_relations();
    case Stage::functions: take_functions(reply); return Stage::texts;
    case Stage::texts: take_texts(reply); return exactness_.equalities.empty() ? Stage::identities : Stage::equality;
    case Stage::equality: take_equality(reply); return Stage::identities;
    case Stage::identities: take_identities(reply); return Stage::rollback;
    case Stage::rollback:
    case Stage::done: break;
  }
  return Stage::done;
}

QueryAnalysis::Stage QueryAnalysis::after_relations() const {
  return to_look_up_.empty() ? Stage::functions : Stage::relations;
}

void QueryAnalysis::take_description(const PGresult* reply) {
  for (int i = 0; i < PQnparams(reply); ++i) description_.parameter_types.push_back(PQparamtype(reply, i));
  for (int i = 0; i < PQnfields(reply); ++i) {
    QueryResultColumn column{PQfname(reply, i), PQftype(reply, i), PQfmod(reply, i)};
    for (const auto& other : description_.columns) {
      if (other.name != column.name) continue;
      const auto what = fmt::format("two columns of its query are named \"{}\"", column.name);
      return refuse(ErrorCode::invalid_argument, about(what), "name them apart with AS");
    }
    description_.columns.push_back(std::move(column));
  }
  if (description_.columns.empty()) {
    return refuse(ErrorCode::invalid_argument, about("its query has no columns"), "write one SELECT with columns");
  }
  if (has_moving_constant(spec_.query)) leave_to_declaration("it has a constant such as 'now' or 'today'");
}

void QueryAnalysis::take_tree(const PGresult* reply) {
  if (PQntuples(reply) != 1) {
    return refuse(ErrorCode::unsupported, about("the server did not show its query's tree"),
                  "query collections need PostgreSQL 14 or later");
  }
  look_at(std::string(text_at(reply, 0, 0)), true);
}

void QueryAnalysis::look_at(const std::string& tree_text, bool is_query) {
  const auto tree = analysis::parse_tree(tree_text);
  if (!tree) return refuse(tree.error().code, about(tree.error().what), tree.error().remedy);
  analysis::look_at(*tree, findings_);
  if (!findings_.refusals.empty()) {
    return refuse(ErrorCode::invalid_argument, about(*findings_.refusals.begin()), "write one SELECT that only reads");
  }
  for (const auto& what : findings_.opaque) leave_to_declaration(what);
  for (const Oid relation : findings_.relations) {
    if (looked_up_.count(relation) == 0) to_look_up_.insert(relation);
  }
  if (!is_query) return;
  // The body is a list of lists of statements: one of one.
  const analysis::Node* query = &*tree;
  while (query->kind == analysis::Node::Kind::list && query->items.size() == 1) query = &query->items[0];
  if (!query->is("QUERY")) return refuse(ErrorCode::invalid_argument, about("it is no single SELECT"), "write one SELECT");
  exactness_ = analysis::judge_exactness(*query, description_.parameter_types.size());
}

void QueryAnalysis::take_names(const PGresult* reply) {
  for (int i = 0; i < PQntuples(reply); ++i) {
    const Oid relation = oid_of(text_at(reply, i, 1));
    if (relation == 0) {
      return refuse(ErrorCode::invalid_argument,
                    about(fmt::format("depends_on names {}, which does not exist", text_at(reply, i, 0))),
                    "write the table's name as SQL does, with its schema");
    }
    to_look_up_.insert(relation);
  }
  give_exactness_up("it depends on more tables than it names");
}

void QueryAnalysis::take_relations(const PGresult* reply) {
  looked_up_.insert(to_look_up_.begin(), to_look_up_.end());
  to_look_up_.clear();
  for (int i = 0; i < PQntuples(reply) && !error_; ++i) {
    Relation relation;
    relation.name = text_at(reply, i, 1);
    relation.kind = text_at(reply, i, 2).front();
    relation.row_security = is_true(reply, i, 3);
    relation.logged = is_true(reply, i, 4);
    relation.in_catalog = is_true(reply, i, 5);
    relation.root = oid_of(text_at(reply, i, 6));
    for (auto rest = text_at(reply, i, 7); !rest.empty();) {
      const auto space = std::min(rest.find(' '), rest.size());
      relation.children.push_back(oid_of(rest.substr(0, space)));
      rest.remove_prefix(std::min(space + 1, rest.size()));
    }
    relation.definition = text_at(reply, i, 8);
    relation.dark_partition = text_at(reply, i, 9);
    judge_relation(oid_of(text_at(reply, i, 0)), relation);
  }
  if (looked_up_.size() > kRelationsMax) {
    refuse(ErrorCode::unsupported, about(fmt::format("it reads more than {} tables and views", kRelationsMax)), "");
  }
}

void QueryAnalysis::judge_relation(Oid oid, const Relation& relation) {
  if (relation.kind == 'v' && !relation.in_catalog) {
    description_.views.push_back(oid);
    return look_at(relation.definition, false);
  }
  if (!relation.dark_partition.empty()) {
    const auto fault = fault_of_dark_partition(relation.name, relation.dark_partition);
    return refuse(fault.code, about(fault.what), fault.remedy);
  }
  if (relation.row_security) {
    leave_to_declaration(fmt::format("{} has row-level security", relation.name));
    give_exactness_up(fmt::format("{} has row-level security", relation.name));
  }
  if (!can_be_followed(relation)) {
    leave_to_declaration(fmt::format("the change stream does not tell of {}", relation.name));
    return give_exactness_up(fmt::format("the change stream does not tell of {}", relation.name));
  }
  if (relation.root != 0) {
    if (looked_up_.count(relation.root) == 0) to_look_up_.insert(relation.root);
    return;
  }
  for (const Oid child : relation.children) {
    if (looked_up_.count(child) == 0) to_look_up_.insert(child);
    give_exactness_up(fmt::format("other tables inherit from {}", relation.name));
  }
  const QueryTable table{oid, relation.name};
  const auto by_oid = [](const QueryTable& a, const QueryTable& b) { return a.oid < b.oid; };
  description_.tables.insert(std::upper_bound(description_.tables.begin(), description_.tables.end(), table, by_oid), table);
}

bool QueryAnalysis::can_be_followed(const Relation& relation) {
  return (relation.kind == 'r' || relation.kind == 'p') && relation.logged && !relation.in_catalog;
}

void QueryAnalysis::take_functions(const PGresult* reply) {
  for (int i = 0; i < PQntuples(reply); ++i) {
    leave_to_declaration(fmt::format("{} is not immutable", text_at(reply, i, 0)));
  }
  constexpr Oid kFirstOfUsers = 16384;
  for (const Oid function : findings_.functions) {
    if (function >= kFirstOfUsers) description_.functions.push_back(function);
  }
  description_.why_not_exact = exactness_.why_not;
}

void QueryAnalysis::take_texts(const PGresult* reply) {
  for (int i = 0; i < PQntuples(reply); ++i) {
    if (is_true(reply, i, 1)) {
      leave_to_declaration(fmt::format("the text of type {} depends on more than the value", text_at(reply, i, 0)));
    }
    if (const Oid enumeration = oid_of(text_at(reply, i, 2))) description_.enumerations.push_back(enumeration);
    if (const Oid composite = oid_of(text_at(reply, i, 3))) description_.composites.push_back(composite);
  }
}

void QueryAnalysis::take_equality(const PGresult* reply) {
  if (PQntuples(reply) != static_cast<int>(exactness_.equalities.size())) {
    return refuse(ErrorCode::unavailable, about("its table changed while it was looked at"), "try again");
  }
  std::vector<std::string> columns;
  for (int i = 0; i < PQntuples(reply); ++i) {
    const std::string name(text_at(reply, i, 0));
    const auto type = exactness_.equalities[static_cast<std::size_t>(i)].parameter_type;
    if (!is_true(reply, i, 1)) return give_exactness_up(fmt::format("{} is a generated column", name));
    if (!is_true(reply, i, 2)) return give_exactness_up(fmt::format("{} = ${} is no plain equality", name, i + 1));
    if (!is_true(reply, i, 3)) return give_exactness_up(fmt::format("the collation of {} takes texts for equal", name));
    if (!key_form_of(type, -1, text_at(reply, i, 4).front())) {
      return give_exactness_up(fmt::format("equal values of {} may differ in their texts", name));
    }
    columns.push_back(name);
  }
  description_.exact_columns = std::move(columns);
}

void QueryAnalysis::take_identities(const PGresult* reply) {
  std::vector<std::string> mute, lacking;
  std::string missing;
  for (int i = 0; i < PQntuples(reply); ++i) {
    const std::string name(text_at(reply, i, 0));
    if (!is_true(reply, i, 1)) mute.push_back(name);
    if (text_at(reply, i, 2).empty()) continue;
    lacking.push_back(name);
    missing = text_at(reply, i, 2);
  }
  const auto statements_for = [](const std::vector<std::string>& tables) {
    std::string out;
    for (std::size_t i = 0; i < std::min(tables.size(), kStatementsShownMax); ++i) {
      out += fmt::format("{}ALTER TABLE {} REPLICA IDENTITY FULL;", i > 0 ? " " : "", tables[i]);
    }
    return tables.size() > kStatementsShownMax ? out + " and so on" : out;
  };
  if (!mute.empty()) {
    return refuse(ErrorCode::unsupported,
                  about(fmt::format("{} has no replica identity: once it is published, its UPDATEs and DELETEs would fail",
                                    mute.front())),
                  fmt::format("give it a primary key, or run: {}", statements_for(mute)));
  }
  if (lacking.empty() || !description_.exact()) return;
  if (spec_.declared) return give_exactness_up(fmt::format("the replica identity of {} lacks {}", lacking.front(), missing));
  refuse(ErrorCode::unsupported,
         about(fmt::format("a changed row of {} does not tell its old {}: its replica identity lacks it", lacking.front(),
                           missing)),
         fmt::format("run: {} or declare depends_on = [], so that any change of the table touches every key",
                     statements_for(lacking)));
}

void QueryAnalysis::give_exactness_up(std::string why) {
  exactness_.equalities.clear();
  description_.exact_columns.clear();
  if (exactness_.why_not.empty()) exactness_.why_not = std::move(why);
  description_.why_not_exact = exactness_.why_not;
}

std::string QueryAnalysis::about(std::string_view what) const {
  return fmt::format("collection \"{}\": {}", spec_.name, what);
}

void QueryAnalysis::refuse(ErrorCode code, std::string what, std::string remedy) {
  if (!error_) error_ = Error::of(code, std::move(what), std::move(remedy));
}

void QueryAnalysis::leave_to_declaration(std::string_view what) {
  if (!spec_.declared) refuse(ErrorCode::unsupported, about(fmt::format("its result cannot be followed: {}", what)),
                              std::string(kDeclare));
}

Result<QueryDescription> analyse(CatalogSession& session, const CollectionSpec& spec) {
  QueryAnalysis analysis(spec);
  while (const auto step = analysis.next()) {
    const auto outcome = step->kind == QueryAnalysis::Step::Kind::describe ? session.describe(step->sql)
                                                                           : session.run(step->sql, step->parameters);
    if (!session.is_connected()) return Error::of(ErrorCode::unavailable, outcome.error.message);
    if (outcome.ok()) {
      analysis.answer(outcome.rows.get());
    } else {
      analysis.fail(outcome.error.state, outcome.error.message);
    }
  }
  return analysis.result();
}

}  // namespace freshet::storage::postgres
