// What the handlers share: reading keys (from memory at once, else waiting), writing them, and reading arguments.
// May use cache and protocol.
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

// Present, and not past its deadline by the database's clock as known here.
inline bool is_live(const cache::Engine& engine, const storage::KeyState& state) {
  return state.present && (state.expires_at_ms == 0 || state.expires_at_ms > engine.database_now_ms());
}

// Reads one key and calls format(ReplyWriter&, const cache::HitView&), which writes the reply: at once on a hit, without
// allocation; later on a miss.
template <typename Format>
void read_key(Context& context, std::string_view key, Format format) {
  if (!key_fits(context.reply, key)) return;
  bool present = false;
  const auto visit = [&](const cache::HitView& view) {
    present = view.present;
    format(context.reply, view);
  };
  if (context.engine.try_get(key, context.now, visit) == cache::Engine::Lookup::hit) {
    return count_read(context.session, present);
  }
  context.engine.get(key, {}, context.session.defer<cache::Reading>([format](Session& session, cache::Reading&& reading) {
    count_read(session, reading.present);
    format(session.reply(), cache::HitView{reading.present, reading.value, reading.version, reading.expires_at_ms});
  }));
}

// Reads many keys; `finish` gets the readings in the order of the keys.
using FinishReadings = std::function<void(Session&, std::vector<cache::Reading>&&)>;
void read_keys(Context& context, std::span<const std::string_view> keys, FinishReadings finish);

// Makes one mutation; errors become the reply, with Redis's texts where it has them.
using FinishMutation = std::function<void(Session&, storage::MutationOutcome&&)>;
void write_key(Context& context, storage::Mutation mutation, FinishMutation finish);
void write_mutation_error(protocol::ReplyWriter& reply, storage::MutationKind kind, const Error& error);

// Reads, decides and writes (Engine::update); errors become the reply.
using FinishUpdate = std::function<void(Session&, cache::UpdateOutcome&&)>;
void update_key(Context& context, std::string_view key, cache::Decide decide, FinishUpdate finish);

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
