// CLIENT and its subcommands.
#include <algorithm>

#include "protocol/number.h"
#include "server/commands/access.h"
#include "server/commands/handlers.h"
#include "server/server.h"
#include "server/worker.h"

namespace freshet::server::handlers {
namespace {

// "on" or "off"; false after an error reply.
bool read_switch(Context& context, bool& value) {
  value = equals_ignoring_case(context.args[2], "on");
  if (value || equals_ignoring_case(context.args[2], "off")) return true;
  context.reply.error(kSyntaxError);
  return false;
}

}  // namespace

void client_id(Context& context) { context.reply.integer(static_cast<std::int64_t>(context.session.info().id)); }

void client_info(Context& context) { context.reply.verbatim("txt", context.session.describe(context.now) + "\n"); }

void client_list(Context& context) {
  const auto args = context.args;
  std::vector<std::uint64_t> ids;
  bool nobody = false;
  if (args.size() == 4 && equals_ignoring_case(args[2], "type")) {
    static constexpr std::string_view kKinds[] = {"normal", "master", "replica", "slave", "pubsub"};
    const auto* known = std::find(std::begin(kKinds), std::end(kKinds), to_lower(args[3]));
    if (known == std::end(kKinds)) {
      return context.reply.error("ERR Unknown client type '" + std::string(args[3].substr(0, 128)) + "'");
    }
    nobody = known != std::begin(kKinds);  // Every client here is a normal one.
  } else if (args.size() > 3 && equals_ignoring_case(args[2], "id")) {
    for (const auto text : args.subspan(3)) {
      const auto id = protocol::parse_integer(text);
      if (!id || *id < 1) return context.reply.error("ERR Invalid client ID");
      ids.push_back(static_cast<std::uint64_t>(*id));
    }
  } else if (args.size() != 2) {
    return context.reply.error(kSyntaxError);
  }
  if (nobody) return context.reply.verbatim("txt", "");
  context.session.worker().server().list_clients(
      std::move(ids), context.session.defer<std::string>([](Session& session, std::string&& lines) {
        session.reply().verbatim("txt", lines);
      }));
}

void client_setname(Context& context) {
  if (!is_client_name(context.args[2])) return context.reply.error(kBadClientName);
  context.session.info().name = context.args[2];
  context.reply.ok();
}

void client_getname(Context& context) {
  const auto& name = context.session.info().name;
  if (name.empty()) return context.reply.null();
  context.reply.bulk(name);
}

void client_setinfo(Context& context) {
  const std::string option = to_lower(context.args[2]);
  if (option != "lib-name" && option != "lib-ver") {
    return context.reply.error("ERR Unrecognized option '" + std::string(context.args[2].substr(0, 128)) + "'");
  }
  if (!is_client_name(context.args[3])) {
    return context.reply.error("ERR " + option + " cannot contain spaces, newlines or special characters.");
  }
  auto& info = context.session.info();
  (option == "lib-name" ? info.library_name : info.library_version) = context.args[3];
  context.reply.ok();
}

void client_no_evict(Context& context) {
  if (read_switch(context, context.session.info().no_evict)) context.reply.ok();
}

void client_no_touch(Context& context) {
  if (read_switch(context, context.session.info().no_touch)) context.reply.ok();
}

}  // namespace freshet::server::handlers
