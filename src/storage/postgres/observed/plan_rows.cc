// Row collections: a table by its primary key. And what all drafts share.
#include <fmt/format.h>

#include <utility>

#include "storage/postgres/observed/plan.h"

namespace freshet::storage::postgres {
namespace {

Error no_column(const TableFacts& table, const std::string& name) {
  std::string known;
  for (const auto& column : table.columns) known += (known.empty() ? "" : ", ") + column.name;
  return Error::of(ErrorCode::invalid_argument, fmt::format("{} has no column {}", table.sql, name),
                   fmt::format("Its columns are {}.", known));
}

Error not_readable(const TableFacts& table, const std::string& column, const std::string& role) {
  return Error::of(ErrorCode::unsupported, fmt::format("this role may not read {} of {}", column, table.sql),
                   fmt::format("Run as its owner: GRANT SELECT ON {} TO {};", table.sql, role));
}

StreamColumn stream_column(const ColumnFacts& column, KeyForm form) {
  return {column.name, column.type.type, column.type.modifier, form,
          !column.generated && !column.type.text_depends_on_session()};
}

Result<void> add_shown(const TableFacts& table, CollectionPlan& plan, RowMapping& mapping, const std::string& role) {
  auto shape = std::make_shared<RowShape>();
  auto columns = plan.spec.columns;
  if (columns.empty()) {
    for (const auto& column : table.columns) columns.emplace_back(column.name, column.name);
  }
  for (const auto& [name, shown_as] : columns) {
    const auto* column = table.find(name);
    if (column == nullptr) return no_column(table, name);
    if (!column->readable) return not_readable(table, name, role);
    shape->columns.push_back({shown_as, column->type.kind()});
    plan.text.columns.push_back(quoted_identifier(name));
    mapping.shown.push_back(stream_column(*column, KeyForm::as_is));
    if (column->type.enumeration != 0) plan.watched.enumerations.push_back(column->type.enumeration);
    if (column->type.composite != 0) plan.watched.attributes.push_back(column->type.composite);
  }
  plan.shape = std::move(shape);
  return {};
}

Result<void> add_key(const TableFacts& table, CollectionPlan& plan, RowMapping& mapping, const std::string& role) {
  for (const auto* column : table.key()) {
    if (!column->readable) return not_readable(table, column->name, role);
    const auto form = key_form_of(column->type.base, column->type.base_modifier, column->type.base_kind);
    plan.text.parts.push_back({column->name, column->type.sql, column->type.plain(), *form, quoted_identifier(column->name),
                               column->collation});
    mapping.key.push_back(stream_column(*column, *form));
    if (column->type.enumeration != 0) plan.watched.enumerations.push_back(column->type.enumeration);
  }
  return {};
}

std::optional<Error> plan_rows(const TableFacts& table, CollectionPlan& plan, CollectionId id, const std::string& role) {
  if (auto fault = fault_of_published(table)) return fault;
  if (auto fault = fault_of_key(table)) return fault;
  if (auto fault = fault_of_identity(table)) return fault;
  if (table.row_security) {
    return Error::of(ErrorCode::unsupported,
                     fmt::format("row-level security hides rows of {} from this role, and the change stream hides none",
                                 table.sql),
                     fmt::format("Use a role that bypasses it: ALTER ROLE {} BYPASSRLS;", role));
  }
  RowMapping mapping{id, plan.spec.name, {}, {}};
  if (auto added = add_key(table, plan, mapping, role); !added) return added.error();
  if (auto added = add_shown(table, plan, mapping, role); !added) return added.error();
  plan.text.table = (table.is_partitioned() ? "" : "ONLY ") + table.sql;
  std::string key;
  for (const auto& part : plan.text.parts) key += (key.empty() ? "" : ", ") + part.name;
  plan.depends_on = fmt::format("{} by its primary key ({})", table.sql, key);
  plan.mappings.push_back({table.oid, table.schema, table.name, {std::move(mapping)}, {}});
  return std::nullopt;
}

}  // namespace

Result<void> draft_rows(CatalogSession& session, DraftBook& book, const CollectionSpec& spec, CollectionId id) {
  auto& draft = book.drafts.emplace_back();
  draft.plan.spec = spec;
  auto table = look_up_table(session, spec.table);
  if (!table) {
    if (table.error().code == ErrorCode::unavailable) return table.error();
    draft.plan.fault = table.error();
    return {};
  }
  draft.plan.fault = plan_rows(*table, draft.plan, id, book.role);
  draft.tables.push_back(spec.table);
  book.tables[spec.table] = std::move(*table);
  return {};
}

void finish_draft(const DraftBook& book, Draft& draft, const Publication& publication, const ObservedOptions& options) {
  auto& plan = draft.plan;
  plan.watched.publication = publication.oid;
  for (const auto& name : draft.tables) {
    const auto& table = book.tables.at(name);
    auto& watched = plan.watched;
    watched.relations.insert(watched.relations.end(), table.relations.begin(), table.relations.end());
    watched.attributes.push_back(table.oid);
    // Of plain tables too: pg_class of a parent that has, or once had, a child does not change with the next.
    watched.parents.insert(watched.parents.end(), table.relations.begin(), table.relations.end());
    watched.published.push_back(table.oid);
    watched.schemas.push_back(table.schema_oid);
    if (!plan.fault) plan.fault = fault_of_publishing(publication, options, table);
  }
  if (plan.fault) return;
  for (auto& mapping : plan.mappings) {
    const auto& published = publication.tables.at(mapping.relation).columns;
    for (auto& rows : mapping.rows) {
      for (auto& column : rows.shown) column.in_stream = column.in_stream && published.contains(column.name);
    }
  }
  const std::vector<Oid> arrays(std::max<std::size_t>(plan.text.parts.size(), 1), 1009);
  plan.fill = std::make_shared<OwnedStatement>("fill", fill_sql(plan.text, 0, 1), arrays);
  plan.validation = std::make_shared<OwnedStatement>("validate", validation_sql(plan.text),
                                                     std::vector<Oid>(plan.text.parts.size(), oid::kText));
}

}  // namespace freshet::storage::postgres
