// Reads that wait, writes, and arguments.
#include "server/access.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "protocol/number.h"
#include "server/worker.h"

namespace freshet::server {
namespace {

// A read of many keys in batches of what one call of storage takes.
struct ManyReads {
  std::vector<std::string> keys;
  std::vector<cache::Reading> readings;
  std::vector<std::size_t> missing;  // Places of `keys` that memory did not hold.
  std::size_t done = 0;              // Of `missing`.
  FinishReadings finish;
};

void read_next(Session& session, const std::shared_ptr<ManyReads>& reads) {
  const std::size_t begin = reads->done;
  const std::size_t end = std::min(reads->missing.size(), begin + storage::kBatchKeysMax);
  if (begin == end) return reads->finish(session, std::move(reads->readings));
  std::vector<std::string> batch;
  for (std::size_t i = begin; i < end; ++i) batch.push_back(std::move(reads->keys[reads->missing[i]]));
  const auto done = [reads, begin, end](Session& resumed, std::vector<cache::Reading>&& readings) {
    for (std::size_t i = begin; i < end; ++i) {
      count_read(resumed, readings[i - begin].present);
      reads->readings[reads->missing[i]] = std::move(readings[i - begin]);
    }
    reads->done = end;
    read_next(resumed, reads);
  };
  session.engine().get_many(std::move(batch), {}, session.defer<std::vector<cache::Reading>>(done));
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

void read_keys(Context& context, std::span<const std::string_view> keys, FinishReadings finish) {
  auto reads = std::make_shared<ManyReads>();
  reads->finish = std::move(finish);
  reads->readings.resize(keys.size());
  reads->keys.reserve(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (!key_fits(context.reply, keys[i])) return;
    reads->keys.emplace_back(keys[i]);
    const auto visit = [&](const cache::HitView& view) {
      auto& reading = reads->readings[i];
      reading.present = view.present;
      reading.value = view.value;
      reading.version = view.version;
      reading.expires_at_ms = view.expires_at_ms;
      reading.source = cache::Source::memory;
    };
    if (context.engine.try_get(keys[i], context.now, visit) == cache::Engine::Lookup::miss) {
      reads->missing.push_back(i);
    } else {
      count_read(context.session, reads->readings[i].present);
    }
  }
  read_next(context.session, reads);
}

void write_key(Context& context, storage::Mutation mutation, FinishMutation finish) {
  if (!key_fits(context.reply, mutation.key)) return;
  const auto kind = mutation.kind;
  std::vector<storage::Mutation> mutations;
  mutations.push_back(std::move(mutation));
  const auto done = [kind, finish = std::move(finish)](Session& session, storage::WriteReply&& reply) {
    auto& outcome = reply.front();
    if (!outcome) return write_mutation_error(session.reply(), kind, outcome.error());
    finish(session, *std::move(outcome));
  };
  context.engine.write(std::move(mutations), false, base::kForever, context.session.defer<storage::WriteReply>(done));
}

void write_mutation_error(protocol::ReplyWriter& reply, storage::MutationKind kind, const Error& error) {
  if (error.code == ErrorCode::wrong_type && kind == storage::MutationKind::increment) return reply.error(kNotAnInteger);
  if (error.code == ErrorCode::out_of_range) {
    return reply.error(kind == storage::MutationKind::increment ? kOverflow : kTooLong);
  }
  write_error(reply, error);
}

void update_key(Context& context, std::string_view key, cache::Decide decide, FinishUpdate finish) {
  if (!key_fits(context.reply, key)) return;
  context.engine.update(std::string(key), std::move(decide), base::kForever,
                        context.session.defer<cache::UpdateOutcome>(std::move(finish)));
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
