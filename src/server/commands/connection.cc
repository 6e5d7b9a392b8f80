// Commands about the connection: PING, ECHO, HELLO, AUTH, SELECT, RESET, QUIT.
#include "protocol/number.h"
#include "server/commands/access.h"
#include "server/commands/handlers.h"
#include "server/server.h"
#include "server/version.h"
#include "server/worker.h"

namespace freshet::server::handlers {
namespace {

constexpr std::string_view kWrongPassword = "WRONGPASS invalid username-password pair or user is disabled.";
constexpr std::string_view kHelloFirst =
    "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> "
    "option "
    "can be used to authenticate the client and select the RESP protocol version at the same time";

// Checks the password for the only user, "default". An error reply on failure.
bool log_in(Context& context, std::string_view user, std::string_view password) {
  const auto& server = context.session.worker().server();
  // Without a password every one is right for the default user, as in Redis.
  const bool known = user == "default" && (server.options().password.empty() || server.password_matches(password));
  if (!known) return context.reply.error(kWrongPassword), false;
  context.session.info().authenticated = true;
  return true;
}

void describe_server(Context& context) {
  auto& reply = context.reply;
  reply.map(7);
  reply.bulk("server");
  reply.bulk("freshet");
  reply.bulk("version");
  reply.bulk(kRedisVersion);
  reply.bulk("proto");
  reply.integer(reply.version());
  reply.bulk("id");
  reply.integer(static_cast<std::int64_t>(context.session.info().id));
  reply.bulk("mode");
  reply.bulk("standalone");
  reply.bulk("role");
  reply.bulk("master");
  reply.bulk("modules");
  reply.array(0);
}

}  // namespace

void ping(Context& context) {
  if (context.args.size() > 2) return context.reply.error(wrong_arity_text("ping"));
  const auto message = context.args.size() == 2 ? context.args[1] : std::string_view();
  if (context.session.subscribed() && context.reply.version() < 3) {
    context.reply.array(2);
    context.reply.bulk("pong");
    return context.reply.bulk(message);
  }
  if (context.args.size() == 2) return context.reply.bulk(message);
  context.reply.simple("PONG");
}

void echo(Context& context) { context.reply.bulk(context.args[1]); }

void hello(Context& context) {
  const auto args = context.args;
  int version = context.reply.version();
  if (args.size() > 1) {
    const auto asked = protocol::parse_integer(args[1]);
    if (!asked) return context.reply.error("ERR Protocol version is not an integer or out of range");
    if (*asked != 2 && *asked != 3) return context.reply.error("NOPROTO unsupported protocol version");
    version = static_cast<int>(*asked);
  }
  std::string_view name;
  bool named = false;
  for (std::size_t i = 2; i < args.size(); ++i) {
    const std::size_t left = args.size() - 1 - i;
    if (equals_ignoring_case(args[i], "auth") && left >= 2) {
      if (!log_in(context, args[i + 1], args[i + 2])) return;
      i += 2;
    } else if (equals_ignoring_case(args[i], "setname") && left >= 1) {
      name = args[++i];
      named = true;
      if (!is_client_name(name)) return context.reply.error(kBadClientName);
    } else {
      return context.reply.error("ERR Syntax error in HELLO option '" + std::string(args[i].substr(0, 128)) + "'");
    }
  }
  if (context.session.authentication_needed()) return context.reply.error(kHelloFirst);
  if (named) context.session.info().name = name;
  context.reply.set_version(version);
  describe_server(context);
}

void auth(Context& context) {
  const auto args = context.args;
  if (args.size() > 3) return context.reply.error(kSyntaxError);
  if (args.size() == 2 && context.session.worker().server().options().password.empty()) {
    return context.reply.error(
        "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration "
        "is "
        "correct?");
  }
  if (log_in(context, args.size() == 3 ? args[1] : "default", args.back())) context.reply.ok();
}

void select(Context& context) {
  std::int64_t index = 0;
  if (!read_integer(context.reply, context.args[1], index)) return;
  if (index != 0) return context.reply.error("ERR DB index is out of range");
  context.reply.ok();
}

void reset(Context& context) {
  context.session.reset();
  context.reply.simple("RESET");
}

void quit(Context& context) {
  context.reply.ok();
  context.session.close_after_replies();
}

}  // namespace freshet::server::handlers
