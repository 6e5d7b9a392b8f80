// FRESHET.GUARD and FRESHET.UNGUARD: transactions that a client runs in the database itself, with SQL of its own, on rows of
// guarded tables. They belong to the connection: if it ends, their outcome is unknown, and they are fenced.
#include <array>

#include <fmt/format.h>

#include "protocol/number.h"
#include "server/commands/access.h"
#include "server/commands/handlers.h"

namespace freshet::server::handlers {
namespace {

using cache::SqlGuard;

// How long a client's transaction may take before it is given up.
constexpr base::Nanoseconds kGuardLimit = 30 * base::kSecond;

constexpr std::array<std::pair<std::string_view, SqlGuard::Outcome>, 3> kOutcomes = {
    {{"committed", SqlGuard::Outcome::committed},
     {"rolledback", SqlGuard::Outcome::rolled_back},
     {"unknown", SqlGuard::Outcome::unknown}}};

}  // namespace

void freshet_guard(Context& context) {
  if (context.session.sql_guards().size() >= kSqlGuardsMax) {
    return context.reply.error(fmt::format("ERR at most {} transactions of one connection can be guarded at a time; "
                                           "tell how the others ended: FRESHET.UNGUARD id COMMITTED | ROLLEDBACK",
                                           kSqlGuardsMax));
  }
  std::vector<std::string> keys;
  for (const auto key : context.args.subspan(1)) {
    if (!key_fits(context.reply, key)) return;
    keys.emplace_back(key);
  }
  const auto done = [](Session& session, std::shared_ptr<SqlGuard>&& guard) {
    const auto id = session.keep_sql_guard(guard);
    session.reply().array(2);
    session.reply().integer(id);
    session.reply().bulk(guard->statement());
  };
  context.engine.guard_sql(std::move(keys), base::kForever, kGuardLimit,
                           context.session.defer<std::shared_ptr<SqlGuard>>(done));
}

void freshet_unguard(Context& context) {
  std::int64_t id = 0;
  if (!read_integer(context.reply, context.args[1], id)) return;
  for (const auto& [word, outcome] : kOutcomes) {
    if (!equals_ignoring_case(context.args[2], word)) continue;
    const auto guard = context.session.take_sql_guard(id);
    if (!guard) return context.reply.error("ERR there is no such guarded transaction of this connection");
    if (guard->end(outcome)) return context.reply.ok();
    return context.reply.error(
        "ERR the transaction had been given up at its limit; if COMMIT was answered, it was in time, and is there");
  }
  context.reply.error("ERR tell how it ended: COMMITTED, ROLLEDBACK or UNKNOWN");
}

}  // namespace freshet::server::handlers
