// The hash family's reads, but for those that draw or walk (hash_walks.cc).
#include <algorithm>

#include "server/commands/handlers.h"
#include "server/commands/hash_access.h"

namespace freshet::server::handlers {
namespace {

using cache::HitView;
using protocol::ReplyWriter;
using storage::HashField;
using Field = std::optional<std::string_view>;

void write_field(ReplyWriter& reply, const Field& field) {
  if (field) return reply.bulk(*field);
  reply.null();
}

// Calls write(ReplyWriter&, const Field&) with the command's field.
void read_field(Context& context, void (*write)(ReplyWriter&, const Field&)) {
  read_hash_key(context, [write, name = std::string(context.args[2])](ReplyWriter& reply, const HitView& view) {
    if (!view.present) return write(reply, std::nullopt);
    const auto field = field_of(view, name);
    if (!field) return write_error(reply, field.error());
    write(reply, *field);
  });
}

// One after the other; each of many fields of a hash is found by an index over all.
void write_fields(ReplyWriter& reply, const HitView& view, const std::vector<std::string>& names) {
  if (view.present && !view.shape) {
    const auto hash = storage::HashFields::read(view.value);
    if (!hash) return write_error(reply, hash.error());
    reply.array(names.size());
    for (const auto& name : names) write_field(reply, hash->find(name));
    return;
  }
  reply.array(names.size());
  for (const auto& name : names) {
    const auto field = view.present ? field_of(view, name) : Result<Field>(Field());
    write_field(reply, field ? *field : std::nullopt);
  }
}

void write_names(ReplyWriter& reply, const std::vector<HashField>& fields) {
  reply.array(fields.size());
  for (const auto& field : fields) reply.bulk(field.name);
}

void write_values(ReplyWriter& reply, const std::vector<HashField>& fields) {
  reply.array(fields.size());
  for (const auto& field : fields) reply.bulk(field.value);
}

void write_all(ReplyWriter& reply, const std::vector<HashField>& fields) {
  reply.map(fields.size());
  for (const auto& field : fields) {
    reply.bulk(field.name);
    reply.bulk(field.value);
  }
}

void write_size(ReplyWriter& reply, const HitView& view) {
  if (!view.present) return reply.integer(0);
  if (view.shape) {
    const auto fields = fields_of(view);
    return fields ? reply.integer(static_cast<std::int64_t>(fields->size())) : write_error(reply, fields.error());
  }
  const auto size = storage::hash_size(view.value);
  size ? reply.integer(static_cast<std::int64_t>(*size)) : write_error(reply, size.error());
}

}  // namespace

void hget(Context& context) { read_field(context, write_field); }

void hmget(Context& context) {
  const auto wanted = context.args.subspan(2);
  read_hash_key(context, [names = std::vector<std::string>(wanted.begin(), wanted.end())](
                             ReplyWriter& reply, const HitView& view) { write_fields(reply, view, names); });
}

void hexists(Context& context) {
  read_field(context, [](ReplyWriter& reply, const Field& field) { reply.integer(field ? 1 : 0); });
}

void hstrlen(Context& context) {
  read_field(context, [](ReplyWriter& reply, const Field& field) {
    reply.integer(field ? static_cast<std::int64_t>(field->size()) : 0);
  });
}

void hgetall(Context& context) { read_fields(context, write_all); }
void hkeys(Context& context) { read_fields(context, write_names); }
void hvals(Context& context) { read_fields(context, write_values); }
void hlen(Context& context) { read_hash_key(context, write_size); }

}  // namespace freshet::server::handlers
