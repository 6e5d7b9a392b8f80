// Reads that say how fresh they must be, and are: FRESHET.GET, FRESHET.WITH, FRESHET.LEVEL, FRESHET.TOKEN, FRESHET.WAIT.
#include <fmt/format.h>

#include <cstdlib>

#include "protocol/number.h"
#include "server/commands/access.h"
#include "server/commands/handlers.h"
#include "server/commands/table.h"
#include "storage/hash_fields.h"

namespace freshet::server::handlers {
namespace {

using cache::HitView;
using protocol::ReplyWriter;
using storage::Column;
using storage::ColumnKind;
using storage::Level;

// FRESHET.WAIT's timeout is cut to this.
constexpr std::int64_t kWaitMsMax = 60 * 60 * 1000;

// A column as RESP3 has it: what RESP3 lacks, and what would lose digits, stays text.
void write_typed(ReplyWriter& reply, ColumnKind kind, const std::optional<std::string_view>& text) {
  if (!text) return reply.null();
  switch (kind) {
    case ColumnKind::integer:
      if (const auto value = protocol::parse_integer(*text)) return reply.integer(*value);
      break;
    case ColumnKind::real: return reply.number(std::strtod(std::string(*text).c_str(), nullptr));
    case ColumnKind::boolean: return reply.boolean(*text == "t");
    case ColumnKind::numeric:
    case ColumnKind::json:
    case ColumnKind::text: break;
  }
  reply.bulk(*text);
}

void write_typed_row(ReplyWriter& reply, const std::vector<Column>& columns, const storage::RowView& row) {
  reply.map(columns.size());
  for (std::size_t i = 0; i < columns.size(); ++i) {
    reply.bulk(columns[i].name);
    write_typed(reply, columns[i].kind, row[i]);
  }
}

// A row as a map, a query's result as an array of maps.
void write_typed_value(ReplyWriter& reply, const HitView& view) {
  const auto& columns = view.shape->columns;
  if (!view.shape->is_query) {
    const auto row = storage::read_row(view.value, columns.size());
    return row ? write_typed_row(reply, columns, *row) : write_error(reply, row.error());
  }
  const auto rows = storage::read_rows(view.value, columns.size());
  if (!rows) return write_error(reply, rows.error());
  reply.array(rows->size());
  for (const auto& row : *rows) write_typed_row(reply, columns, row);
}

// In RESP2 as HGETALL answers there.
void write_fields(ReplyWriter& reply, const HitView& view) {
  const auto fields = storage::read_hash(view.value);
  if (!fields) return write_error(reply, fields.error());
  reply.map(fields->size());
  for (const auto& field : *fields) {
    reply.bulk(field.name);
    reply.bulk(field.value);
  }
}

// FRESHET.GET's map. Rows and queries have a position of the database's log in place of a version.
void write_reading(ReplyWriter& reply, const HitView& view, cache::Source source, bool observed) {
  reply.map(4);
  reply.bulk("value");
  if (view.present && view.kind == cache::ValueKind::hash) {
    write_fields(reply, view);
  } else if (view.present && view.shape && reply.version() >= 3) {
    write_typed_value(reply, view);
  } else {
    write_value(reply, view);
  }
  if (observed) {
    reply.bulk("position");
    reply.bulk(storage::text_of_lsn(view.version));
  } else {
    reply.bulk("version");
    reply.integer(static_cast<std::int64_t>(view.version));
  }
  reply.bulk("age");
  reply.integer(view.age / base::kMillisecond);
  reply.bulk("source");
  reply.bulk(source == cache::Source::memory ? "memory" : "storage");
}

// The connection's session serves where the command names none. False after an error reply.
bool find_token(Context& context, cache::ReadOptions& options) {
  if (options.level != Level::session || !options.token.empty()) return true;
  options.token = context.session.level().options().token;
  if (!options.token.empty()) return true;
  context.reply.error("ERR give a token after SESSION, or begin a session on this connection with FRESHET.LEVEL SESSION");
  return false;
}

// "LEVEL" and what follows, from `at` on. False after an error reply.
bool read_command_level(Context& context, std::size_t& at, cache::ReadOptions& options) {
  const auto args = context.args;
  if (!equals_ignoring_case(args[at], "level")) return context.reply.error(kSyntaxError), false;
  return read_level(context, ++at, options) && find_token(context, options);
}

void answer_get(Context& context) {
  const auto key = context.args[1];
  const bool observed = !cache::is_guarded(context.engine.kind_of(key));
  read_key_from(context, key, [observed](ReplyWriter& reply, const HitView& view, cache::Source source) {
    write_reading(reply, view, source, observed);
  });
}

}  // namespace

void freshet_get(Context& context) {
  if (context.args.size() == 2) return answer_get(context);
  cache::ReadOptions options;
  std::size_t at = 2;
  if (!read_command_level(context, at, options)) return;
  if (at != context.args.size()) return context.reply.error(kSyntaxError);
  Context own{context.session, context.engine, context.reply, context.args, context.now, options};
  answer_get(own);
}

void freshet_with(Context& context) {
  cache::ReadOptions options;
  std::size_t at = 1;
  if (!read_command_level(context, at, options)) return;
  const auto args = context.args.subspan(at);
  if (args.empty()) return context.reply.error("ERR FRESHET.WITH needs a command that reads, after its level");
  const Command* command = command_table().find(args[0]);
  if (!command) return context.reply.error("ERR " + unknown_command_text(args));
  if (!command->has(kReadonly) || command->first_key == 0) {
    return context.reply.error(
        fmt::format("ERR '{}' reads no keys at a level: FRESHET.WITH takes GET, MGET, HGET and their kin", command->name));
  }
  if (!command->takes(args.size())) return context.reply.error(wrong_arity_text(command->name));
  context.session.track_reads(*command, args);
  Context own{context.session, context.engine, context.reply, args, context.now, options};
  command->handler(own);
}

void freshet_level(Context& context) {
  auto& level = context.session.level();
  if (context.args.size() == 1) return context.reply.bulk(level_text(level.options()));
  cache::ReadOptions options;
  std::size_t at = 1;
  if (!read_level(context, at, options)) return;
  if (at != context.args.size()) {
    if (options.level != Level::session || at + 1 != context.args.size()) return context.reply.error(kSyntaxError);
    return write_error(context.reply, consistency::SessionToken::parse(context.args[at]).error());
  }
  if (options.level != Level::session || !options.token.empty()) {
    level.set(std::move(options));
    return context.reply.ok();
  }
  // A session begins at what has been acknowledged until now.
  context.engine.token(base::kForever, context.session.defer<std::string>([options](Session& session, std::string&& token) {
    auto begun = options;
    begun.token = std::move(token);
    session.level().set(std::move(begun));
    session.reply().ok();
  }));
}

void freshet_token(Context& context) {
  context.engine.token(base::kForever, context.session.defer<std::string>([](Session& session, std::string&& text) {
    if (const auto token = consistency::SessionToken::parse(text)) session.level().saw(*token);
    session.reply().bulk(text);
  }));
}

void freshet_wait(Context& context) {
  std::int64_t timeout_ms = 0;
  if (!read_integer(context.reply, context.args[2], timeout_ms)) return;
  if (timeout_ms < 0 || timeout_ms > kWaitMsMax) {
    return context.reply.error(fmt::format("ERR the timeout must be between 0 and {} milliseconds", kWaitMsMax));
  }
  context.engine.wait(std::string(context.args[1]), context.now + timeout_ms * base::kMillisecond,
                      context.session.defer_result<void>([](Session& session, Result<void> waited) {
                        if (!waited) return write_error(session.reply(), waited.error());
                        session.reply().ok();
                      }));
}

}  // namespace freshet::server::handlers
