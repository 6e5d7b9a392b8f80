// What a tracking connection is told, and when.
#include "server/tracked_client.h"

#include <utility>

namespace freshet::server {

bool TrackedClient::remembers() const {
  if (options.opt_in) return next == Next::yes;
  if (options.opt_out) return next != Next::no;
  return true;
}

void TrackedClient::step_taken(bool waits, bool is_client_command) {
  if (waits) {
    for (auto& key : read_) expected_.insert(std::move(key));
  }
  read_.clear();
  if (!is_client_command) next = Next::as_usual;
}

Invalidation TrackedClient::hold_back(Invalidation told) {
  if (expected_.empty()) return told;
  if (told.everything) {
    held_.add_everything();
    return told;
  }
  Invalidation now;
  for (const auto& key : told.keys) (expected_.contains(key) ? held_ : now).add(key);
  return now;
}

Invalidation TrackedClient::release() {
  expected_.clear();
  return std::exchange(held_, {});
}

void write_invalidation(protocol::ReplyWriter& reply, const Invalidation& told) {
  if (reply.version() >= 3) {
    reply.push(2);
    reply.bulk("invalidate");
  } else {
    reply.array(3);
    reply.bulk("message");
    reply.bulk(kInvalidateChannel);
  }
  if (told.everything) return reply.null();
  reply.array(told.keys.size());
  for (const auto& key : told.keys) reply.bulk(key);
}

}  // namespace freshet::server
