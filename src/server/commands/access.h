// What the handlers share: reading keys (from memory at once, else waiting), writing them, and reading arguments.
// May use server.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/command.h"
#include "server/errors.h"
#include "server/session.h"

namespace freshet::server {

// The latest moment that a key may expire at, in ms since 1970: some 285,000 years; PostgreSQL's timestamps end soon after.
inline constexpr std::int64_t kExpireAtMsMax = 9'000'000'000'000'000;

// False after an error reply: the key is longer than storage takes.
bool key_fits(protocol::ReplyWriter& reply, std::string_view key);
// False after an error reply: the text is no integer.
bool read_integer(protocol::ReplyWriter& reply, std::string_view text, std::int64_t& value);

void count_read(Session& session, bool present);
// A read that memory answered at once, in the counters and in recordings.
void count_hit(Context& context, std::string_view key, bool present, std::size_t value_bytes);
// A reading that the session has waited for: counted, recorded, and seen by its level.
void count_reading(Session& session, const cache::Reading& reading);
// The same for a write. What was not written was read.
void count_written(Session& session, storage::MutationKind kind, const storage::MutationOutcome& outcome);

// Present, and not past its deadline by the database's clock as known here.
inline bool is_live(const cache::Engine& engine, const storage::KeyState& state) {
  return state.present && (state.expires_at_ms == 0 || state.expires_at_ms > engine.database_now_ms());
}

// What a reading shows.
inline cache::HitView view_of(const cache::Reading& reading) {
  return {reading.present, reading.value, reading.version, reading.expires_at_ms, reading.shape.get(), reading.age, 0,
          reading.kind};
}

// GET's form: the value as it is; a row as a JSON object, a query's result as an array of them; null if absent; an error for
// a hash.
void write_value(protocol::ReplyWriter& reply, const cache::HitView& view);
// What a state of a key shows: a guarded row's columns, or the value as it is. The state outlives it.
cache::HitView view_of(const cache::Engine& engine, std::string_view key, const storage::KeyState& state);
// Calls use(std::string_view) with the text that GET gives for a present key; an error reply if it is a hash, or corrupted.
template <typename Use>
void with_text(protocol::ReplyWriter& reply, const cache::HitView& view, Use use) {
  if (view.kind != cache::ValueKind::string) return reply.error(kWrongType);
  if (!view.shape) return use(view.value);
  const auto json = storage::to_json(*view.shape, view.value);
  if (!json) return write_error(reply, json.error());
  use(std::string_view(*json));
}

// Rows and hashes are rendered from memory under a small lock: longer ones are copied first.
inline constexpr std::size_t kRenderedInPlaceBytesMax = 4 * 1024;

// Calls show(const cache::HitView&) if memory holds the key, as fresh as the command asks. Without allocation, but for what
// `show` does.
template <typename Show>
bool show_hit(Context& context, std::string_view key, Show show) {
  bool shown = false;
  storage::Lsn position = 0;
  const auto visit = [&](const cache::HitView& view) {
    const bool is_rendered = view.shape || view.kind != cache::ValueKind::string;
    if (view.value.size() > kRenderedInPlaceBytesMax && is_rendered) return;
    shown = true;
    position = view.position;
    show(view);
  };
  context.engine.try_get_at(key, context.read, context.now, visit);
  if (position != 0) context.session.level().saw(position);
  return shown;
}

// Reads one key that is not to be shown from memory's place, and calls format(ReplyWriter&, const cache::HitView&,
// cache::Source) later.
template <typename Format>
void await_key_from(Context& context, std::string_view key, Format format) {
  context.session.expect_access(key);
  const auto done = [format](Session& session, cache::Reading&& reading) {
    count_reading(session, reading);
    format(session.reply(), view_of(reading), reading.source);
  };
  context.engine.get(key, context.read, context.session.defer<cache::Reading>(done));
}

// Reads one key at the command's level and calls format(ReplyWriter&, const cache::HitView&, cache::Source), which writes
// the reply: at once on a hit; later on a miss.
template <typename Format>
void read_key_from(Context& context, std::string_view key, Format format) {
  if (!key_fits(context.reply, key)) return;
  bool present = false;
  std::size_t value_bytes = 0;
  const bool hit = show_hit(context, key, [&](const cache::HitView& view) {
    present = view.present;
    value_bytes = view.value.size();
    format(context.reply, view, cache::Source::memory);
  });
  if (hit) return count_hit(context, key, present, value_bytes);
  await_key_from(context, key, format);
}

// The same for the usual case: format(ReplyWriter&, const cache::HitView&).
template <typename Format>
void read_key(Context& context, std::string_view key, Format format) {
  read_key_from(context, key, [format](protocol::ReplyWriter& reply, const cache::HitView& view, cache::Source) {
    format(reply, view);
  });
}

// Reads many keys at the command's level; `finish` gets the readings in the order of the keys.
using FinishReadings = std::function<void(Session&, std::vector<cache::Reading>&&)>;
void read_keys(Context& context, std::span<const std::string_view> keys, FinishReadings finish);

// False after an error reply: the key is a row of a guarded table, which has columns instead of a string.
bool takes_strings(Context& context, std::string_view key);
// Makes a mutation one of what stands behind its key: for a row of a guarded table the value of a put is a JSON object with
// its columns. False after an error reply.
bool fit_to_key(Context& context, storage::Mutation& mutation);

// Makes one mutation; errors become the reply, with Redis's texts where it has them.
using FinishMutation = std::function<void(Session&, storage::MutationOutcome&&)>;
void write_key(Context& context, storage::Mutation mutation, FinishMutation finish);
void write_mutation_error(protocol::ReplyWriter& reply, storage::MutationKind kind, const Error& error);

// Reads, decides and writes (Engine::update); errors become the reply.
using FinishUpdate = std::function<void(Session&, cache::UpdateOutcome&&)>;
void update_key(Context& context, std::string_view key, cache::Decide decide, FinishUpdate finish);
// The same by Engine::update_locked.
void update_key_locked(Context& context, std::string_view key, cache::Decide decide, FinishUpdate finish);
// For a decision about a string: wrong_type if there is another value.
inline std::optional<Error> fault_of_string(const storage::KeyState& current) {
  if (current.present && current.kind != storage::ValueKind::string) return storage::wrong_kind();
  return std::nullopt;
}

// "ERR invalid expire time in 'set' command".
std::string invalid_expire_text(std::string_view command);

// EX, PX, EXAT, PXAT (in any case): the unit of an expiry argument.
struct ExpiryUnit {
  bool absolute;
  bool seconds;
};
std::optional<ExpiryUnit> expiry_unit(std::string_view option);
// What `text` says in that unit: a time above 0. The error's text is Redis's, without its prefix.
Result<storage::Expiry> parse_expiry(const cache::Engine& engine, ExpiryUnit unit, std::string_view text,
                                     std::string_view command);
// The same; nothing after an error reply.
std::optional<storage::Expiry> read_expiry(Context& context, ExpiryUnit unit, std::string_view text,
                                           std::string_view command);

}  // namespace freshet::server
