// What the server tells about itself and its commands: COMMAND, CONFIG, TIME, and the HELP of containers.
#include <fmt/format.h>

#include <algorithm>

#include "server/commands/access.h"
#include "server/commands/glob.h"
#include "server/commands/handlers.h"
#include "server/commands/table.h"
#include "server/server.h"
#include "server/worker.h"

namespace freshet::server::handlers {
namespace {

using protocol::ReplyWriter;

constexpr std::pair<std::uint32_t, std::string_view> kFlagNames[] = {
    {kReadonly, "readonly"}, {kWrite, "write"}, {kFast, "fast"}, {kNoAuth, "no_auth"}, {kAdmin, "admin"},
};

std::vector<std::string_view> flags_of(const Command& command) {
  std::vector<std::string_view> flags;
  for (const auto& [flag, name] : kFlagNames) {
    if (command.has(flag)) flags.push_back(name);
  }
  return flags;
}

std::vector<std::string> categories_of(const Command& command) {
  std::vector<std::string> categories;
  if (command.has(kReadonly)) categories.push_back("@read");
  if (command.has(kWrite)) categories.push_back("@write");
  const auto group = command.group == "generic" ? "keyspace" : command.group;
  if (group != "server") categories.push_back(fmt::format("@{}", group));
  if (command.has(kAdmin)) categories.insert(categories.end(), {"@admin", "@dangerous"});
  categories.push_back(command.has(kFast) ? "@fast" : "@slow");
  return categories;
}

std::vector<const Command*> subcommands_of(const Command& container) {
  std::vector<const Command*> found;
  for (const Command& each : command_table().all()) {
    if (each.name.starts_with(std::string(container.name) + "|")) found.push_back(&each);
  }
  return found;
}

std::vector<const Command*> commands_proper() {
  std::vector<const Command*> found;
  for (const Command& each : command_table().all()) {
    if (!each.is_subcommand()) found.push_back(&each);
  }
  return found;
}

// "get", or "client|list".
const Command* find_by_full_name(std::string_view name) {
  const auto bar = name.find('|');
  const Command* command = command_table().find(name.substr(0, bar));
  if (bar == name.npos || !command) return command;
  return command->has(kContainer) ? command_table().find_subcommand(*command, name.substr(bar + 1)) : nullptr;
}

// The ten fields of COMMAND INFO.
void write_info(ReplyWriter& reply, const Command& command) {
  reply.array(10);
  reply.bulk(command.name);
  reply.integer(command.arity);
  const auto flags = flags_of(command);
  reply.set(flags.size());
  for (const auto flag : flags) reply.simple(flag);
  reply.integer(command.first_key);
  reply.integer(command.last_key);
  reply.integer(command.key_step);
  const auto categories = categories_of(command);
  reply.set(categories.size());
  for (const auto& category : categories) reply.simple(category);
  reply.array(0);  // Tips.
  reply.array(0);  // Key specifications: the three integers above say it all.
  const auto subcommands = subcommands_of(command);
  reply.array(subcommands.size());
  for (const Command* each : subcommands) write_info(reply, *each);
}

// A name and a map, as COMMAND DOCS wants it.
void write_docs(ReplyWriter& reply, const Command& command) {
  const auto subcommands = subcommands_of(command);
  reply.bulk(command.name);
  reply.map(subcommands.empty() ? 3 : 4);
  reply.bulk("summary");
  reply.bulk(command.summary);
  reply.bulk("since");
  reply.bulk(command.since);
  reply.bulk("group");
  reply.bulk(command.group);
  if (subcommands.empty()) return;
  reply.bulk("subcommands");
  reply.map(subcommands.size());
  for (const Command* each : subcommands) write_docs(reply, *each);
}

}  // namespace

void time(Context& context) {
  const auto now_ms = context.engine.database_now_ms();
  context.reply.array(2);
  context.reply.bulk(std::to_string(now_ms / 1000));
  context.reply.bulk(std::to_string(now_ms % 1000 * 1000));
}

void container_help(Context& context) {
  const Command& container = *command_table().find(context.args[0]);
  std::vector<std::string> lines;
  lines.push_back(to_upper(container.name) + " <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  for (const Command* each : subcommands_of(container)) {
    const std::string name = to_upper(each->name.substr(container.name.size() + 1));
    lines.push_back(each->syntax.empty() ? name : fmt::format("{} {}", name, each->syntax));
    lines.push_back(fmt::format("    {}", each->summary));
  }
  context.reply.array(lines.size());
  for (const auto& line : lines) context.reply.simple(line);
}

void command(Context& context) {
  const auto all = commands_proper();
  context.reply.array(all.size());
  for (const Command* each : all) write_info(context.reply, *each);
}

void command_count(Context& context) { context.reply.integer(static_cast<std::int64_t>(commands_proper().size())); }

void command_info(Context& context) {
  const auto names = context.args.subspan(2);
  if (names.empty()) return command(context);
  context.reply.array(names.size());
  for (const auto name : names) {
    if (const Command* found = find_by_full_name(name)) {
      write_info(context.reply, *found);
    } else {
      context.reply.null_array();
    }
  }
}

void command_docs(Context& context) {
  std::vector<const Command*> chosen;
  for (const auto name : context.args.subspan(2)) {
    if (const Command* found = find_by_full_name(name)) chosen.push_back(found);
  }
  if (context.args.size() == 2) chosen = commands_proper();
  context.reply.map(chosen.size());
  for (const Command* each : chosen) write_docs(context.reply, *each);
}

void config_get(Context& context) {
  const auto patterns = context.args.subspan(2);
  std::vector<std::pair<std::string, std::string>> found;
  for (auto& setting : context.session.worker().server().settings().list()) {
    const auto matches = [&](std::string_view pattern) { return glob_matches(pattern, setting.first, true); };
    if (std::any_of(patterns.begin(), patterns.end(), matches)) found.push_back(std::move(setting));
  }
  context.reply.map(found.size());
  for (const auto& [name, text] : found) {
    context.reply.bulk(name);
    context.reply.bulk(text);
  }
}

void freshet_reload(Context& context) {
  const auto done = [](Session& session, std::vector<std::string>&& lines) {
    session.reply().array(lines.size());
    for (const auto& line : lines) session.reply().bulk(line);
  };
  context.session.worker().server().settings().reload(context.session.defer<std::vector<std::string>>(done));
}

void config_set(Context& context) {
  const auto pairs = context.args.subspan(2);
  if (pairs.size() % 2 != 0) return context.reply.error(wrong_arity_text("config|set"));
  auto& settings = context.session.worker().server().settings();
  for (std::size_t i = 0; i < pairs.size(); i += 2) {
    const auto set = settings.set(to_lower(pairs[i]), pairs[i + 1]);
    if (set) continue;
    const auto& error = set.error();
    return context.reply.error(fmt::format("ERR CONFIG SET failed (possibly related to argument '{}') - {}{}{}",
                                           pairs[i].substr(0, 128), error.what, error.remedy.empty() ? "" : "; ",
                                           error.remedy));
  }
  context.reply.ok();
}

void config_resetstat(Context& context) {
  context.session.worker().server().reset_counters(
      context.session.defer<bool>([](Session& session, bool) { session.reply().ok(); }));
}

}  // namespace freshet::server::handlers
