// The transactions family: MULTI, EXEC, DISCARD, WATCH, UNWATCH. What is queued stands in server/transaction.h.
#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "server/commands/access.h"
#include "server/commands/handlers.h"
#include "server/transaction.h"

namespace freshet::server::handlers {
namespace {

using Readings = std::map<std::string, cache::Reading, std::less<>>;

// EXEC on its way.
struct Executing {
  std::vector<QueuedCommand> commands;
  std::map<std::string, WatchMark, std::less<>> watched;
  std::vector<std::string> guarded;    // Keys of the transaction, watched ones included,
  std::vector<std::string> observed;   // and those that are only read, beside it.
  std::shared_ptr<cache::Transaction> transaction;
  Readings readings;
};

void gather_keys(const cache::Engine& engine, Executing& executing) {
  std::vector<std::string> keys;
  keys.reserve(executing.commands.size() + executing.watched.size());
  std::vector<std::string_view> args;
  for (const auto& queued : executing.commands) {
    queued.view(args);
    queued.command->for_each_key(args, [&](std::string_view key) {
      keys.emplace_back(key);
      return true;
    });
  }
  for (const auto& [key, mark] : executing.watched) keys.push_back(key);
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  for (auto& key : keys) {
    const bool guarded = cache::is_guarded(engine.kind_of(key));
    (guarded ? executing.guarded : executing.observed).push_back(std::move(key));
  }
}

bool has_changed(const Executing& executing) {
  return std::any_of(executing.watched.begin(), executing.watched.end(), [&](const auto& watched) {
    const auto now = executing.readings.find(watched.first);
    return now == executing.readings.end() || WatchMark::of(now->second) != watched.second;
  });
}

void execute(Session& session, Executing& executing) {
  if (has_changed(executing)) return session.reply().null_array();
  auto run = std::make_shared<TransactionRun>(std::move(executing.commands), std::move(executing.transaction),
                                              session.engine(), std::move(executing.readings));
  run->execute(session);
}

void read_observed(Session& session, const std::shared_ptr<Executing>& executing) {
  if (executing->observed.empty()) return execute(session, *executing);
  const auto done = [executing](Session& resumed, std::vector<cache::Reading>&& readings) {
    for (std::size_t i = 0; i < readings.size(); ++i) {
      resumed.level().saw(readings[i].position);
      executing->readings.emplace(executing->observed[i], std::move(readings[i]));
    }
    execute(resumed, *executing);
  };
  // What is watched is compared as it is now.
  const cache::ReadOptions newest{storage::Level::linearizable, 0, {}, base::kForever};
  session.engine().get_many(executing->observed, executing->watched.empty() ? session.level().options() : newest,
                            session.defer<std::vector<cache::Reading>>(done));
}

void begin(Session& session, const std::shared_ptr<Executing>& executing) {
  const auto done = [executing](Session& resumed, std::shared_ptr<cache::Transaction>&& transaction) {
    if (transaction) executing->readings = transaction->take_readings();
    executing->transaction = std::move(transaction);
    read_observed(resumed, executing);
  };
  session.engine().begin(executing->guarded, base::kForever, session.defer<std::shared_ptr<cache::Transaction>>(done));
}

}  // namespace

void multi(Context& context) {
  auto& queued = context.session.queued();
  if (queued.is_open()) return context.reply.error("ERR MULTI calls can not be nested");
  queued.open();
  context.reply.ok();
}

void discard(Context& context) {
  auto& queued = context.session.queued();
  if (!queued.is_open()) return context.reply.error("ERR DISCARD without MULTI");
  queued.clear();
  context.reply.ok();
}

void exec(Context& context) {
  auto& queued = context.session.queued();
  if (!queued.is_open()) return context.reply.error("ERR EXEC without MULTI");
  const auto executing = std::make_shared<Executing>();
  executing->commands = queued.take_commands();
  executing->watched = std::move(queued.watched());
  const bool spoilt = queued.is_spoilt();
  queued.clear();
  if (spoilt) return context.reply.error("EXECABORT Transaction discarded because of previous errors.");
  gather_keys(context.engine, *executing);
  std::vector<std::string_view> args;
  for (const auto& each : executing->commands) {
    each.view(args);
    context.session.track_reads(*each.command, args);
  }
  if (executing->guarded.size() > storage::kBatchKeysMax) {
    return context.reply.error(
        fmt::format("EXECABORT Transaction discarded: at most {} keys go into one", storage::kBatchKeysMax));
  }
  if (executing->guarded.empty()) return read_observed(context.session, executing);
  begin(context.session, executing);
}

void watch(Context& context) {
  auto& queued = context.session.queued();
  if (queued.is_open()) return context.reply.error("ERR WATCH inside MULTI is not allowed");
  const auto keys = context.args.subspan(1);
  if (queued.watched().size() + keys.size() > kWatchedKeysMax) {
    return context.reply.error(fmt::format("ERR at most {} keys can be watched", kWatchedKeysMax));
  }
  for (const auto key : keys) {
    if (!key_fits(context.reply, key)) return;
  }
  // A key that is watched already stays as it was first seen.
  const auto done = [names = std::vector<std::string>(keys.begin(), keys.end())](Session& session,
                                                                                std::vector<cache::Reading>&& readings) {
    for (std::size_t i = 0; i < names.size(); ++i) session.queued().watched().emplace(names[i], WatchMark::of(readings[i]));
    session.reply().ok();
  };
  context.engine.get_many({keys.begin(), keys.end()}, {storage::Level::linearizable, 0, {}, base::kForever},
                          context.session.defer<std::vector<cache::Reading>>(done));
}

void unwatch(Context& context) {
  context.session.queued().watched().clear();
  context.reply.ok();
}

}  // namespace freshet::server::handlers
