// CLIENT TRACKING and its kin, and the one channel that can be subscribed to: the one on which RESP2 connections hear
// invalidations.
#include <fmt/format.h>

#include <algorithm>

#include "protocol/number.h"
#include "server/commands/access.h"
#include "server/commands/handlers.h"
#include "server/server.h"
#include "server/tracked_client.h"
#include "server/worker.h"

namespace freshet::server::handlers {
namespace {

constexpr std::size_t kPrefixesMax = 1024;
constexpr std::string_view kNoSuchClient = "ERR The client ID you want redirect to does not exist";

// "REDIRECT id" and so on, after ON or OFF. False after an error reply.
bool read_options(Context& context, TrackingOptions& options) {
  const auto args = context.args;
  for (std::size_t i = 3; i < args.size(); ++i) {
    const bool more = i + 1 < args.size();
    if (equals_ignoring_case(args[i], "redirect") && more) {
      if (options.redirect != 0) {
        return context.reply.error("ERR A client can only redirect to a single other client"), false;
      }
      std::int64_t id = 0;
      if (!read_integer(context.reply, args[++i], id)) return false;
      if (id <= 0) return context.reply.error(kNoSuchClient), false;
      options.redirect = static_cast<std::uint64_t>(id);
    } else if (equals_ignoring_case(args[i], "bcast")) {
      options.broadcast = true;
    } else if (equals_ignoring_case(args[i], "optin")) {
      options.opt_in = true;
    } else if (equals_ignoring_case(args[i], "optout")) {
      options.opt_out = true;
    } else if (equals_ignoring_case(args[i], "noloop")) {
      options.no_loop = true;
    } else if (equals_ignoring_case(args[i], "prefix") && more) {
      options.prefixes.emplace_back(args[++i]);
    } else {
      return context.reply.error(kSyntaxError), false;
    }
  }
  return true;
}

// Two prefixes of one client must not tell it of one key twice. Empty: they do not.
std::string overlap(std::span<const std::string> asked, const TrackedClient* before) {
  const auto meet = [](const std::string& a, const std::string& b) { return a.starts_with(b) || b.starts_with(a); };
  const auto text = [](std::string_view prefix, std::string_view what, std::string_view other) {
    return fmt::format("ERR Prefix '{}' overlaps with {} prefix '{}'. Prefixes for a single client must not overlap.",
                       prefix, what, other);
  };
  for (std::size_t i = 0; i < asked.size(); ++i) {
    for (std::size_t j = 0; before && j < before->options.prefixes.size(); ++j) {
      if (meet(asked[i], before->options.prefixes[j])) return text(asked[i], "an existing", before->options.prefixes[j]);
    }
    for (std::size_t j = i + 1; j < asked.size(); ++j) {
      if (meet(asked[i], asked[j])) return text(asked[i], "another provided", asked[j]);
    }
  }
  return {};
}

// Why these options cannot be together, or after those that stand; empty: they can.
std::string conflict(const TrackingOptions& options, const TrackedClient* before) {
  constexpr std::string_view kSwitch =
      "ERR You can't switch {} mode{} before disabling tracking for this client, and then re-enabling it with a "
      "different mode.";
  if (!options.prefixes.empty() && !options.broadcast) {
    return "ERR PREFIX option requires BCAST mode to be enabled";
  }
  const std::size_t standing = before ? before->options.prefixes.size() : 0;
  if (options.prefixes.size() + standing > kPrefixesMax) {
    return fmt::format("ERR at most {} prefixes are allowed", kPrefixesMax);
  }
  if (before && before->options.broadcast != options.broadcast) return fmt::format(kSwitch, "BCAST", " on/off");
  if (options.broadcast && (options.opt_in || options.opt_out)) return "ERR OPTIN and OPTOUT are not compatible with BCAST";
  if (options.opt_in && options.opt_out) return "ERR You can't specify both OPTIN mode and OPTOUT mode";
  if (before && ((options.opt_in && before->options.opt_out) || (options.opt_out && before->options.opt_in))) {
    return fmt::format(kSwitch, "OPTIN/OPTOUT", "");
  }
  return overlap(options.prefixes, before);
}

void turn_on(Context& context, TrackingOptions options) {
  const TrackedClient* before = context.session.tracked();
  if (const auto why = conflict(options, before); !why.empty()) return context.reply.error(why);
  if (before) {
    options.prefixes.insert(options.prefixes.begin(), before->options.prefixes.begin(), before->options.prefixes.end());
  }
  if (options.redirect == 0) {
    context.session.start_tracking(std::move(options));
    return context.reply.ok();
  }
  auto& server = context.session.worker().server();
  const auto target = options.redirect;
  auto done = context.session.defer<bool>([options](Session& session, bool exists) {
    if (!exists) return session.reply().error(kNoSuchClient);
    session.start_tracking(options);
    session.reply().ok();
  });
  server.worker_of(target).loop().post(
      [&server, target, done = std::move(done)] { done(server.worker_of(target).find(target) != nullptr); });
}

std::vector<std::string_view> flags_of(const TrackedClient* tracked) {
  if (!tracked) return {"off"};
  std::vector<std::string_view> flags{"on"};
  if (tracked->options.broadcast) flags.push_back("bcast");
  if (tracked->options.opt_in) flags.push_back("optin");
  if (tracked->next == TrackedClient::Next::yes) flags.push_back("caching-yes");
  if (tracked->options.opt_out) flags.push_back("optout");
  if (tracked->next == TrackedClient::Next::no) flags.push_back("caching-no");
  if (tracked->options.no_loop) flags.push_back("noloop");
  if (tracked->redirect_broken) flags.push_back("broken_redirect");
  return flags;
}

std::int64_t redirection_of(const TrackedClient* tracked) {
  return tracked ? static_cast<std::int64_t>(tracked->options.redirect) : -1;
}

// What SUBSCRIBE and UNSUBSCRIBE answer for each channel.
void tell_subscription(Context& context, std::string_view word, std::string_view channel) {
  auto& reply = context.reply;
  reply.push(3);
  reply.bulk(word);
  if (channel.empty()) {
    reply.null();
  } else {
    reply.bulk(channel);
  }
  reply.integer(context.session.subscribed() ? 1 : 0);
}

}  // namespace

void client_tracking(Context& context) {
  TrackingOptions options;
  const bool on = equals_ignoring_case(context.args[2], "on");
  if (!read_options(context, options)) return;
  if (on) return turn_on(context, std::move(options));
  if (!equals_ignoring_case(context.args[2], "off")) return context.reply.error(kSyntaxError);
  context.session.stop_tracking();
  context.reply.ok();
}

void client_caching(Context& context) {
  TrackedClient* tracked = context.session.tracked();
  if (!tracked || (!tracked->options.opt_in && !tracked->options.opt_out)) {
    return context.reply.error(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled");
  }
  if (equals_ignoring_case(context.args[2], "yes")) {
    if (!tracked->options.opt_in) {
      return context.reply.error("ERR CLIENT CACHING YES is only valid when tracking is enabled in OPTIN mode.");
    }
    tracked->next = TrackedClient::Next::yes;
  } else if (equals_ignoring_case(context.args[2], "no")) {
    if (!tracked->options.opt_out) {
      return context.reply.error("ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.");
    }
    tracked->next = TrackedClient::Next::no;
  } else {
    return context.reply.error(kSyntaxError);
  }
  context.reply.ok();
}

void client_trackinginfo(Context& context) {
  auto& reply = context.reply;
  const TrackedClient* tracked = context.session.tracked();
  const auto flags = flags_of(tracked);
  reply.map(3);
  reply.bulk("flags");
  reply.set(flags.size());
  for (const auto flag : flags) reply.bulk(flag);
  reply.bulk("redirect");
  reply.integer(redirection_of(tracked));
  reply.bulk("prefixes");
  reply.array(tracked ? tracked->options.prefixes.size() : 0);
  if (!tracked) return;
  for (const auto& prefix : tracked->options.prefixes) reply.bulk(prefix);
}

void client_getredir(Context& context) { context.reply.integer(redirection_of(context.session.tracked())); }

void subscribe(Context& context) {
  const auto channels = context.args.subspan(1);
  if (std::any_of(channels.begin(), channels.end(), [](const auto channel) { return channel != kInvalidateChannel; })) {
    return context.reply.error(
        fmt::format("ERR publish and subscribe are not offered: the only channel is {}, for CLIENT TRACKING with REDIRECT",
                    kInvalidateChannel));
  }
  context.session.set_subscribed(true);
  for (const auto channel : channels) tell_subscription(context, "subscribe", channel);
}

void unsubscribe(Context& context) {
  const auto channels = context.args.subspan(1);
  const bool leaves =
      channels.empty() || std::find(channels.begin(), channels.end(), kInvalidateChannel) != channels.end();
  const bool was = context.session.subscribed();
  if (leaves) context.session.set_subscribed(false);
  if (channels.empty()) return tell_subscription(context, "unsubscribe", was ? kInvalidateChannel : std::string_view());
  for (const auto channel : channels) tell_subscription(context, "unsubscribe", channel);
}

}  // namespace freshet::server::handlers
