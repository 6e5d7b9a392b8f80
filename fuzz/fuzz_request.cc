// Fuzzes the request parser: any bytes parse the same in one piece and in two, arguments lie where they should, and nothing
// is consumed beyond the input. The first byte chooses the limits and the cut.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/request.h"

namespace {

using freshet::protocol::RequestLimits;
using freshet::protocol::RequestParser;

struct Outcome {
  std::vector<std::vector<std::string>> commands;
  std::string error;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// True while more input may help.
bool take(RequestParser& parser, std::string& pending, const RequestLimits& limits, bool authenticated, Outcome& outcome) {
  for (;;) {
    const auto status = parser.parse(pending, limits, authenticated);
    if (status == RequestParser::Status::incomplete) return true;
    if (status == RequestParser::Status::broken) return outcome.error = parser.error(), false;
    if (parser.consumed() == 0 || parser.consumed() > pending.size()) std::abort();
    if (status == RequestParser::Status::complete) {
      if (parser.arguments().empty()) std::abort();
      auto& words = outcome.commands.emplace_back();
      for (const auto argument : parser.arguments()) words.emplace_back(argument);
    }
    pending.erase(0, parser.consumed());
    parser.reset();
  }
}

Outcome parse(std::string_view input, std::size_t cut, const RequestLimits& limits, bool authenticated) {
  Outcome outcome;
  RequestParser parser;
  std::string pending(input.substr(0, cut));
  if (!take(parser, pending, limits, authenticated, outcome)) return outcome;
  pending.append(input.substr(cut));
  pending.shrink_to_fit();
  take(parser, pending, limits, authenticated, outcome);
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  RequestLimits limits;
  if (data[0] & 1) limits = {.arguments_max = 8, .bulk_bytes_max = 64, .inline_bytes_max = 32};
  const bool authenticated = data[0] & 2;
  const std::size_t cut = input.empty() ? 0 : (data[0] >> 2) * input.size() / 64;
  if (!(parse(input, cut, limits, authenticated) == parse(input, input.size(), limits, authenticated))) std::abort();
  return 0;
}
