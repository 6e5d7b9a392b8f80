// The hash family: the columns of a table's row. Field names are column names as clients see them; NULL is an absent field,
// and so is a name that is no column. Values are bulk strings in both protocols, as clients of Redis expect of these
// commands; FRESHET.GET gives them their types.
#include <algorithm>

#include "server/commands/access.h"
#include "server/commands/handlers.h"

namespace freshet::server::handlers {
namespace {

using cache::CollectionKind;
using cache::HitView;
using protocol::ReplyWriter;
using storage::RowView;

// False after an error reply: the key is none of a row.
bool is_row_key(Context& context) {
  const auto kind = context.engine.kind_of(context.args[1]);
  if (cache::is_any_row(kind)) return true;
  if (kind == CollectionKind::query) {
    context.reply.error("WRONGTYPE a query's result is a list of rows, not a hash; use GET, or FRESHET.GET");
  } else {
    context.reply.error(
        "WRONGTYPE hashes here are rows of tables, and this key belongs to no collection; use GET and SET");
  }
  return false;
}

// One column of a present row; nothing if it is NULL or there is none of that name.
std::optional<std::string_view> field_of(const HitView& view, std::string_view name) {
  const auto column = view.shape->find(name);
  return column ? storage::column_of(view.value, *column) : std::nullopt;
}

void write_field(ReplyWriter& reply, const std::optional<std::string_view>& field) {
  if (field) return reply.bulk(*field);
  reply.null();
}

// Reads the row and calls format(ReplyWriter&, const HitView&); an absent row has `absent` for an answer.
template <typename Format>
void read_row_or(Context& context, void (*absent)(ReplyWriter&), Format format) {
  if (!is_row_key(context)) return;
  read_key(context, context.args[1], [absent, format](ReplyWriter& reply, const HitView& view) {
    if (!view.present || !view.shape) return absent(reply);
    format(reply, view);
  });
}

// The fields of a row: its columns that are not NULL.
struct Field {
  std::string_view name;
  std::string_view value;
};

// Calls write(ReplyWriter&, fields) for the row; an absent one has no fields.
template <typename Write>
void read_fields(Context& context, Write write) {
  if (!is_row_key(context)) return;
  read_key(context, context.args[1], [write](ReplyWriter& reply, const HitView& view) {
    std::vector<Field> fields;
    if (view.present && view.shape) {
      const auto& columns = view.shape->columns;
      const auto row = storage::read_row(view.value, columns.size());
      if (!row) return write_error(reply, row.error());
      for (std::size_t i = 0; i < columns.size(); ++i) {
        if ((*row)[i]) fields.push_back({columns[i].name, *(*row)[i]});
      }
    }
    write(reply, fields);
  });
}

void write_zero(ReplyWriter& reply) { reply.integer(0); }
void write_null(ReplyWriter& reply) { reply.null(); }

}  // namespace

void hget(Context& context) {
  read_row_or(context, write_null, [name = std::string(context.args[2])](ReplyWriter& reply, const HitView& view) {
    write_field(reply, field_of(view, name));
  });
}

void hmget(Context& context) {
  if (!is_row_key(context)) return;
  const auto wanted = context.args.subspan(2);
  read_key(context, context.args[1],
           [names = std::vector<std::string>(wanted.begin(), wanted.end())](ReplyWriter& reply, const HitView& view) {
             const bool exists = view.present && view.shape;
             reply.array(names.size());
             for (const auto& name : names) write_field(reply, exists ? field_of(view, name) : std::nullopt);
           });
}

void hexists(Context& context) {
  read_row_or(context, write_zero, [name = std::string(context.args[2])](ReplyWriter& reply, const HitView& view) {
    reply.integer(field_of(view, name) ? 1 : 0);
  });
}

void hstrlen(Context& context) {
  read_row_or(context, write_zero, [name = std::string(context.args[2])](ReplyWriter& reply, const HitView& view) {
    const auto field = field_of(view, name);
    reply.integer(field ? static_cast<std::int64_t>(field->size()) : 0);
  });
}

void hgetall(Context& context) {
  read_fields(context, [](ReplyWriter& reply, const std::vector<Field>& fields) {
    reply.map(fields.size());
    for (const auto& field : fields) {
      reply.bulk(field.name);
      reply.bulk(field.value);
    }
  });
}

void hkeys(Context& context) {
  read_fields(context, [](ReplyWriter& reply, const std::vector<Field>& fields) {
    reply.array(fields.size());
    for (const auto& field : fields) reply.bulk(field.name);
  });
}

void hvals(Context& context) {
  read_fields(context, [](ReplyWriter& reply, const std::vector<Field>& fields) {
    reply.array(fields.size());
    for (const auto& field : fields) reply.bulk(field.value);
  });
}

void hlen(Context& context) {
  read_fields(context, [](ReplyWriter& reply, const std::vector<Field>& fields) {
    reply.integer(static_cast<std::int64_t>(fields.size()));
  });
}

}  // namespace freshet::server::handlers
