// The string family, reads and writes; numbers are in numbers.cc.
#include <algorithm>
#include <unordered_map>

#include "protocol/number.h"
#include "server/commands/access.h"
#include "server/commands/handlers.h"
#include "server/request_batch.h"
#include "server/worker.h"

namespace freshet::server::handlers {
namespace {

// Of a long MGET: keys whose look-ups' lines are fetched together.
constexpr std::size_t kKeysAhead = 32;

using cache::HitView;
using protocol::ReplyWriter;
using storage::Condition;
using storage::Expiry;
using storage::Mutation;
using storage::MutationKind;
using storage::MutationOutcome;

// MGET's form of one value: Redis's has no place for an error.
void write_string(ReplyWriter& reply, const HitView& view) {
  if (view.kind != cache::ValueKind::string) return reply.null();
  write_value(reply, view);
}

// The value before a mutation that asked for it; what stands there now is it too if nothing was applied.
void write_before(Session& session, std::string_view key, const MutationOutcome& outcome) {
  const auto& before = outcome.before ? *outcome.before : outcome.after;
  const bool known = outcome.before || !outcome.applied;
  if (!known || !is_live(session.engine(), before)) return session.reply().null();
  write_value(session.reply(), view_of(session.engine(), key, before));
}

// What outlives the command.
std::string key_of(const Context& context) { return std::string(context.args[1]); }

Mutation put(std::string_view key, std::string_view value) {
  Mutation mutation;
  mutation.kind = MutationKind::put;
  mutation.key = key;
  mutation.value = value;
  return mutation;
}

// SET's options into its mutation. False after an error reply.
bool read_set_options(Context& context, Mutation& mutation) {
  const auto args = context.args;
  bool expires = false, keeps = false;
  for (std::size_t i = 3; i < args.size(); ++i) {
    const auto unit = expiry_unit(args[i]);
    if (equals_ignoring_case(args[i], "nx") && mutation.condition != Condition::if_present) {
      mutation.condition = Condition::if_absent;
    } else if (equals_ignoring_case(args[i], "xx") && mutation.condition != Condition::if_absent) {
      mutation.condition = Condition::if_present;
    } else if (equals_ignoring_case(args[i], "get")) {
      mutation.want_before = true;
    } else if (equals_ignoring_case(args[i], "keepttl") && !expires) {
      keeps = true;
      mutation.expiry.mode = Expiry::Mode::keep;
    } else if (unit && !expires && !keeps && i + 1 < args.size()) {
      expires = true;
      mutation.expiry.mode = unit->absolute ? Expiry::Mode::at : Expiry::Mode::after;
      mutation.expiry.ms = static_cast<std::int64_t>(++i);  // Read once the rest is known to be well-formed.
    } else {
      return context.reply.error(kSyntaxError), false;
    }
  }
  if (!expires) return true;
  const auto place = static_cast<std::size_t>(mutation.expiry.ms);
  const auto expiry = read_expiry(context, *expiry_unit(args[place - 1]), args[place], "set");
  if (!expiry) return false;
  mutation.expiry = *expiry;
  return true;
}

// MSET and MSETNX: the pairs as distinct mutations, of a repeated key the last. False after an error reply.
bool read_pairs(Context& context, Condition condition, std::string_view command, std::vector<Mutation>& mutations) {
  const auto args = context.args;
  if (args.size() % 2 == 0) return context.reply.error(wrong_arity_text(command)), false;
  std::unordered_map<std::string_view, std::size_t> places;
  for (std::size_t i = 1; i < args.size(); i += 2) {
    if (!key_fits(context.reply, args[i])) return false;
    const auto [place, fresh] = places.try_emplace(args[i], mutations.size());
    if (fresh) {
      mutations.push_back(put(args[i], args[i + 1]));
      mutations.back().condition = condition;
    } else {
      mutations[place->second].value = args[i + 1];
    }
  }
  for (auto& mutation : mutations) {
    if (!fit_to_key(context, mutation)) return false;
  }
  if (mutations.size() <= storage::kBatchKeysMax) return true;
  context.reply.error("ERR at most " + std::to_string(storage::kBatchKeysMax) + " keys can be set in one transaction");
  return false;
}

void set_pairs(Context& context, Condition condition, std::string_view command,
               void (*finish)(ReplyWriter&, const storage::WriteReply&)) {
  std::vector<Mutation> mutations;
  if (!read_pairs(context, condition, command, mutations)) return;
  for (const auto& mutation : mutations) context.session.expect_access(mutation.key);
  const auto done = [finish](Session& session, storage::WriteReply&& reply) {
    for (const auto& outcome : reply) {
      if (!outcome) return write_mutation_error(session.reply(), MutationKind::put, outcome.error());
    }
    for (const auto& outcome : reply) count_written(session, MutationKind::put, *outcome);
    finish(session.reply(), reply);
  };
  context.engine.write(std::move(mutations), true, base::kForever, context.session.defer<storage::WriteReply>(done));
}

void set_with_expiry(Context& context, ExpiryUnit unit, std::string_view command) {
  const auto expiry = read_expiry(context, unit, context.args[2], command);
  if (!expiry) return;
  Mutation mutation = put(context.args[1], context.args[3]);
  mutation.expiry = *expiry;
  write_key(context, std::move(mutation), [](Session& session, MutationOutcome&&) { session.reply().ok(); });
}

// The part of a value that GETRANGE's indices name, both counted from the end if negative.
std::string_view range_of(std::string_view value, std::int64_t start, std::int64_t end) {
  const auto size = static_cast<std::int64_t>(value.size());
  if (start < 0 && end < 0 && start > end) return {};
  if (start < 0) start = std::max<std::int64_t>(start + size, 0);
  if (end < 0) end = std::max<std::int64_t>(end + size, 0);
  end = std::min(end, size - 1);
  if (size == 0 || start > end) return {};
  return value.substr(static_cast<std::size_t>(start), static_cast<std::size_t>(end - start + 1));
}

// GETEX's option: what to do with the expiry, or why it cannot be done; nothing after an error reply.
std::optional<Result<Expiry>> read_getex_option(Context& context) {
  const auto args = context.args;
  const auto unit = expiry_unit(args[2]);
  if (unit && args.size() == 4) return parse_expiry(context.engine, *unit, args[3], "getex");
  if (equals_ignoring_case(args[2], "persist") && args.size() == 3) return Result<Expiry>(Expiry{});
  context.reply.error(kSyntaxError);
  return std::nullopt;
}

}  // namespace

void get(Context& context) { read_key(context, context.args[1], write_value); }

void mget(Context& context) {
  const auto keys = context.args.subspan(1);
  auto& out = context.reply.out();
  const std::size_t begin = out.size();
  // One moment is more than every key's own newest value.
  bool hits = context.read.level != storage::Level::snapshot;
  context.reply.array(keys.size());
  std::size_t found = 0;
  const bool is_long = !RequestBatch::fetches_for(context.args);
  const bool recorded = context.session.worker().recorder().any();
  std::vector<std::size_t> value_bytes;  // Only if it is recorded: one key's miss means that all are read again.
  for (std::size_t i = 0; hits && i < keys.size(); ++i) {
    if (is_long && i % kKeysAhead == 0) context.engine.prefetch_hits(keys.subspan(i, std::min(keys.size() - i, kKeysAhead)));
    hits = keys[i].size() <= storage::kKeyBytesMax && show_hit(context, keys[i], [&](const HitView& view) {
      found += view.present;
      if (recorded) value_bytes.push_back(view.value.size());
      write_string(context.reply, view);
    });
  }
  if (!hits) {
    out.truncate(begin);
    return read_keys(context, keys, [](Session& session, std::vector<cache::Reading>&& readings) {
      session.reply().array(readings.size());
      for (const auto& reading : readings) write_string(session.reply(), view_of(reading));
    });
  }
  for (std::size_t i = 0; i < keys.size(); ++i) count_read(context.session, i < found);
  for (std::size_t i = 0; i < value_bytes.size(); ++i) {
    context.session.worker().recorder().record(AccessKind::read, keys[i], value_bytes[i], context.now);
  }
}

void strlen(Context& context) {
  read_key(context, context.args[1], [](ReplyWriter& reply, const HitView& view) {
    if (!view.present) return reply.integer(0);
    with_text(reply, view, [&](std::string_view text) { reply.integer(static_cast<std::int64_t>(text.size())); });
  });
}

void getrange(Context& context) {
  std::int64_t start = 0, end = 0;
  if (!read_integer(context.reply, context.args[2], start) || !read_integer(context.reply, context.args[3], end)) return;
  read_key(context, context.args[1], [start, end](ReplyWriter& reply, const HitView& view) {
    if (!view.present) return reply.bulk({});
    with_text(reply, view, [&](std::string_view text) { reply.bulk(range_of(text, start, end)); });
  });
}

void set(Context& context) {
  Mutation mutation = put(context.args[1], context.args[2]);
  if (!read_set_options(context, mutation)) return;
  const bool wants_before = mutation.want_before;
  auto done = [wants_before, key = key_of(context)](Session& session, MutationOutcome&& outcome) {
    if (wants_before) return write_before(session, key, outcome);
    if (!outcome.applied) return session.reply().null();
    session.reply().ok();
  };
  write_key(context, std::move(mutation), std::move(done));
}

void setnx(Context& context) {
  Mutation mutation = put(context.args[1], context.args[2]);
  mutation.condition = Condition::if_absent;
  write_key(context, std::move(mutation), [](Session& session, MutationOutcome&& outcome) {
    session.reply().integer(outcome.applied ? 1 : 0);
  });
}

void setex(Context& context) { set_with_expiry(context, {.absolute = false, .seconds = true}, "setex"); }
void psetex(Context& context) { set_with_expiry(context, {.absolute = false, .seconds = false}, "psetex"); }

void getset(Context& context) {
  Mutation mutation = put(context.args[1], context.args[2]);
  mutation.want_before = true;
  write_key(context, std::move(mutation),
            [key = key_of(context)](Session& session, MutationOutcome&& outcome) { write_before(session, key, outcome); });
}

void getdel(Context& context) {
  Mutation mutation;
  mutation.kind = MutationKind::erase;
  mutation.key = context.args[1];
  mutation.condition = Condition::if_present;
  mutation.want_before = true;
  write_key(context, std::move(mutation), [key = key_of(context)](Session& session, MutationOutcome&& outcome) {
    if (!outcome.applied) return session.reply().null();
    write_before(session, key, outcome);
  });
}

void getex(Context& context) {
  if (context.args.size() == 2) return get(context);
  const auto expiry = read_getex_option(context);
  if (!expiry) return;
  const auto decide = [expiry = *expiry](const storage::KeyState& current, std::int64_t) -> Result<std::optional<Mutation>> {
    if (!current.present) return std::optional<Mutation>();
    if (auto fault = fault_of_string(current)) return *std::move(fault);
    if (!expiry) return expiry.error();  // Redis looks for the key first.
    if (expiry->mode == Expiry::Mode::clear && current.expires_at_ms == 0) return std::optional<Mutation>();
    Mutation mutation;
    mutation.kind = MutationKind::touch;
    mutation.expiry = *expiry;
    return std::optional<Mutation>(std::move(mutation));
  };
  update_key(context, context.args[1], decide, [key = key_of(context)](Session& session, cache::UpdateOutcome&& outcome) {
    count_read(session, outcome.before.present);
    write_value(session.reply(), view_of(session.engine(), key, outcome.before));
  });
}

void mset(Context& context) {
  set_pairs(context, Condition::none, "mset", [](ReplyWriter& reply, const storage::WriteReply&) { reply.ok(); });
}

void msetnx(Context& context) {
  set_pairs(context, Condition::if_absent, "msetnx", [](ReplyWriter& reply, const storage::WriteReply& outcomes) {
    const bool all = std::all_of(outcomes.begin(), outcomes.end(), [](const auto& each) { return each->applied; });
    reply.integer(all ? 1 : 0);
  });
}

void append(Context& context) {
  Mutation mutation;
  mutation.kind = MutationKind::append;
  mutation.key = context.args[1];
  mutation.value = context.args[2];
  mutation.expiry.mode = Expiry::Mode::keep;
  write_key(context, std::move(mutation), [](Session& session, MutationOutcome&& outcome) {
    session.reply().integer(static_cast<std::int64_t>(outcome.after.value.size()));
  });
}

void setrange(Context& context) {
  if (!takes_strings(context, context.args[1])) return;
  std::int64_t offset = 0;
  if (!read_integer(context.reply, context.args[2], offset)) return;
  if (offset < 0) return context.reply.error("ERR offset is out of range");
  const auto start = static_cast<std::size_t>(offset);
  const auto decide = [start, part = std::string(context.args[3])](const storage::KeyState& current,
                                                                   std::int64_t) -> Result<std::optional<Mutation>> {
    if (auto fault = fault_of_string(current)) return *std::move(fault);
    if (part.empty()) return std::optional<Mutation>();
    if (start > storage::kValueBytesMax - std::min(part.size(), storage::kValueBytesMax)) {
      return Error::of(ErrorCode::out_of_range, std::string(kTooLong.substr(4)));
    }
    Mutation mutation = put({}, current.present ? std::string_view(current.value) : std::string_view());
    if (mutation.value.size() < start + part.size()) mutation.value.resize(start + part.size());
    mutation.value.replace(start, part.size(), part);
    mutation.expiry.mode = Expiry::Mode::keep;
    return std::optional<Mutation>(std::move(mutation));
  };
  update_key(context, context.args[1], decide, [](Session& session, cache::UpdateOutcome&& outcome) {
    const auto& state = outcome.written ? outcome.after : outcome.before;
    session.reply().integer(state.present ? static_cast<std::int64_t>(state.value.size()) : 0);
  });
}

}  // namespace freshet::server::handlers
