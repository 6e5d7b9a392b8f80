// Query collections: what the analysis says, as a draft.
#include <fmt/format.h>

#include <utility>

#include "storage/postgres/observed/plan.h"
#include "storage/postgres/query/analysis.h"

namespace freshet::storage::postgres {
namespace {

Result<void> add_parameters(CatalogSession& session, const QueryDescription& query, CollectionPlan& plan) {
  std::vector<std::pair<Oid, std::int32_t>> types;
  for (const auto type : query.parameter_types) types.emplace_back(type, -1);
  for (const auto& column : query.columns) types.emplace_back(column.type, column.modifier);
  const auto facts = look_up_types(session, types);
  if (!facts) return facts.error();
  for (std::size_t i = 0; i < query.parameter_types.size(); ++i) {
    const auto& type = (*facts)[i];
    const auto form = key_form_of(type.base, type.base_modifier, type.base_kind);
    if (!form) {
      return Error::of(ErrorCode::unsupported,
                       fmt::format("${} is of type {}: equal values of that type may have different texts", i + 1, type.sql),
                       fmt::format("Cast it, as in ${}::text.", i + 1));
    }
    plan.text.parts.push_back({fmt::format("${}", i + 1), type.sql, type.plain(), *form, {}, {}});
    if (type.enumeration != 0) plan.watched.enumerations.push_back(type.enumeration);
  }
  auto shape = std::make_shared<RowShape>();
  shape->is_query = true;
  for (std::size_t i = 0; i < query.columns.size(); ++i) {
    const auto& type = (*facts)[query.parameter_types.size() + i];
    shape->columns.push_back({query.columns[i].name, type.kind()});
    if (type.enumeration != 0) plan.watched.enumerations.push_back(type.enumeration);
    if (type.composite != 0) plan.watched.attributes.push_back(type.composite);
  }
  plan.shape = std::move(shape);
  return {};
}

// The stream's texts are brought to the parameter's form: what equals it has one key.
QueryMapping mapping_of(const QueryDescription& query, const TableFacts& table, const CollectionPlan& plan,
                        CollectionId id) {
  QueryMapping mapping{id, plan.spec.name, query.exact(), {}};
  for (std::size_t i = 0; i < query.exact_columns.size(); ++i) {
    const auto* column = table.find(query.exact_columns[i]);
    if (column == nullptr || !column->in_identity) return {id, plan.spec.name, false, {}};
    mapping.parameters.push_back({column->name, column->type.type, column->type.modifier, plan.text.parts[i].form, true});
  }
  return mapping;
}

Result<std::optional<Error>> plan_query(CatalogSession& session, DraftBook& book, Draft& draft, CollectionId id) {
  auto& plan = draft.plan;
  const auto query = analyse(session, plan.spec);
  if (!query) return query.error();
  if (auto added = add_parameters(session, *query, plan); !added) return added.error();
  std::optional<Error> fault;
  for (const auto& [number, name] : query->tables) {
    auto table = look_up_table(session, name);
    if (!table) return table.error();
    if (!fault) fault = fault_of_published(*table);
    plan.mappings.push_back({table->oid, table->schema, table->name, {}, {mapping_of(*query, *table, plan, id)}});
    plan.depends_on += (plan.depends_on.empty() ? "" : ", ") + table->sql;
    draft.tables.push_back(name);
    book.tables[name] = std::move(*table);
  }
  std::string columns;
  for (const auto& column : query->exact_columns) columns += (columns.empty() ? "" : ", ") + column;
  plan.depends_on = query->exact() ? fmt::format("rows of {} by {}", plan.depends_on, columns)
                                   : fmt::format("any change of {} ({})", plan.depends_on, query->why_not_exact);
  plan.text.query = plan.spec.query;
  plan.text.query_columns = query->columns.size();
  plan.watched.functions = query->functions;
  plan.watched.views = query->views;
  auto& watched = plan.watched;
  watched.enumerations.insert(watched.enumerations.end(), query->enumerations.begin(), query->enumerations.end());
  watched.attributes.insert(watched.attributes.end(), query->composites.begin(), query->composites.end());
  plan.watched.relations.insert(plan.watched.relations.end(), query->views.begin(), query->views.end());
  return fault;
}

}  // namespace

Result<void> draft_query(CatalogSession& session, DraftBook& book, const CollectionSpec& spec, CollectionId id) {
  Draft draft;
  draft.plan.spec = spec;
  auto fault = plan_query(session, book, draft, id);
  if (!fault && fault.error().code == ErrorCode::unavailable) return fault.error();
  draft.plan.fault = fault ? *fault : std::optional(fault.error());
  book.drafts.push_back(std::move(draft));
  return {};
}

}  // namespace freshet::storage::postgres
