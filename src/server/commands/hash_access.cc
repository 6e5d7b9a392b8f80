// Fields of what was read. See server/commands/hash_access.h.
#include "server/commands/hash_access.h"

namespace freshet::server {

bool may_be_hash(Context& context) {
  if (context.engine.kind_of(context.args[1]) != cache::CollectionKind::query) return true;
  context.reply.error("WRONGTYPE a query's result is a list of rows, not a hash; use GET, or FRESHET.GET");
  return false;
}

Result<std::vector<storage::HashField>> fields_of(const cache::HitView& view) {
  if (!view.shape) return storage::read_hash(view.value);
  const auto& columns = view.shape->columns;
  const auto row = storage::read_row(view.value, columns.size());
  if (!row) return row.error();
  std::vector<storage::HashField> fields;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if ((*row)[i]) fields.push_back({columns[i].name, *(*row)[i]});
  }
  return fields;
}

Result<std::optional<std::string_view>> field_of(const cache::HitView& view, std::string_view name) {
  if (!view.shape) return storage::find_in_hash(view.value, name);
  const auto column = view.shape->find(name);
  return column ? storage::column_of(view.value, *column) : std::nullopt;
}

}  // namespace freshet::server
