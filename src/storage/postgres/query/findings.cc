// Judging trees. Names of nodes and fields are those of PostgreSQL's nodes/primnodes.h and nodes/parsenodes.h; they are the
// same from 14 to 17, but for RTE, which 15 writes out.
#include "storage/postgres/query/findings.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

namespace freshet::storage::postgres::analysis {
namespace {

constexpr auto kFunctionFields = std::to_array<std::string_view>(
    {"funcid", "opfuncid", "aggfnoid", "winfnoid", "hashfuncid", "negfuncid", "tsmhandler"});
constexpr auto kOperatorFields = std::to_array<std::string_view>({"opno", "eqop", "sortop"});
constexpr auto kTypeFields = std::to_array<std::string_view>(
    {"vartype", "consttype", "paramtype", "aggtype", "wintype", "refrestype", "refelemtype", "funcresulttype",
     "opresulttype", "resulttype", "casetype", "typeId", "array_typeid", "element_typeid", "row_typeid", "coalescetype",
     "minmaxtype"});
constexpr std::string_view kSelect = "1";         // CMD_SELECT
constexpr std::string_view kRelation = "0";       // RTE_RELATION
constexpr std::string_view kExternParameter = "0";  // PARAM_EXTERN
constexpr Oid kText = 25, kVarchar = 1043;

bool is_range_entry(const Node& node) { return node.is("RTE") || node.is("RANGETBLENTRY"); }

void add_oid(long long number, std::set<Oid>& set) {
  if (number > 0) set.insert(static_cast<Oid>(number));
}

// A list of oids, "(o 96 521)".
void add_oids(const Node* list, std::set<Oid>& set) {
  if (list == nullptr) return;
  for (const Node& item : list->items) {
    Oid oid = 0;
    std::from_chars(item.text.data(), item.text.data() + item.text.size(), oid);
    add_oid(oid, set);
  }
}

void look_at_query(const Node& query, Findings& findings) {
  if (!query.has("commandType", kSelect) || !query.lacks("utilityStmt") || !query.has("hasModifyingCTE", "false")) {
    findings.refusals.insert("it is more than one SELECT: it changes data");
  }
  if (!query.has("hasForUpdate", "false") || !query.lacks("rowMarks")) {
    findings.refusals.insert("it locks rows (FOR UPDATE, FOR SHARE)");
  }
}

void add_types(const Node& tree, std::set<Oid>& types) {
  visit_nodes(tree, [&](const Node& node) {
    for (const auto name : kTypeFields) add_oid(node.number(name), types);
  });
}

// Casts to text and the like, which call output functions without naming them; and JSON_OBJECT (…) and XML's elements.
void look_for_texts(const Node& node, Findings& findings) {
  if (node.is("COERCEVIAIO") && node.field("arg") != nullptr) add_types(*node.field("arg"), findings.written_types);
  if (node.is("JSONCONSTRUCTOREXPR") || node.is("XMLEXPR")) add_types(node, findings.written_types);
}

// What makes a result depend on more than its inputs.
void look_for_opaque(const Node& node, Findings& findings) {
  if (node.is("SQLVALUEFUNCTION")) findings.opaque.insert("it asks for the time, the user or the like");
  if (node.is("NEXTVALUEEXPR")) findings.opaque.insert("it draws from a sequence");
  if (node.is("TABLESAMPLECLAUSE")) findings.opaque.insert("it takes a sample (TABLESAMPLE)");
  if (node.is("TABLEFUNC")) findings.opaque.insert("it makes a table of a document (XMLTABLE, JSON_TABLE)");
  if (node.is("VAR") && node.number("varattno") < 0) {
    findings.opaque.insert("it uses a system column (ctid, xmin, …), which changes unseen");
  }
}

bool is_conjunction(const Node& node) { return node.is("BOOLEXPR") && node.has("boolop", "and"); }

void add_conjuncts(const Node& node, std::vector<const Node*>& conjuncts) {
  const Node* arguments = is_conjunction(node) ? node.field("args") : nullptr;
  if (arguments == nullptr) {
    conjuncts.push_back(&node);
    return;
  }
  for (const Node& argument : arguments->items) add_conjuncts(argument, conjuncts);
}

// The column itself, or a varchar one taken as text, which changes nothing about equality.
const Node* column_in(const Node& node) {
  const Node* column = &node;
  if (node.is("RELABELTYPE")) {
    column = node.field("arg");
    const bool same = column != nullptr && node.number("resulttype") == kText && column->number("vartype") == kVarchar;
    if (!same) return nullptr;
  }
  const bool plain = column->is("VAR") && column->has("varno", "1") && column->has("varlevelsup", "0") &&
                     column->number("varattno") > 0;
  return plain ? column : nullptr;
}

bool is_parameter(const Node& node) { return node.is("PARAM") && node.has("paramkind", kExternParameter); }

// Nothing in `equality` but for `column = $n`: parameter 0.
Equality equality_in(const Node& node, Oid relation) {
  Equality equality;
  const Node* arguments = node.is("OPEXPR") ? node.field("args") : nullptr;
  if (arguments == nullptr || arguments->items.size() != 2) return equality;
  const Node* left = &arguments->items[0];
  const Node* right = &arguments->items[1];
  if (is_parameter(*left)) std::swap(left, right);
  const Node* column = column_in(*left);
  if (column == nullptr || !is_parameter(*right)) return equality;
  const auto type = left == column ? column->number("vartype") : left->number("resulttype");
  if (type != right->number("paramtype")) return equality;
  equality.parameter = static_cast<std::size_t>(right->number("paramid"));
  equality.relation = relation;
  equality.attribute = static_cast<int>(column->number("varattno"));
  equality.operation = static_cast<Oid>(node.number("opno"));
  equality.parameter_type = static_cast<Oid>(type);
  equality.collation = static_cast<Oid>(node.number("inputcollid"));
  return equality;
}

// The only table, if the query reads nothing else; 0 and why not.
Oid only_table(const Node& query, std::string& why_not) {
  const auto no = [&](const char* why) {
    why_not = why;
    return Oid{0};
  };
  if (!query.lacks("cteList")) return no("it has a WITH clause");
  if (!query.lacks("setOperations")) return no("it is a UNION or the like");
  if (!query.has("hasSubLinks", "false")) return no("it has a sub-select");
  const Node* tables = query.field("rtable");
  if (tables == nullptr || tables->items.size() != 1 || !is_range_entry(tables->items[0])) {
    return no("it reads other than one table");
  }
  const Node& entry = tables->items[0];
  const bool table = entry.has("rtekind", kRelation) && (entry.has("relkind", "r") || entry.has("relkind", "p"));
  if (!table || !entry.lacks("tablesample") || !entry.lacks("securityQuals")) return no("it reads other than a plain table");
  std::size_t queries = 0;
  visit_nodes(query, [&](const Node& node) { queries += node.is("QUERY") ? 1 : 0; });
  if (queries != 1) return no("it has a query inside");
  return static_cast<Oid>(entry.number("relid"));
}

std::vector<std::size_t> count_parameters(const Node& query, std::size_t parameters) {
  std::vector<std::size_t> counts(parameters + 1);
  visit_nodes(query, [&](const Node& node) {
    if (!node.is("PARAM")) return;
    const auto number = static_cast<std::size_t>(node.number("paramid"));
    // What is no parameter of the query's spoils every count.
    if (number == 0 || number > parameters || !is_parameter(node)) {
      for (auto& count : counts) count += 2;
    } else {
      ++counts[number];
    }
  });
  return counts;
}

// The WHERE clause of a query over one table; null if there is none.
const Node* where_of(const Node& query) {
  const Node* from = query.field("jointree");
  if (from == nullptr || !from->is("FROMEXPR")) return nullptr;
  const Node* list = from->field("fromlist");
  const bool one = list != nullptr && list->items.size() == 1 && list->items[0].is("RANGETBLREF");
  const Node* where = one ? from->field("quals") : nullptr;
  return where != nullptr && where->kind == Node::Kind::node ? where : nullptr;
}

}  // namespace

void look_at(const Node& tree, Findings& findings) {
  add_types(tree, findings.types);
  visit_nodes(tree, [&](const Node& node) {
    if (node.is("QUERY")) look_at_query(node, findings);
    if (is_range_entry(node) && node.has("rtekind", kRelation)) add_oid(node.number("relid"), findings.relations);
    if (node.is("COERCEVIAIO")) add_oid(node.number("resulttype"), findings.parsed_types);
    look_for_texts(node, findings);
    look_for_opaque(node, findings);
    for (const auto name : kFunctionFields) add_oid(node.number(name), findings.functions);
    for (const auto name : kOperatorFields) add_oid(node.number(name), findings.operators);
    if (node.is("ROWCOMPAREEXPR")) add_oids(node.field("opnos"), findings.operators);
  });
}

Exactness judge_exactness(const Node& query, std::size_t parameters) {
  Exactness exactness;
  if (parameters == 0) {
    exactness.why_not = "it has no parameters";
    return exactness;
  }
  const Oid table = only_table(query, exactness.why_not);
  if (table == 0) return exactness;
  const Node* where = where_of(query);
  std::vector<const Node*> conjuncts;
  if (where != nullptr) add_conjuncts(*where, conjuncts);
  std::vector<Equality> found(parameters + 1);
  for (const Node* conjunct : conjuncts) {
    const auto equality = equality_in(*conjunct, table);
    if (equality.parameter > 0 && equality.parameter <= parameters) found[equality.parameter] = equality;
  }
  const auto counts = count_parameters(query, parameters);
  for (std::size_t i = 1; i <= parameters; ++i) {
    if (found[i].parameter == i && counts[i] == 1) continue;
    exactness.why_not = fmt::format("${} does not stand once, as column = ${} at the top of the WHERE clause", i, i);
    return exactness;
  }
  exactness.equalities.assign(found.begin() + 1, found.end());
  return exactness;
}

}  // namespace freshet::storage::postgres::analysis
