// What the reads of the hash family share: the fields of a hash of the key-value table, and the columns of a table's row.
// Of a row NULL is an absent field, and so is a name that is no column. Values are bulk strings in both protocols, as
// clients of Redis expect of these commands; FRESHET.GET gives a row's columns their types. May use server.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "server/commands/access.h"
#include "storage/hash_fields.h"

namespace freshet::server {

// False after an error reply: the key is a query's.
bool may_be_hash(Context& context);

// Of a present row or hash, as views into it. Errors: corrupted.
Result<std::vector<storage::HashField>> fields_of(const cache::HitView& view);
Result<std::optional<std::string_view>> field_of(const cache::HitView& view, std::string_view name);

// Calls use(ReplyWriter&, const cache::HitView&) for the key, if it is absent, a row or a hash; else an error reply.
// `copied`: what it does takes longer than memory's lock should be held.
template <typename Use>
void read_hash_key(Context& context, Use use, bool copied = false) {
  const auto key = context.args[1];
  if (!may_be_hash(context) || !key_fits(context.reply, key)) return;
  const auto format = [use](protocol::ReplyWriter& reply, const cache::HitView& view, cache::Source) {
    if (view.present && !view.shape && view.kind != cache::ValueKind::hash) return reply.error(kWrongType);
    use(reply, view);
  };
  copied ? await_key_from(context, key, format) : read_key_from(context, key, format);
}

// Calls write(ReplyWriter&, fields); an absent key has no fields.
template <typename Write>
void read_fields(Context& context, Write write, bool copied = false) {
  const auto use = [write](protocol::ReplyWriter& reply, const cache::HitView& view) {
    if (!view.present) return write(reply, std::vector<storage::HashField>());
    const auto fields = fields_of(view);
    if (!fields) return write_error(reply, fields.error());
    write(reply, *fields);
  };
  read_hash_key(context, use, copied);
}

}  // namespace freshet::server
