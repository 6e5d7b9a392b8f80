// Planning guarded collections, and what their keys and answers mean.
#include "storage/postgres/rows/row_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>

#include "storage/postgres/rows/seal.h"
#include "storage/postgres/rows/writer_facts.h"
#include "storage/postgres/text_array.h"

namespace freshet::storage::postgres {
namespace {

constexpr Oid kTimestampWithTimeZone = 1184;

std::uint32_t next_shape_number() {
  static std::atomic<std::uint32_t> number = 0;
  return ++number;
}

Error refused(std::string what, std::string remedy = {}) {
  return Error::of(ErrorCode::unsupported, std::move(what), std::move(remedy));
}

Error no_column(const TableFacts& table, const std::string& name) {
  std::string known;
  for (const auto& column : table.columns) known += (known.empty() ? "" : ", ") + column.name;
  return Error::of(ErrorCode::invalid_argument, fmt::format("{} has no column {}", table.sql, name),
                   fmt::format("Its columns are {}.", known));
}

// One collection on its way from the catalog to its plan.
class Planner {
 public:
  Planner(const CollectionSpec& spec, const TableFacts& table, const WriterFacts& writers, const std::string& role)
      : spec_(spec), table_(table), writers_(writers), role_(role) {}

  std::optional<Error> find_fault() const {
    if (auto fault = fault_of_table(table_)) return fault;
    if (auto fault = fault_of_key(table_)) return fault;
    if (table_.row_security) {
      return refused(fmt::format("row-level security hides rows of {} from this role", table_.sql),
                     fmt::format("Use a role that bypasses it: ALTER ROLE {} BYPASSRLS;", role_));
    }
    if (auto fault = fault_of_writing(table_, writers_, role_)) return fault;
    return spec_.exclusive_writer ? fault_of_exclusive_writer(table_, writers_) : std::nullopt;
  }

  Result<std::unique_ptr<RowPlan>> plan() {
    auto collection = std::make_shared<RowCollection>();
    collection->spec = spec_;
    text_.collection = spec_.name;
    text_.table = table_.sql;
    text_.partitioned = table_.is_partitioned();
    text_.sealed = !spec_.exclusive_writer;
    if (auto declared = add_declared(spec_.version_column, oid::kInt8, "bigint", text_.version); !declared) {
      return declared.error();
    }
    if (auto declared = add_declared(spec_.expires_column, kTimestampWithTimeZone, "timestamp with time zone",
                                     text_.expires); !declared) {
      return declared.error();
    }
    add_key();
    auto shape = std::make_shared<RowShape>();
    if (auto shown = add_shown(*shape); !shown) return shown.error();
    collection->shape = std::move(shape);
    collection->shape_number = next_shape_number();
    collection->written_as = description();
    return std::make_unique<RowPlan>(std::move(collection), std::move(text_), std::move(columns_), writers_.runs_after);
  }

 private:
  Result<void> add_declared(const std::string& name, Oid type, const char* type_name, std::string& quoted) const {
    if (name.empty()) return {};
    const auto* column = table_.find(name);
    if (column == nullptr) return no_column(table_, name);
    if (column->type.base != type || column->key_place > 0 || column->generated) {
      return refused(fmt::format("{} of {} is no plain column of type {}", name, table_.sql, type_name));
    }
    quoted = quoted_identifier(name);
    return {};
  }

  void add_key() {
    for (const auto* column : table_.key()) {
      const auto form = key_form_of(column->type.base, column->type.base_modifier, column->type.base_kind);
      text_.parts.push_back({column->name, column->type.sql, column->type.plain(), *form, quoted_identifier(column->name),
                             column->collation});
    }
  }

  Result<void> add_shown(RowShape& shape) {
    auto columns = spec_.columns;
    if (columns.empty()) {
      for (const auto& column : table_.columns) columns.emplace_back(column.name, column.name);
    }
    for (const auto& [name, shown_as] : columns) {
      const auto* column = table_.find(name);
      if (column == nullptr) return no_column(table_, name);
      if (!column->readable) {
        return refused(fmt::format("this role may not read {} of {}", name, table_.sql),
                       fmt::format("Run as its owner: GRANT SELECT ON {} TO {};", table_.sql, role_));
      }
      shape.columns.push_back({shown_as, column->type.kind()});
      text_.shown.push_back(quoted_identifier(name));
      columns_.push_back({shown_as, quoted_identifier(name), column->type.sql,
                          column->type.array_sql, column->type.kind(),
                          static_cast<std::size_t>(column->key_place), column->generated || name == spec_.version_column});
    }
    return {};
  }

  std::string description() const {
    std::string key;
    for (const auto& part : text_.parts) key += (key.empty() ? "" : ", ") + part.name;
    return fmt::format("{} by its primary key ({}), {}; versions: {}", table_.sql, key,
                       spec_.exclusive_writer ? "not sealed: Freshet is declared to be its only writer"
                                              : "sealed: it refuses every other write",
                       spec_.version_column.empty() ? "none, rows are compared" : spec_.version_column);
  }

  const CollectionSpec& spec_;
  const TableFacts& table_;
  const WriterFacts& writers_;
  const std::string& role_;
  RowText text_;
  std::vector<RowColumn> columns_;
};

Error two_of_one_table(const CollectionSpec& spec, const std::string& other, const std::string& table) {
  return Error::of(ErrorCode::invalid_argument,
                   fmt::format("collections \"{}\" and \"{}\" both guard {}: a write to one would not be seen by the other",
                               other, spec.name, table),
                   "Guard the table once, with all the columns that are needed, or observe it by the other.");
}

Error in_collection(const CollectionSpec& spec, Error error) {
  error.what = fmt::format("collection \"{}\" cannot be guarded: {}", spec.name, error.what);
  return error;
}

// The names of the specs' tables as the operator's own sessions read them, schemas included. From then on the search path
// holds the server's own names only, as in the sessions that read and write: types are named with their schemas.
Result<std::vector<std::string>> resolve_tables(CatalogSession& session, const std::vector<CollectionSpec>& specs) {
  std::vector<std::string> names;
  for (const auto& spec : specs) {
    const auto found = session.run("SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c "
                                   "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = to_regclass($1)",
                                   {spec.table});
    if (!found.ok() && found.error.state.empty()) return Error::of(ErrorCode::unavailable, found.error.message);
    names.push_back(found.ok() && !found.value().empty() ? found.value() : spec.table);
  }
  const auto set = session.run("SELECT set_config('search_path', 'pg_catalog', false)");
  if (!set.ok()) return Error::of(ErrorCode::unavailable, set.error.message);
  return names;
}

// A collection that can be guarded, and whose table is not sealed yet.
struct Planned {
  std::unique_ptr<RowPlan> plan;
  std::vector<std::string> leaves;
};

Result<Planned> plan_one(CatalogSession& session, const CollectionSpec& spec, const std::string& table_name,
                         const std::string& role, std::map<Oid, std::string>& guarded) {
  const auto table = look_up_table(session, table_name);
  if (!table) return table.error();
  if (const auto [other, first] = guarded.try_emplace(table->oid, spec.name); !first) {
    return two_of_one_table(spec, other->second, table->sql);
  }
  const auto writers = look_up_writers(session, *table);
  if (!writers) return writers.error();
  Planner planner(spec, *table, *writers, role);
  if (auto fault = planner.find_fault()) return std::move(*fault);
  auto plan = planner.plan();
  if (!plan) return plan.error();
  return Planned{std::move(*plan), writers->leaves};
}

}  // namespace

RowPlan::RowPlan(RowCollectionRef collection, RowText text, std::vector<RowColumn> columns, bool look_after)
    : collection_(std::move(collection)), text_(std::move(text)), columns_(std::move(columns)), look_after_(look_after),
      read_(std::make_shared<OwnedStatement>("rows", read_rows_sql(text_),
                                             std::vector<Oid>(text_.parts.size(), kTextArray))),
      canonical_key_(std::make_shared<OwnedStatement>("canonical", canonical_key_sql(text_), std::vector<Oid>())) {
  for (const auto& column : columns_) assigned_.push_back({column.sql, column.array_sql});
}

bool RowPlan::is_same_as(const RowPlan& other) const {
  const auto same_sql = [](const StatementRef& a, const StatementRef& b) {
    return std::string_view(a->get().sql) == b->get().sql;
  };
  return collection_->spec.says_the_same_as(other.collection_->spec) &&
         collection_->shape->columns == other.collection_->shape->columns && columns_ == other.columns_ &&
         text_.sealed == other.text_.sealed && look_after_ == other.look_after_ && digest_ == other.digest_ &&
         same_sql(read_, other.read_) && same_sql(canonical_key_, other.canonical_key_);
}

const RowColumn* RowPlan::find(std::string_view shown) const {
  const auto found = std::find_if(columns_.begin(), columns_.end(), [&](const auto& c) { return c.shown == shown; });
  return found == columns_.end() ? nullptr : &*found;
}

Result<std::vector<std::string>> RowPlan::split(std::string_view key) const {
  auto parts = split_key(key.substr(name().size() + 1), key_parts());
  if (parts) return *std::move(parts);
  std::string form;
  for (const auto& part : text_.parts) form += ":" + part.name;
  return Error::of(ErrorCode::invalid_argument, fmt::format("{} does not have the form {}{}", key, name(), form),
                   key_parts() > 1 ? "Write \\ before : and \\ inside of a part." : "");
}

bool RowPlan::is_plainly_canonical_key(const std::vector<std::string>& parts) const {
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!is_plainly_canonical(text_.parts[i].plain_type, parts[i])) return false;
  }
  return true;
}

std::string RowPlan::key_of(const RowView& texts) const {
  std::vector<std::string_view> parts;
  for (std::size_t i = 0; i < texts.size(); ++i) parts.push_back(canonical(text_.parts[i].form, texts[i].value_or("")));
  return join_key(name(), parts);
}

StatementRef RowPlan::statement(const RowStatement& wanted) const {
  for (const auto& [known, statement] : statements_) {
    if (known == wanted) return statement;
  }
  const bool keep = statements_.size() < kRowStatementsMax;
  auto statement = std::make_shared<OwnedStatement>(keep ? "row" : "", row_statement_sql(text_, assigned_, wanted),
                                                    std::vector<Oid>());
  if (keep) statements_.emplace_back(wanted, statement);
  return statement;
}

Result<KeyState> RowPlan::state_of(std::string_view cells) const {
  const auto texts = read_text_array(cells);
  if (!texts) return texts.error();
  const auto shown = columns_.size();
  if (texts->size() != shown + (has_version() ? 1 : 0) + (has_expiry() ? 1 : 0)) {
    return Error::of(ErrorCode::corrupted, fmt::format("a row of {} came with {} columns", name(), texts->size()));
  }
  RowWriter writer;
  for (std::size_t i = 0; i < shown; ++i) (*texts)[i] ? writer.add(*(*texts)[i]) : writer.add_null();
  KeyState state;
  state.present = true;
  state.value = collection_->value_of(writer.take());
  const auto number = [&](std::size_t place, auto& value) {
    if (const auto& text = (*texts)[place]) std::from_chars(text->data(), text->data() + text->size(), value);
  };
  if (has_version()) number(shown, state.version);
  if (has_expiry()) number(shown + (has_version() ? 1 : 0), state.expires_at_ms);
  return state;
}

namespace {

std::vector<RowCollectionRef> collections_of(const std::vector<RowPlanRef>& plans) {
  std::vector<RowCollectionRef> collections;
  for (const auto& plan : plans) collections.push_back(plan->collection_ref());
  return collections;
}

const RowPlanRef kNone;

const RowPlanRef& named(const std::vector<RowPlanRef>& plans, std::string_view name) {
  const auto found = std::find_if(plans.begin(), plans.end(), [&](const auto& plan) { return plan->name() == name; });
  return found == plans.end() ? kNone : *found;
}

}  // namespace

RowPlans::RowPlans(std::vector<RowPlanRef> serving, std::vector<RowPlanRef> retired, std::vector<RowCollectionRef> former,
                   std::vector<std::string> unsealed)
    : serving_(std::move(serving)), retired_(std::move(retired)), former_(std::move(former)),
      collections_(collections_of(serving_), collections_of(retired_), former_, std::move(unsealed)) {}

const RowPlan* RowPlans::find(std::string_view key) const {
  const auto name = prefix_of(key);
  if (name.empty()) return nullptr;
  const auto& serving = named(serving_, name);
  return serving ? serving.get() : named(retired_, name).get();
}

std::string RowPlans::tables() const {
  ArrayBuilder names(oid::kText);
  for (const auto& plan : serving_) names.add(plan->text().table);
  return names.take();
}

RowPlanRef RowPlans::serving(std::string_view name) const { return named(serving_, name); }

std::vector<std::string> RowPlans::not_known_unsealed(const std::vector<std::string>& tables) const {
  const auto has = [](const std::vector<std::string>& list, const std::string& text) {
    return std::find(list.begin(), list.end(), text) != list.end();
  };
  std::vector<std::string> names;
  for (const auto& plan : serving_) {
    if (has(tables, plan->text().table) && !has(collections_.unsealed(), plan->name())) names.push_back(plan->name());
  }
  return names;
}

RowPlans RowPlans::with_unsealed(const std::vector<std::string>& names) const {
  auto all = collections_.unsealed();
  all.insert(all.end(), names.begin(), names.end());
  return {serving_, retired_, former_, std::move(all)};
}

RowPlans RowPlans::changed_to(std::vector<RowPlanRef> serving) const {
  std::vector<RowPlanRef> retired;
  auto former = former_;
  for (auto& plan : serving) {
    auto before = named(serving_, plan->name());
    if (!before) before = named(retired_, plan->name());
    if (before && before->is_same_as(*plan)) {
      plan = std::move(before);
    } else if (before) {
      former.push_back(before->collection_ref());
    }
  }
  for (const auto* list : {&serving_, &retired_}) {
    for (const auto& plan : *list) {
      if (!named(serving, plan->name())) retired.push_back(plan);
    }
  }
  return {std::move(serving), std::move(retired), std::move(former), {}};
}

Result<std::vector<std::shared_ptr<RowPlan>>> plan_rows(CatalogSession& session, const std::vector<CollectionSpec>& specs,
                                                        const LeaseClaim& claim) {
  std::vector<Planned> planned;
  std::map<Oid, std::string> guarded;
  const auto role = session.run("SELECT format('%I', current_user)");
  if (!role.ok()) return Error::of(ErrorCode::unavailable, role.error.message);
  const auto tables = resolve_tables(session, specs);
  if (!tables) return tables.error();
  for (std::size_t i = 0; i < specs.size(); ++i) {
    const auto& spec = specs[i];
    if (!spec.guarded) continue;
    auto plan = plan_one(session, spec, (*tables)[i], role.value(), guarded);
    if (!plan) return in_collection(spec, plan.error());
    planned.push_back(std::move(*plan));
  }
  std::vector<std::shared_ptr<RowPlan>> plans;
  for (auto& [plan, leaves] : planned) {
    const auto& spec = plan->collection().spec;
    if (claim.may_seal()) {
      const auto sealed = spec.exclusive_writer ? ensure_unsealed(session, plan->text(), leaves, claim)
                                                : ensure_sealed(session, plan->text(), leaves, claim);
      if (!sealed) return in_collection(spec, sealed.error());
    }
    plans.push_back(std::move(plan));
  }
  return plans;
}

Result<GuardFindings> examine_rows(CatalogSession& session, const CollectionSpec& spec) {
  const auto role = session.run("SELECT format('%I', current_user)");
  if (!role.ok()) return Error::of(ErrorCode::unavailable, role.error.message);
  const auto tables = resolve_tables(session, {spec});
  if (!tables) return tables.error();
  std::map<Oid, std::string> guarded;
  GuardFindings findings;
  const auto planned = plan_one(session, spec, tables->front(), role.value(), guarded);
  if (!planned) {
    if (planned.error().code == ErrorCode::unavailable) return planned.error();
    findings.fault = planned.error();
    return findings;
  }
  const auto& text = planned->plan->text();
  const auto sealed = is_sealed(session, text, planned->leaves);
  if (!sealed) return sealed.error();
  findings.written_as = planned->plan->collection().written_as;
  findings.sealed = *sealed != spec.exclusive_writer;
  findings.seal_statements = spec.exclusive_writer ? unseal_sql(text, planned->leaves) : seal_sql(text, planned->leaves);
  return findings;
}

}  // namespace freshet::storage::postgres
