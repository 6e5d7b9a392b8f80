// Counters: storage computes the integers; floats are read, computed here and written back on condition.
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "protocol/number.h"
#include "server/commands/access.h"
#include "server/commands/handlers.h"

namespace freshet::server::handlers {
namespace {

using storage::Expiry;
using storage::Mutation;
using storage::MutationKind;

// Room for the longest float that is written, a long double in full; what is read must fit into it too.
constexpr std::size_t kFloatRoom = 5 * 1024;
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

std::optional<long double> parse_float(std::string_view text) {
  if (text.empty() || text.size() >= kFloatRoom || std::isspace(static_cast<unsigned char>(text.front()))) {
    return std::nullopt;
  }
  const std::string copy(text);
  char* end = nullptr;
  errno = 0;
  const long double value = std::strtold(copy.c_str(), &end);
  const bool out_of_range = errno == ERANGE && (std::isinf(value) || value == 0);
  if (end != copy.c_str() + copy.size() || out_of_range || std::isnan(value)) return std::nullopt;
  return value;
}

// As Redis prints floats for people: 17 decimals at most, without trailing zeros, never with an exponent.
std::string format_float(long double value) {
  char text[kFloatRoom];
  const int length = std::snprintf(text, sizeof text, "%.17Lf", value);
  std::string out(text, static_cast<std::size_t>(length));
  if (out.find('.') != std::string::npos) {
    out.erase(out.find_last_not_of('0') + 1);
    if (out.back() == '.') out.pop_back();
  }
  return out == "-0" ? "0" : out;
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
  if (!delta) return context.reply.error(std::string("ERR ") + kNotAFloat);
  const auto decide = [delta = *delta](const storage::KeyState& current, std::int64_t) -> Result<std::optional<Mutation>> {
    const auto value = current.present ? parse_float(current.value) : std::optional<long double>(0.0L);
    if (!value) return Error::of(ErrorCode::invalid_argument, kNotAFloat);
    const long double sum = *value + delta;
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
