// Endpoints as text.
#include "server/options.h"

#include "protocol/number.h"

namespace freshet::server {
namespace {

Error bad_endpoint(std::string_view text) {
  return Error::of(ErrorCode::invalid_argument, "'" + std::string(text) + "' is no address to listen on",
                   "write HOST:PORT, [IPV6-ADDRESS]:PORT, or :PORT for every address");
}

}  // namespace

std::string Endpoint::to_text() const {
  const bool brackets = host.find(':') != std::string::npos;
  return (brackets ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

bool Endpoint::is_loopback() const { return host == "localhost" || host == "::1" || host.starts_with("127."); }

Result<Endpoint> parse_endpoint(std::string_view text) {
  const auto colon = text.rfind(':');
  if (colon == text.npos) return bad_endpoint(text);
  std::string_view host = text.substr(0, colon);
  const auto port = protocol::parse_integer(text.substr(colon + 1));
  if (!port || *port < 0 || *port > UINT16_MAX) return bad_endpoint(text);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != host.npos) {
    return bad_endpoint(text);
  }
  if (host == "*") host = {};
  return Endpoint{std::string(host), static_cast<std::uint16_t>(*port)};
}

}  // namespace freshet::server
