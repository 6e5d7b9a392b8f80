// Reading and judging snapshots. See storage/snapshot.h.
#include "storage/snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace freshet::storage {
namespace {

// A snapshot names at most the server's connections and prepared transactions; far more is no snapshot.
constexpr std::size_t kInProgressMax = 1 << 20;

// Takes a number off the front of `text`.
template <typename Number>
std::optional<Number> take_number(std::string_view& text, int radix) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, radix);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

bool take(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

Error not_a(const char* kind, std::string_view text) {
  return Error::of(ErrorCode::invalid_argument, fmt::format("'{}' is no {} of PostgreSQL's", text.substr(0, 64), kind));
}

}  // namespace

Result<Lsn> parse_lsn(std::string_view text) {
  auto rest = text;
  const auto high = take_number<std::uint32_t>(rest, 16);
  if (!high || !take(rest, '/')) return not_a("log position", text);
  const auto low = take_number<std::uint32_t>(rest, 16);
  if (!low || !rest.empty()) return not_a("log position", text);
  return static_cast<Lsn>(*high) << 32 | *low;
}

std::string text_of_lsn(Lsn lsn) { return fmt::format("{:X}/{:X}", lsn >> 32, lsn & UINT32_MAX); }

Snapshot::Snapshot(FullXid xmin, FullXid xmax, std::vector<FullXid> in_progress)
    : xmin_(xmin), xmax_(xmax), in_progress_(std::move(in_progress)) {}

Result<Snapshot> Snapshot::parse(std::string_view text) {
  auto rest = text;
  const auto xmin = take_number<FullXid>(rest, 10);
  if (!xmin || !take(rest, ':')) return not_a("snapshot", text);
  const auto xmax = take_number<FullXid>(rest, 10);
  if (!xmax || !take(rest, ':') || *xmin > *xmax) return not_a("snapshot", text);
  std::vector<FullXid> in_progress;
  while (!rest.empty()) {
    const auto xid = take_number<FullXid>(rest, 10);
    const bool in_order = xid && *xid >= *xmin && *xid < *xmax && (in_progress.empty() || in_progress.back() < *xid);
    if (!in_order || in_progress.size() == kInProgressMax) return not_a("snapshot", text);
    in_progress.push_back(*xid);
    if (!rest.empty() && (!take(rest, ',') || rest.empty())) return not_a("snapshot", text);
  }
  return Snapshot(*xmin, *xmax, std::move(in_progress));
}

bool Snapshot::shows(FullXid xid) const {
  if (xid < xmin_) return true;
  if (xid >= xmax_) return false;
  return !std::binary_search(in_progress_.begin(), in_progress_.end(), xid);
}

std::string Snapshot::to_text() const { return fmt::format("{}:{}:{}", xmin_, xmax_, fmt::join(in_progress_, ",")); }

}  // namespace freshet::storage
