// Fields drawn at random, and the walk over all: HRANDFIELD, HSCAN.
#include <algorithm>
#include <charconv>
#include <optional>

#include "base/random.h"
#include "server/commands/glob.h"
#include "server/commands/handlers.h"
#include "server/commands/hash_access.h"

namespace freshet::server::handlers {
namespace {

using protocol::ReplyWriter;
using storage::HashField;

// What HRANDFIELD draws with repetition: so many fields, and bytes of reply, at most.
constexpr std::int64_t kDrawnFieldsMax = 65'536;
constexpr std::size_t kDrawnBytesMax = 64 * 1024 * 1024;
// With repetition more are not drawn under memory's lock.
constexpr std::int64_t kDrawnInPlaceMax = 256;

base::Random& dice() {
  thread_local base::Random random(base::entropy());
  return random;
}

struct Draw {
  std::int64_t count = 0;  // Below 0: so many, with repetition.
  bool with_values = false;
};

// False after an error reply.
bool read_draw(Context& context, Draw& draw) {
  const auto args = context.args;
  if (!read_integer(context.reply, args[2], draw.count)) return false;
  if (draw.count < -INT64_MAX) {
    return context.reply.error("ERR value is out of range, value must between -9223372036854775807 and "
                               "9223372036854775807"), false;
  }
  if (args.size() > 4 || (args.size() == 4 && !equals_ignoring_case(args[3], "withvalues"))) {
    return context.reply.error(kSyntaxError), false;
  }
  draw.with_values = args.size() == 4;
  if (draw.with_values && (draw.count < -INT64_MAX / 2 || draw.count > INT64_MAX / 2)) {
    return context.reply.error("ERR value is out of range"), false;
  }
  if (draw.count >= -kDrawnFieldsMax) return true;
  context.reply.error("ERR at most " + std::to_string(kDrawnFieldsMax) + " fields can be drawn with repetition");
  return false;
}

// Distinct fields, each choice as likely as any other, in their order: of what is left, each is taken with the probability
// that the rest of the draw needs (Knuth, "selection sampling").
std::vector<HashField> drawn_once(const std::vector<HashField>& fields, std::size_t count) {
  std::vector<HashField> drawn;
  for (std::size_t i = 0; i < fields.size() && drawn.size() < count; ++i) {
    if (dice().below(fields.size() - i) < count - drawn.size()) drawn.push_back(fields[i]);
  }
  return drawn;
}

// Nothing if it would be too large.
std::optional<std::vector<HashField>> drawn_repeatedly(const std::vector<HashField>& fields, std::size_t count) {
  std::vector<HashField> drawn;
  std::size_t bytes = 0;
  while (!fields.empty() && drawn.size() < count) {
    drawn.push_back(fields[dice().below(fields.size())]);
    bytes += drawn.back().name.size() + drawn.back().value.size();
    if (bytes > kDrawnBytesMax) return std::nullopt;
  }
  return drawn;
}

// RESP3 has pairs where RESP2 has them one behind the other.
void write_drawn(ReplyWriter& reply, const std::vector<HashField>& drawn, bool with_values) {
  const bool paired = with_values && reply.version() >= 3;
  reply.array(drawn.size() * (with_values && !paired ? 2 : 1));
  for (const auto& field : drawn) {
    if (paired) reply.array(2);
    reply.bulk(field.name);
    if (with_values) reply.bulk(field.value);
  }
}

void write_draw(ReplyWriter& reply, const std::vector<HashField>& fields, const Draw& draw) {
  if (draw.count >= 0) {
    return write_drawn(reply, drawn_once(fields, static_cast<std::size_t>(draw.count)), draw.with_values);
  }
  const auto drawn = drawn_repeatedly(fields, static_cast<std::size_t>(-draw.count));
  if (!drawn) return reply.error("ERR the fields drawn are larger than one reply may be; draw fewer");
  write_drawn(reply, *drawn, draw.with_values);
}

struct Walk {
  std::string pattern = "*";
  std::string fault;  // Of the options: Redis looks at them only if there is a hash.
};

Walk read_walk(std::span<const std::string_view> options) {
  Walk walk;
  for (std::size_t i = 0; i < options.size() && walk.fault.empty(); i += 2) {
    std::int64_t count = 0;
    if (i + 1 == options.size()) {
      walk.fault = kSyntaxError;
    } else if (equals_ignoring_case(options[i], "match")) {
      walk.pattern = options[i + 1];
    } else if (!equals_ignoring_case(options[i], "count")) {
      walk.fault = kSyntaxError;
    } else {
      const auto& text = options[i + 1];
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
      if (error != std::errc() || end != text.data() + text.size()) {
        walk.fault = kNotAnInteger;
      } else if (count < 1) {
        walk.fault = kSyntaxError;
      }
    }
  }
  return walk;
}

// All at once, whatever COUNT says, as Redis answers of small hashes.
void write_walk(ReplyWriter& reply, const std::vector<HashField>& fields, const Walk& walk) {
  if (!fields.empty() && !walk.fault.empty()) return reply.error(walk.fault);
  std::vector<HashField> found;
  std::copy_if(fields.begin(), fields.end(), std::back_inserter(found), [&](const HashField& field) {
    return walk.pattern == "*" || glob_matches(walk.pattern, field.name);
  });
  reply.array(2);
  reply.bulk("0");
  reply.array(2 * found.size());
  for (const auto& field : found) {
    reply.bulk(field.name);
    reply.bulk(field.value);
  }
}

}  // namespace

void hrandfield(Context& context) {
  if (context.args.size() == 2) {
    return read_fields(context, [](ReplyWriter& reply, const std::vector<HashField>& fields) {
      if (fields.empty()) return reply.null();
      reply.bulk(fields[dice().below(fields.size())].name);
    });
  }
  Draw draw;
  if (!read_draw(context, draw)) return;
  const auto write = [draw](ReplyWriter& reply, const std::vector<HashField>& fields) { write_draw(reply, fields, draw); };
  read_fields(context, write, draw.count < -kDrawnInPlaceMax);
}

void hscan(Context& context) {
  std::uint64_t cursor = 0;
  const auto text = context.args[2];
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cursor);
  if (error != std::errc() || end != text.data() + text.size()) return context.reply.error("ERR invalid cursor");
  const auto write = [walk = read_walk(context.args.subspan(3))](ReplyWriter& reply, const std::vector<HashField>& fields) {
    write_walk(reply, fields, walk);
  };
  read_fields(context, write);
}

}  // namespace freshet::server::handlers
