// Counters: storage computes the integers; floats are read, computed here and written back on condition.
#include <cmath>

#include "protocol/number.h"
#include "server/commands/access.h"
#include "server/commands/float_text.h"
#include "server/commands/handlers.h"

namespace freshet::server::handlers {
namespace {

using storage::Expiry;
using storage::Mutation;
using storage::MutationKind;

constexpr const char* kNotAFloat = "value is not a valid float";

void add(Context& context, std::int64_t delta) {
  Mutation mutation;
  mutation.kind = MutationKind::increment;
  mutation.key = context.args[1];
  mutation.delta = delta;
  mutation.expiry.mode = Expiry::Mode::keep;
  write_key(context, std::move(mutation), [](Session& session, storage::MutationOutcome&& outcome) {
    const auto value = protocol::parse_integer(outcome.after.value);
    if (!value) return session.reply().error("ERR internal: storage returned a counter that is no integer");
    session.reply().integer(*value);
  });
}

}  // namespace

void incr(Context& context) { add(context, 1); }
void decr(Context& context) { add(context, -1); }

void incrby(Context& context) {
  std::int64_t delta = 0;
  if (read_integer(context.reply, context.args[2], delta)) add(context, delta);
}

void decrby(Context& context) {
  std::int64_t delta = 0;
  if (!read_integer(context.reply, context.args[2], delta)) return;
  if (delta == INT64_MIN) return context.reply.error("ERR decrement would overflow");
  add(context, -delta);
}

void incrbyfloat(Context& context) {
  if (!takes_strings(context, context.args[1])) return;
  const auto delta = parse_float(context.args[2]);
  const auto decide = [delta](const storage::KeyState& current, std::int64_t) -> Result<std::optional<Mutation>> {
    if (auto fault = fault_of_string(current)) return *std::move(fault);  // Redis looks at the key first.
    const auto value = current.present ? parse_float(current.value) : std::optional<long double>(0.0L);
    if (!value || !delta) return Error::of(ErrorCode::invalid_argument, kNotAFloat);
    const long double sum = *value + *delta;
    if (std::isnan(sum) || std::isinf(sum)) {
      return Error::of(ErrorCode::out_of_range, "increment would produce NaN or Infinity");
    }
    Mutation mutation;
    mutation.value = format_float(sum);
    mutation.expiry.mode = Expiry::Mode::keep;
    return std::optional<Mutation>(std::move(mutation));
  };
  update_key(context, context.args[1], decide, [](Session& session, cache::UpdateOutcome&& outcome) {
    session.reply().bulk(outcome.after.value);
  });
}

}  // namespace freshet::server::handlers
