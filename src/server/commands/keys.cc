// The generic family: DEL, EXISTS, TYPE, SCAN, KEYS, DBSIZE, and what is refused: FLUSHALL, FLUSHDB.
#include <algorithm>
#include <charconv>
#include <memory>
#include <unordered_set>

#include "protocol/number.h"
#include "server/commands/access.h"
#include "server/commands/glob.h"
#include "server/commands/handlers.h"
#include "server/server.h"
#include "server/worker.h"

namespace freshet::server::handlers {
namespace {

using cache::HitView;
using protocol::ReplyWriter;
using storage::Mutation;

constexpr std::int64_t kScanCountDefault = 10;
// SCAN's COUNT is cut to this, so that one call does bounded work in storage.
constexpr std::int64_t kScanCountMax = 10'000;
// What KEYS reads from storage in one step.
constexpr std::size_t kKeysStep = 1024;

// A deletion in batches of what one transaction of storage takes.
struct Deletion {
  std::vector<std::string> keys;
  std::size_t done = 0;
  std::int64_t deleted = 0;
};

void delete_next(Session& session, const std::shared_ptr<Deletion>& deletion) {
  const std::size_t end = std::min(deletion->keys.size(), deletion->done + storage::kBatchKeysMax);
  std::vector<Mutation> mutations;
  for (std::size_t i = deletion->done; i < end; ++i) {
    Mutation& mutation = mutations.emplace_back();
    mutation.kind = storage::MutationKind::erase;
    mutation.key = std::move(deletion->keys[i]);
    mutation.condition = storage::Condition::if_present;
  }
  deletion->done = end;
  const auto done = [deletion](Session& resumed, storage::WriteReply&& reply) {
    for (const auto& outcome : reply) {
      if (!outcome) return write_error(resumed.reply(), outcome.error());
      resumed.access_answered(AccessKind::erase, outcome->after.value.size());
      deletion->deleted += outcome->applied;
    }
    if (deletion->done < deletion->keys.size()) return delete_next(resumed, deletion);
    resumed.reply().integer(deletion->deleted);
  };
  session.engine().write(std::move(mutations), false, base::kForever, session.defer<storage::WriteReply>(done));
}

// What SCAN and KEYS ask for.
struct ScanFilter {
  std::string pattern = "*";
  std::optional<std::string> type;  // In lower case; nullopt: any.

  bool takes(const storage::ScanReply::Key& key, std::int64_t database_ms) const {
    const bool live = key.expires_at_ms == 0 || key.expires_at_ms > database_ms;
    const bool typed = !type || *type == (key.kind == cache::ValueKind::hash ? "hash" : "string");
    return live && typed && (pattern == "*" || glob_matches(pattern, key.key));
  }
};

// False after an error reply.
bool read_scan_options(Context& context, ScanFilter& filter, std::int64_t& count) {
  const auto args = context.args;
  for (std::size_t i = 2; i < args.size(); i += 2) {
    if (i + 1 == args.size()) return context.reply.error(kSyntaxError), false;
    if (equals_ignoring_case(args[i], "count")) {
      if (!read_integer(context.reply, args[i + 1], count)) return false;
      if (count < 1) return context.reply.error(kSyntaxError), false;
    } else if (equals_ignoring_case(args[i], "match")) {
      filter.pattern = args[i + 1];
    } else if (equals_ignoring_case(args[i], "type")) {
      filter.type = to_lower(args[i + 1]);
    } else {
      return context.reply.error(kSyntaxError), false;
    }
  }
  count = std::min(count, kScanCountMax);
  return true;
}

// KEYS in progress. What it has found is held until the end: its number opens the reply.
struct KeyListing {
  ScanFilter filter;
  std::vector<std::string> keys;
  std::size_t bytes = 0;
};

void list_next(Session& session, const std::shared_ptr<KeyListing>& listing, std::uint64_t position) {
  const auto done = [listing](Session& resumed, storage::ScanReply&& reply) {
    for (auto& key : reply.keys) {
      if (!listing->filter.takes(key, reply.database_ms)) continue;
      listing->bytes += key.key.size() + sizeof(std::string);
      listing->keys.push_back(std::move(key.key));
    }
    const std::size_t limit = resumed.worker().server().options().output_buffer_bytes_max / 2;
    if (listing->bytes > limit) return resumed.reply().error("ERR KEYS found too many keys for one reply; use SCAN");
    if (reply.next != storage::kPositionEnd) return list_next(resumed, listing, reply.next);
    resumed.reply().array(listing->keys.size());
    for (const auto& key : listing->keys) resumed.reply().bulk(key);
  };
  session.engine().scan(position, kKeysStep, base::kForever, session.defer<storage::ScanReply>(done));
}

}  // namespace

void del(Context& context) {
  auto deletion = std::make_shared<Deletion>();
  std::unordered_set<std::string_view> seen;
  for (const auto key : context.args.subspan(1)) {
    if (!key_fits(context.reply, key)) return;
    if (!seen.insert(key).second) continue;
    deletion->keys.emplace_back(key);
    context.session.expect_access(key);
  }
  delete_next(context.session, deletion);
}

void exists(Context& context) {
  if (context.args.size() == 2) {
    return read_key(context, context.args[1],
                    [](ReplyWriter& reply, const HitView& view) { reply.integer(view.present ? 1 : 0); });
  }
  read_keys(context, context.args.subspan(1), [](Session& session, std::vector<cache::Reading>&& readings) {
    session.reply().integer(std::count_if(readings.begin(), readings.end(), [](const auto& each) { return each.present; }));
  });
}

void type(Context& context) {
  read_key(context, context.args[1], [](ReplyWriter& reply, const HitView& view) {
    if (!view.present) return reply.simple("none");
    const bool is_row = view.shape && !view.shape->is_query;
    reply.simple(is_row || view.kind == cache::ValueKind::hash ? "hash" : "string");
  });
}

void scan(Context& context) {
  std::uint64_t cursor = 0;
  const auto text = context.args[1];
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cursor);
  if (error != std::errc() || end != text.data() + text.size()) return context.reply.error("ERR invalid cursor");
  ScanFilter filter;
  std::int64_t count = kScanCountDefault;
  if (!read_scan_options(context, filter, count)) return;
  const auto done = [filter](Session& session, storage::ScanReply&& found) {
    auto& reply = session.reply();
    const auto taken = [&](const auto& key) { return filter.takes(key, found.database_ms); };
    reply.array(2);
    reply.bulk(std::to_string(found.next == storage::kPositionEnd ? 0 : found.next));
    reply.array(static_cast<std::size_t>(std::count_if(found.keys.begin(), found.keys.end(), taken)));
    for (const auto& key : found.keys) {
      if (taken(key)) reply.bulk(key.key);
    }
  };
  // A cursor past the end belongs to no scan of ours: it ends at once, as in Redis.
  const auto position = std::min(cursor, storage::kPositionEnd);
  context.engine.scan(position, static_cast<std::size_t>(count), base::kForever,
                      context.session.defer<storage::ScanReply>(done));
}

void keys(Context& context) {
  auto listing = std::make_shared<KeyListing>();
  listing->filter.pattern = context.args[1];
  list_next(context.session, listing, 0);
}

void dbsize(Context& context) {
  context.engine.count(base::kForever,
                       context.session.defer<storage::KeyCount>([](Session& session, storage::KeyCount&& count) {
                         session.reply().integer(static_cast<std::int64_t>(count.keys));
                       }));
}

void flush_refused(Context& context) {
  context.reply.error(
      "ERR Freshet never empties the database behind it; to drop cached data use FRESHET.EVICT PATTERN *, to delete keys "
      "use "
      "SCAN and DEL, to empty the store use the database itself");
}

}  // namespace freshet::server::handlers
