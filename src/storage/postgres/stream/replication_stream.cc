// The stream's outside: names are checked, and calls go to the session.
#include "storage/postgres/stream/replication_stream.h"

#include <fmt/format.h>

#include <algorithm>

#include "storage/postgres/stream/session.h"

namespace freshet::storage::postgres {
namespace {

// NAMEDATALEN less the zero at the end.
constexpr std::size_t kNameBytesMax = 63;

bool may_name_a_slot(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; }

}  // namespace

Result<void> ReplicationStream::check(const StreamOptions& options) {
  if (options.slot.empty() || options.slot.size() > kNameBytesMax ||
      !std::all_of(options.slot.begin(), options.slot.end(), may_name_a_slot)) {
    return Error::of(ErrorCode::invalid_argument, fmt::format("'{}' cannot name a replication slot", options.slot),
                     fmt::format("Write 1 to {} of a-z, 0-9 and _.", kNameBytesMax));
  }
  if (options.publication.empty() || options.publication.size() > kNameBytesMax ||
      options.publication.find('\0') != std::string::npos) {
    return Error::of(ErrorCode::invalid_argument, fmt::format("'{}' cannot name a publication", options.publication),
                     fmt::format("Write 1 to {} bytes.", kNameBytesMax));
  }
  return {};
}

ReplicationStream::ReplicationStream(net::Loop& loop, StreamOptions options, StreamHandler& handler)
    : session_(std::make_unique<Session>(loop, std::move(options), handler)) {}

ReplicationStream::~ReplicationStream() = default;

void ReplicationStream::confirm(Lsn position) { session_->confirm(position); }

void ReplicationStream::give_up(const std::string& why) { session_->give_up(why); }

ReplicationStatus ReplicationStream::status() const { return session_->status(); }

}  // namespace freshet::storage::postgres
