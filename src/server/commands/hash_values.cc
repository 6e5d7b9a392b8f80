// Fields set, removed and added to. See server/commands/hash_values.h.
#include "server/commands/hash_values.h"

#include <cmath>
#include <memory>
#include <optional>

#include "cache/hash_update.h"
#include "protocol/number.h"
#include "server/commands/access.h"
#include "server/commands/float_text.h"

namespace freshet::server::hash_values {
namespace {

using protocol::ReplyWriter;
using storage::HashFields;

// What the command answers, by its last decision. It outlives the fields, which may refer to its text.
struct Answer {
  std::int64_t number = 0;
  std::string text = {};
};

// `change`: Result<bool>(HashFields&, Answer&), as of cache::ChangeFields.
template <typename Change>
void change_hash(Context& context, Change change, void (*write)(ReplyWriter&, const Answer&)) {
  const auto answer = std::make_shared<Answer>();
  auto decide = cache::deciding_on_fields([answer, change = std::move(change)](HashFields& fields) -> Result<bool> {
    *answer = {};
    return change(fields, *answer);
  });
  update_key_locked(context, context.args[1], std::move(decide), [answer, write](Session& session, cache::UpdateOutcome&&) {
    write(session.reply(), *answer);
  });
}

// The arguments from `first` on, which the change outlives.
std::vector<std::string> words_from(const Context& context, std::size_t first) {
  const auto words = context.args.subspan(first);
  return {words.begin(), words.end()};
}

void write_number(ReplyWriter& reply, const Answer& answer) { reply.integer(answer.number); }

void set_pairs(Context& context, void (*write)(ReplyWriter&, const Answer&)) {
  if (context.args.size() % 2 != 0) return context.reply.error(wrong_arity_text(to_lower(context.args[0])));
  const auto change = [pairs = words_from(context, 2)](HashFields& fields, Answer& answer) {
    for (std::size_t i = 0; i < pairs.size(); i += 2) answer.number += fields.set(pairs[i], pairs[i + 1]) ? 1 : 0;
    return true;
  };
  change_hash(context, change, write);
}

}  // namespace

void hset(Context& context) { set_pairs(context, write_number); }

void hmset(Context& context) {
  set_pairs(context, [](ReplyWriter& reply, const Answer&) { reply.ok(); });
}

void hsetnx(Context& context) {
  const auto change = [pair = words_from(context, 2)](HashFields& fields, Answer& answer) {
    if (fields.find(pair[0])) return false;
    answer.number = 1;
    return fields.set(pair[0], pair[1]);
  };
  change_hash(context, change, write_number);
}

void hdel(Context& context) {
  const auto change = [names = words_from(context, 2)](HashFields& fields, Answer& answer) {
    for (const auto& name : names) answer.number += fields.erase(name) ? 1 : 0;
    return answer.number > 0;
  };
  change_hash(context, change, write_number);
}

void hincrby(Context& context) {
  std::int64_t delta = 0;
  if (!read_integer(context.reply, context.args[3], delta)) return;
  const auto change = [name = std::string(context.args[2]), delta](HashFields& fields, Answer& answer) -> Result<bool> {
    const auto text = fields.find(name);
    const auto value = text ? protocol::parse_integer(*text) : std::optional<std::int64_t>(0);
    if (!value) return Error::of(ErrorCode::invalid_argument, "hash value is not an integer");
    if (__builtin_add_overflow(*value, delta, &answer.number)) {
      return Error::of(ErrorCode::out_of_range, std::string(kOverflow.substr(4)));
    }
    answer.text = std::to_string(answer.number);
    fields.set(name, answer.text);
    return true;
  };
  change_hash(context, change, write_number);
}

void hincrbyfloat(Context& context) {
  const auto delta = parse_float(context.args[3]);
  if (!delta) return context.reply.error("ERR value is not a valid float");
  if (std::isinf(*delta)) return context.reply.error("ERR value is NaN or Infinity");
  const auto change = [name = std::string(context.args[2]), delta = *delta](HashFields& fields,
                                                                           Answer& answer) -> Result<bool> {
    const auto text = fields.find(name);
    const auto value = text ? parse_float(*text) : std::optional<long double>(0.0L);
    if (!value) return Error::of(ErrorCode::invalid_argument, "hash value is not a float");
    const long double sum = *value + delta;
    if (std::isinf(sum) || std::isnan(sum)) {
      return Error::of(ErrorCode::out_of_range, "increment would produce NaN or Infinity");
    }
    answer.text = format_float(sum);
    fields.set(name, answer.text);
    return true;
  };
  change_hash(context, change, [](ReplyWriter& reply, const Answer& answer) { reply.bulk(answer.text); });
}

}  // namespace freshet::server::hash_values
