// Fuzzes the reply parser: any bytes read the same in one piece and in two, within the limits. The first byte chooses the
// cut.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/reply.h"

namespace {

using freshet::protocol::Reply;
using freshet::protocol::ReplyLimits;
using freshet::protocol::ReplyParser;

constexpr ReplyLimits kLimits{.depth_max = 8, .elements_max = 1024, .bytes_max = 65536, .line_bytes_max = 256};

int depth_of(const Reply& reply) {
  int deepest = 0;
  for (const auto& item : reply.items) deepest = std::max(deepest, depth_of(item));
  return reply.items.empty() ? 0 : deepest + 1;
}

struct Outcome {
  std::vector<std::string> replies;
  bool broken = false;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

bool take(ReplyParser& parser, Outcome& outcome) {
  for (;;) {
    auto reply = parser.next();
    if (!reply) return outcome.broken = true, false;
    if (!*reply) return true;
    if (depth_of(**reply) > kLimits.depth_max) std::abort();
    outcome.replies.push_back((*reply)->to_text());
  }
}

Outcome parse(std::string_view input, std::size_t cut) {
  Outcome outcome;
  ReplyParser parser(kLimits);
  parser.feed(input.substr(0, cut));
  if (!take(parser, outcome)) return outcome;
  parser.feed(input.substr(cut));
  take(parser, outcome);
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t cut = input.empty() ? 0 : data[0] * input.size() / 256;
  if (!(parse(input, cut) == parse(input, input.size()))) std::abort();
  return 0;
}
