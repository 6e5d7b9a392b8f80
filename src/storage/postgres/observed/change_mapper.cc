// Relations are bound to collections when they are told or described; then each change is a matter of picking cells.
#include "storage/postgres/observed/change_mapper.h"

#include <algorithm>
#include <utility>

namespace freshet::storage::postgres {
namespace {

using Kind = pgoutput::Cell::Kind;

// A cell that an update did not touch and did not send stands in the old row, if that is complete.
const pgoutput::Cell& cell_of(pgoutput::Row row, pgoutput::Row fallback, std::size_t column) {
  const auto& cell = row[column];
  return cell.kind == Kind::unchanged && column < fallback.size() ? fallback[column] : cell;
}

}  // namespace

void ChangeMapper::describe(std::vector<TableMapping> tables) {
  tables_ = std::move(tables);
  for (auto& [id, seen] : seen_) bind(id, seen);
}

void ChangeMapper::forget_relations() {
  seen_.clear();
  begin();
}

void ChangeMapper::begin() { std::fill(all_said_.begin(), all_said_.end(), false); }

void ChangeMapper::map(const pgoutput::Message& message, StreamListener& listener) {
  if (const auto* relation = std::get_if<pgoutput::Relation>(&message)) return see(*relation);
  if (const auto* inserted = std::get_if<pgoutput::Insert>(&message)) return insert(*inserted, listener);
  if (const auto* updated = std::get_if<pgoutput::Update>(&message)) return update(*updated, listener);
  if (const auto* deleted = std::get_if<pgoutput::Delete>(&message)) return erase(*deleted, listener);
  if (const auto* truncated = std::get_if<pgoutput::Truncate>(&message)) return truncate(*truncated, listener);
}

// A table of a described one's name and another number stands in its place: it is not what the fills read, or soon will be.
void ChangeMapper::bind(Oid id, Seen& seen) const {
  const auto same_name = [&](const TableMapping& table) { return table.schema == seen.schema && table.name == seen.name; };
  auto table = std::find_if(tables_.begin(), tables_.end(), [&](const auto& t) { return t.relation == id; });
  if (table == tables_.end()) table = std::find_if(tables_.begin(), tables_.end(), same_name);
  seen.table = table == tables_.end() ? nullptr : &*table;
  seen.rows.clear();
  seen.queries.clear();
  if (seen.table == nullptr) return;
  const bool is_described = table->relation == id && same_name(*table);
  for (const auto& mapping : table->rows) {
    seen.rows.push_back(is_described ? bind_columns(seen, mapping.key, &mapping.shown) : Bound{});
  }
  for (const auto& mapping : table->queries) {
    const bool by_key = is_described && mapping.exact;
    seen.queries.push_back(by_key ? bind_columns(seen, mapping.parameters, nullptr) : Bound{});
  }
}

ChangeMapper::Bound ChangeMapper::bind_columns(const Seen& seen, const std::vector<StreamColumn>& key,
                                               const std::vector<StreamColumn>* shown) {
  Bound bound;
  const auto place_of = [&](const StreamColumn& column) {
    const auto is_same = [&](const StreamColumn& c) {
      return c.name == column.name && c.type == column.type && c.modifier == column.modifier;
    };
    return static_cast<std::size_t>(std::find_if(seen.columns.begin(), seen.columns.end(), is_same) - seen.columns.begin());
  };
  for (const auto& column : key) {
    const auto place = place_of(column);
    // Without it in the replica identity the old row does not tell which keys it had.
    if (place == seen.columns.size() || !seen.in_identity[place]) return {};
    bound.key.push_back(place);
  }
  if (shown != nullptr) {
    for (const auto& column : *shown) {
      bound.shown_complete = bound.shown_complete && column.in_stream;
      if (!column.in_stream) continue;
      const auto place = place_of(column);
      if (place == seen.columns.size()) return {};
      bound.shown.push_back(place);
    }
  }
  bound.usable = true;
  return bound;
}

void ChangeMapper::see(const pgoutput::Relation& relation) {
  auto& seen = seen_[relation.id];
  seen = Seen();
  seen.schema = relation.schema.empty() ? "pg_catalog" : relation.schema;
  seen.name = relation.name;
  for (const auto& column : relation.columns) {
    seen.columns.push_back({std::string(column.name), column.type, column.modifier, KeyForm::as_is, true});
    seen.in_identity.push_back(column.key);
  }
  bind(relation.id, seen);
}

ChangeMapper::Seen* ChangeMapper::find(Oid relation) {
  const auto found = seen_.find(relation);
  return found == seen_.end() || found->second.table == nullptr ? nullptr : &found->second;
}

void ChangeMapper::insert(const pgoutput::Insert& message, StreamListener& listener) {
  const auto* seen = find(message.relation);
  if (seen == nullptr) return;
  const pgoutput::Update as_update{message.relation, pgoutput::Old::none, {}, message.row};
  for (std::size_t i = 0; i < seen->rows.size(); ++i) put(seen->table->rows[i], seen->rows[i], as_update, listener);
  for (std::size_t i = 0; i < seen->queries.size(); ++i) {
    touch(seen->table->queries[i], seen->queries[i], message.row, {}, {}, listener);
  }
}

void ChangeMapper::update(const pgoutput::Update& message, StreamListener& listener) {
  const auto* seen = find(message.relation);
  if (seen == nullptr) return;
  const bool has_old = message.old != pgoutput::Old::none;
  for (std::size_t i = 0; i < seen->rows.size(); ++i) {
    const auto& mapping = seen->table->rows[i];
    const auto& bound = seen->rows[i];
    if (has_old && bound.usable) {
      if (!make_key(mapping.name, mapping.key, bound, message.old_row, {})) {
        all(mapping.collection, listener);
        continue;
      }
      const auto old_key = key_;
      if (make_key(mapping.name, mapping.key, bound, message.row, message.old_row) && key_ != old_key) {
        listener.on_change({Change::Kind::erase, mapping.collection, old_key, {}});
      }
    }
    put(mapping, bound, message, listener);
  }
  for (std::size_t i = 0; i < seen->queries.size(); ++i) {
    const auto& mapping = seen->table->queries[i];
    std::string touched;
    if (has_old) touched = touch(mapping, seen->queries[i], message.old_row, {}, {}, listener);
    touch(mapping, seen->queries[i], message.row, message.old_row, touched, listener);
  }
}

void ChangeMapper::erase(const pgoutput::Delete& message, StreamListener& listener) {
  const auto* seen = find(message.relation);
  if (seen == nullptr) return;
  for (std::size_t i = 0; i < seen->rows.size(); ++i) {
    const auto& mapping = seen->table->rows[i];
    if (!seen->rows[i].usable || !make_key(mapping.name, mapping.key, seen->rows[i], message.old_row, {})) {
      all(mapping.collection, listener);
    } else {
      listener.on_change({Change::Kind::erase, mapping.collection, key_, {}});
    }
  }
  for (std::size_t i = 0; i < seen->queries.size(); ++i) {
    touch(seen->table->queries[i], seen->queries[i], message.old_row, {}, {}, listener);
  }
}

void ChangeMapper::truncate(const pgoutput::Truncate& message, StreamListener& listener) {
  for (const auto relation : message.relations) {
    if (const auto* seen = find(relation)) everything_of(*seen->table, listener);
  }
}

void ChangeMapper::everything_of(const TableMapping& table, StreamListener& listener) {
  for (const auto& mapping : table.rows) all(mapping.collection, listener);
  for (const auto& mapping : table.queries) all(mapping.collection, listener);
}

void ChangeMapper::all(CollectionId collection, StreamListener& listener) {
  if (all_said_.size() <= collection) all_said_.resize(collection + 1);
  if (all_said_[collection]) return;
  all_said_[collection] = true;
  listener.on_change({Change::Kind::all, collection, {}, {}});
}

bool ChangeMapper::make_key(const std::string& name, const std::vector<StreamColumn>& columns, const Bound& bound,
                            pgoutput::Row row, pgoutput::Row fallback) {
  parts_.clear();
  key_has_null_ = false;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (bound.key[i] >= row.size()) return false;
    const auto& cell = cell_of(row, fallback, bound.key[i]);
    if (cell.kind == Kind::null) {
      key_has_null_ = true;
      return false;
    }
    if (cell.kind != Kind::text) return false;
    parts_.push_back(canonical(columns[i].form, cell.bytes));
  }
  key_ = join_key(name, parts_);
  return true;
}

void ChangeMapper::put(const RowMapping& mapping, const Bound& bound, const pgoutput::Update& change,
                       StreamListener& listener) {
  if (!bound.usable || !make_key(mapping.name, mapping.key, bound, change.row, change.old_row)) {
    return all(mapping.collection, listener);
  }
  const Change drop{Change::Kind::drop, mapping.collection, key_, {}};
  if (!bound.shown_complete) return listener.on_change(drop);
  const auto full_old = change.old == pgoutput::Old::full ? change.old_row : pgoutput::Row();
  RowWriter writer;
  for (const auto place : bound.shown) {
    if (place >= change.row.size()) return all(mapping.collection, listener);
    const auto& cell = cell_of(change.row, full_old, place);
    if (cell.kind == Kind::null) {
      writer.add_null();
    } else if (cell.kind == Kind::text) {
      writer.add(cell.bytes);
    } else {
      return listener.on_change(drop);
    }
  }
  const auto value = writer.take();
  listener.on_change({Change::Kind::put, mapping.collection, key_, value});
}

// A parameter never equals NULL: such a row is in no result.
std::string ChangeMapper::touch(const QueryMapping& mapping, const Bound& bound, pgoutput::Row row, pgoutput::Row fallback,
                                std::string_view touched, StreamListener& listener) {
  if (!bound.usable) {
    all(mapping.collection, listener);
  } else if (make_key(mapping.name, mapping.parameters, bound, row, fallback)) {
    if (key_ != touched) listener.on_change({Change::Kind::drop, mapping.collection, key_, {}});
    return key_;
  } else if (!key_has_null_) {
    all(mapping.collection, listener);
  }
  return {};
}

}  // namespace freshet::storage::postgres
