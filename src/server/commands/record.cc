// FRESHET.RECORD: turns the connection into one that is sent what all the others access.
#include "protocol/number.h"
#include "server/commands/access.h"
#include "server/commands/handlers.h"
#include "server/server.h"
#include "server/worker.h"

namespace freshet::server::handlers {
namespace {

constexpr std::string_view kRateExpected = "ERR the share of keys to record must be above 0 and at most 1";

// False after an error reply.
bool read_rate(Context& context, double& rate) {
  const auto args = context.args;
  if (args.size() == 1) return true;
  if (args.size() != 3 || !equals_ignoring_case(args[1], "sample")) return context.reply.error(kSyntaxError), false;
  const auto text = args[2];
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rate);
  if (error == std::errc() && end == text.data() + text.size() && rate > 0 && rate <= 1) return true;
  return context.reply.error(kRateExpected), false;
}

}  // namespace

void freshet_record(Context& context) {
  double rate = 1;
  if (!read_rate(context, rate)) return;
  Session& session = context.session;
  auto& server = session.worker().server();
  const auto recording = server.recordings().start(session.info().id, rate);
  if (!recording) return write_error(context.reply, recording.error());
  session.start_recording(*recording);
  server.join_recording(*recording, session.defer<bool>([](Session& resumed, bool) {
    resumed.reply().ok();
    resumed.begin_batches();
  }));
}

}  // namespace freshet::server::handlers
