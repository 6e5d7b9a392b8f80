// Reads that wait, writes, and arguments.
#include "server/commands/access.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>

#include "protocol/number.h"
#include "server/worker.h"
#include "storage/row_parse.h"

namespace freshet::server {
namespace {

// For messages: a key's beginning says which it was.
constexpr std::size_t kKeyShownBytes = 128;

// A read of many keys in batches of what one call of storage takes.
struct ManyReads {
  std::vector<std::string> keys;
  std::vector<cache::Reading> readings;
  cache::ReadOptions read;
  FinishReadings finish;
};

void read_next(Session& session, const std::shared_ptr<ManyReads>& reads) {
  const std::size_t begin = reads->readings.size();
  const std::size_t end = std::min(reads->keys.size(), begin + storage::kBatchKeysMax);
  if (begin == end) return reads->finish(session, std::move(reads->readings));
  const auto first = std::make_move_iterator(reads->keys.begin());
  std::vector<std::string> batch(first + static_cast<std::ptrdiff_t>(begin), first + static_cast<std::ptrdiff_t>(end));
  const auto done = [reads](Session& resumed, std::vector<cache::Reading>&& readings) {
    for (auto& reading : readings) {
      count_reading(resumed, reading);
      reads->readings.push_back(std::move(reading));
    }
    read_next(resumed, reads);
  };
  session.engine().get_many(std::move(batch), reads->read, session.defer<std::vector<cache::Reading>>(done));
}

// Apart, so that a hit which nobody records saves no registers for it.
[[gnu::noinline, gnu::cold]] void record_hit(Context& context, std::string_view key, bool present,
                                          std::size_t value_bytes) {
  count_read(context.session, present);
  context.session.worker().recorder().record(AccessKind::read, key, value_bytes, context.now);
}

void count_update(Session& session, const cache::UpdateOutcome& outcome) {
  if (!outcome.written) return session.access_answered(AccessKind::read, outcome.before.value.size());
  const auto access = outcome.after.present ? AccessKind::write : AccessKind::erase;
  session.access_answered(access, outcome.after.value.size());
}

using Update = void (cache::Engine::*)(std::string, cache::Decide, base::Nanoseconds,
                                       storage::Callback<cache::UpdateOutcome>);

void update_by(Update update, Context& context, std::string_view key, cache::Decide decide, FinishUpdate finish) {
  if (!key_fits(context.reply, key)) return;
  context.session.expect_access(key);
  auto done = [finish = std::move(finish)](Session& session, cache::UpdateOutcome&& outcome) {
    count_update(session, outcome);
    finish(session, std::move(outcome));
  };
  (context.engine.*update)(std::string(key), std::move(decide), base::kForever,
                           context.session.defer<cache::UpdateOutcome>(std::move(done)));
}

}  // namespace

bool key_fits(protocol::ReplyWriter& reply, std::string_view key) {
  if (key.size() <= storage::kKeyBytesMax) return true;
  reply.error(fmt::format("ERR the key has {} bytes; at most {} are allowed", key.size(), storage::kKeyBytesMax));
  return false;
}

bool read_integer(protocol::ReplyWriter& reply, std::string_view text, std::int64_t& value) {
  const auto parsed = protocol::parse_integer(text);
  if (!parsed) return reply.error(kNotAnInteger), false;
  value = *parsed;
  return true;
}

void count_read(Session& session, bool present) {
  auto& counters = session.worker().counters();
  (present ? counters.keyspace_hits : counters.keyspace_misses).add();
}

void count_hit(Context& context, std::string_view key, bool present, std::size_t value_bytes) {
  if (context.session.worker().recorder().any()) [[unlikely]] return record_hit(context, key, present, value_bytes);
  count_read(context.session, present);
}

void count_reading(Session& session, const cache::Reading& reading) {
  count_read(session, reading.present);
  session.level().saw(reading.position);
  session.access_answered(AccessKind::read, reading.value.size());
}

void count_written(Session& session, storage::MutationKind kind, const storage::MutationOutcome& outcome) {
  const bool erases = kind == storage::MutationKind::erase;
  const auto access = erases ? AccessKind::erase : outcome.applied ? AccessKind::write : AccessKind::read;
  session.access_answered(access, outcome.after.value.size());
}

void write_value(protocol::ReplyWriter& reply, const cache::HitView& view) {
  if (!view.present) return reply.null();
  with_text(reply, view, [&](std::string_view text) { reply.bulk(text); });
}

cache::HitView view_of(const cache::Engine& engine, std::string_view key, const storage::KeyState& state) {
  cache::HitView view{state.present, state.value, state.version, state.expires_at_ms};
  view.kind = state.kind;
  const auto* const rows = state.present ? engine.rows_of_value(key, state.value) : nullptr;
  if (!rows) return view;
  view.value = rows->row_in(view.value);
  view.shape = rows->shape.get();
  return view;
}

bool takes_strings(Context& context, std::string_view key) {
  if (context.engine.kind_of(key) != cache::CollectionKind::guarded_row) return true;
  context.reply.error(fmt::format("WRONGTYPE '{}' is a row of a table; use HINCRBY, HINCRBYFLOAT or HSET on its columns",
                                  key.substr(0, kKeyShownBytes)));
  return false;
}

bool fit_to_key(Context& context, storage::Mutation& mutation) {
  if (mutation.kind == storage::MutationKind::increment || mutation.kind == storage::MutationKind::append) {
    return takes_strings(context, mutation.key);
  }
  const bool is_row = context.engine.kind_of(mutation.key) == cache::CollectionKind::guarded_row;
  if (mutation.kind != storage::MutationKind::put || !is_row) return true;
  auto cells = storage::parse_row_object(mutation.value);
  if (!cells) return write_error(context.reply, cells.error()), false;
  mutation.value.clear();
  for (auto& [column, text] : *cells) {
    const auto kind = text ? storage::Cell::Kind::set : storage::Cell::Kind::clear;
    mutation.cells.push_back({std::move(column), kind, text ? *std::move(text) : std::string()});
  }
  return true;
}

void read_keys(Context& context, std::span<const std::string_view> keys, FinishReadings finish) {
  if (context.read.level == storage::Level::snapshot && keys.size() > storage::kBatchKeysMax) {
    return context.reply.error(
        fmt::format("ERR at most {} keys can be read as of one moment", storage::kBatchKeysMax));
  }
  auto reads = std::make_shared<ManyReads>();
  reads->finish = std::move(finish);
  reads->read = context.read;
  reads->keys.reserve(keys.size());
  reads->readings.reserve(keys.size());
  for (const auto key : keys) {
    if (!key_fits(context.reply, key)) return;
    reads->keys.emplace_back(key);
    context.session.expect_access(key);
  }
  read_next(context.session, reads);
}

void write_key(Context& context, storage::Mutation mutation, FinishMutation finish) {
  if (!key_fits(context.reply, mutation.key) || !fit_to_key(context, mutation)) return;
  context.session.expect_access(mutation.key);
  const auto kind = mutation.kind;
  std::vector<storage::Mutation> mutations;
  mutations.push_back(std::move(mutation));
  auto done = [kind, finish = std::move(finish)](Session& session, storage::WriteReply&& reply) {
    auto& outcome = reply.front();
    if (!outcome) return write_mutation_error(session.reply(), kind, outcome.error());
    count_written(session, kind, *outcome);
    finish(session, *std::move(outcome));
  };
  context.engine.write(std::move(mutations), false, base::kForever,
                       context.session.defer<storage::WriteReply>(std::move(done)));
}

void write_mutation_error(protocol::ReplyWriter& reply, storage::MutationKind kind, const Error& error) {
  if (storage::is_wrong_kind(error)) return write_error(reply, error);
  if (error.code == ErrorCode::wrong_type && kind == storage::MutationKind::increment) return reply.error(kNotAnInteger);
  if (error.code == ErrorCode::out_of_range) {
    return reply.error(kind == storage::MutationKind::increment ? kOverflow : kTooLong);
  }
  write_error(reply, error);
}

void update_key(Context& context, std::string_view key, cache::Decide decide, FinishUpdate finish) {
  update_by(&cache::Engine::update, context, key, std::move(decide), std::move(finish));
}

void update_key_locked(Context& context, std::string_view key, cache::Decide decide, FinishUpdate finish) {
  update_by(&cache::Engine::update_locked, context, key, std::move(decide), std::move(finish));
}

std::string invalid_expire_text(std::string_view command) {
  return fmt::format("ERR invalid expire time in '{}' command", command);
}

std::optional<ExpiryUnit> expiry_unit(std::string_view option) {
  if (equals_ignoring_case(option, "ex")) return ExpiryUnit{false, true};
  if (equals_ignoring_case(option, "px")) return ExpiryUnit{false, false};
  if (equals_ignoring_case(option, "exat")) return ExpiryUnit{true, true};
  if (equals_ignoring_case(option, "pxat")) return ExpiryUnit{true, false};
  return std::nullopt;
}

Result<storage::Expiry> parse_expiry(const cache::Engine& engine, ExpiryUnit unit, std::string_view text,
                                     std::string_view command) {
  const auto value = protocol::parse_integer(text);
  if (!value) return Error::of(ErrorCode::invalid_argument, std::string(kNotAnInteger.substr(4)));
  const std::int64_t most = (kExpireAtMsMax - (unit.absolute ? 0 : engine.database_now_ms())) / (unit.seconds ? 1000 : 1);
  if (*value <= 0 || *value > most) return Error::of(ErrorCode::invalid_argument, invalid_expire_text(command).substr(4));
  return storage::Expiry{unit.absolute ? storage::Expiry::Mode::at : storage::Expiry::Mode::after,
                         unit.seconds ? *value * 1000 : *value};
}

std::optional<storage::Expiry> read_expiry(Context& context, ExpiryUnit unit, std::string_view text,
                                           std::string_view command) {
  const auto expiry = parse_expiry(context.engine, unit, text, command);
  if (expiry) return *expiry;
  write_error(context.reply, expiry.error());
  return std::nullopt;
}

}  // namespace freshet::server
