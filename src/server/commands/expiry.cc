// The expiry family. Deadlines are data: storage sets and judges them by the database's clock.
#include "protocol/number.h"
#include "server/commands/access.h"
#include "server/commands/handlers.h"

namespace freshet::server::handlers {
namespace {

using cache::HitView;
using protocol::ReplyWriter;
using storage::Expiry;
using storage::Mutation;
using storage::MutationKind;

// EXPIRE's conditions.
struct Conditions {
  bool none_set = false;  // NX
  bool some_set = false;  // XX
  bool later = false;     // GT: a key without expiry lives longest.
  bool earlier = false;   // LT

  bool any() const { return none_set || some_set || later || earlier; }
  bool hold(std::int64_t current_ms, std::int64_t wanted_ms) const {
    if (none_set && current_ms != 0) return false;
    if (some_set && current_ms == 0) return false;
    if (later && (current_ms == 0 || wanted_ms <= current_ms)) return false;
    return !earlier || current_ms == 0 || wanted_ms < current_ms;
  }
};

// False after an error reply.
bool read_conditions(Context& context, Conditions& conditions) {
  for (const auto option : context.args.subspan(3)) {
    if (equals_ignoring_case(option, "nx")) {
      conditions.none_set = true;
    } else if (equals_ignoring_case(option, "xx")) {
      conditions.some_set = true;
    } else if (equals_ignoring_case(option, "gt")) {
      conditions.later = true;
    } else if (equals_ignoring_case(option, "lt")) {
      conditions.earlier = true;
    } else {
      return context.reply.error("ERR Unsupported option " + std::string(option.substr(0, 128))), false;
    }
  }
  if (conditions.none_set && (conditions.some_set || conditions.later || conditions.earlier)) {
    return context.reply.error("ERR NX and XX, GT or LT options at the same time are not compatible"), false;
  }
  if (conditions.later && conditions.earlier) {
    return context.reply.error("ERR GT and LT options at the same time are not compatible"), false;
  }
  return true;
}

// A time that lies in the past is a deletion.
Mutation expire_at(std::int64_t at_ms, std::int64_t database_ms) {
  Mutation mutation;
  mutation.kind = at_ms <= database_ms ? MutationKind::erase : MutationKind::touch;
  mutation.expiry = {Expiry::Mode::at, at_ms};
  return mutation;
}

void set_expiry(Context& context, ExpiryUnit unit, std::string_view command) {
  std::int64_t value = 0;
  Conditions conditions;
  if (!read_conditions(context, conditions) || !read_integer(context.reply, context.args[2], value)) return;
  const std::int64_t scale = unit.seconds ? 1000 : 1;
  const std::int64_t most = (kExpireAtMsMax - (unit.absolute ? 0 : context.engine.database_now_ms())) / scale;
  if (value > most || value < INT64_MIN / scale) return context.reply.error(invalid_expire_text(command));
  const std::int64_t ms = value * scale;
  if (conditions.any()) {
    const auto decide = [=](const storage::KeyState& current, std::int64_t database_ms) -> Result<std::optional<Mutation>> {
      const std::int64_t at_ms = unit.absolute ? ms : ms < -database_ms ? 0 : database_ms + ms;
      if (!current.present || !conditions.hold(current.expires_at_ms, at_ms)) return std::optional<Mutation>();
      return std::optional<Mutation>(expire_at(at_ms, database_ms));
    };
    return update_key(context, context.args[1], decide, [](Session& session, cache::UpdateOutcome&& outcome) {
      session.reply().integer(outcome.written ? 1 : 0);
    });
  }
  Mutation mutation;
  mutation.kind = ms <= 0 ? MutationKind::erase : MutationKind::touch;
  mutation.key = context.args[1];
  mutation.condition = storage::Condition::if_present;
  mutation.expiry = {unit.absolute ? Expiry::Mode::at : Expiry::Mode::after, ms};
  write_key(context, std::move(mutation), [](Session& session, storage::MutationOutcome&& outcome) {
    session.reply().integer(outcome.applied ? 1 : 0);
  });
}

// TTL's kin: -2 if the key is absent, -1 if it never expires.
void tell_expiry(Context& context, ExpiryUnit unit) {
  const auto format = [unit, &engine = context.engine](ReplyWriter& reply, const HitView& view) {
    if (!view.present) return reply.integer(-2);
    if (view.expires_at_ms == 0) return reply.integer(-1);
    std::int64_t ms = view.expires_at_ms;
    if (!unit.absolute) ms = std::max<std::int64_t>(ms - engine.database_now_ms(), 0);
    reply.integer(unit.seconds ? (ms + 500) / 1000 : ms);
  };
  read_key(context, context.args[1], format);
}

}  // namespace

void expire(Context& context) { set_expiry(context, {.absolute = false, .seconds = true}, "expire"); }
void pexpire(Context& context) { set_expiry(context, {.absolute = false, .seconds = false}, "pexpire"); }
void expireat(Context& context) { set_expiry(context, {.absolute = true, .seconds = true}, "expireat"); }
void pexpireat(Context& context) { set_expiry(context, {.absolute = true, .seconds = false}, "pexpireat"); }

void ttl(Context& context) { tell_expiry(context, {.absolute = false, .seconds = true}); }
void pttl(Context& context) { tell_expiry(context, {.absolute = false, .seconds = false}); }
void expiretime(Context& context) { tell_expiry(context, {.absolute = true, .seconds = true}); }
void pexpiretime(Context& context) { tell_expiry(context, {.absolute = true, .seconds = false}); }

void persist(Context& context) {
  const auto decide = [](const storage::KeyState& current, std::int64_t) -> Result<std::optional<Mutation>> {
    if (!current.present || current.expires_at_ms == 0) return std::optional<Mutation>();
    Mutation mutation;
    mutation.kind = MutationKind::touch;
    mutation.expiry.mode = Expiry::Mode::clear;
    return std::optional<Mutation>(std::move(mutation));
  };
  update_key(context, context.args[1], decide, [](Session& session, cache::UpdateOutcome&& outcome) {
    session.reply().integer(outcome.written ? 1 : 0);
  });
}

}  // namespace freshet::server::handlers
