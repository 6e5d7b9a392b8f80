// Asking for the watch's counters.
#include "checker/rows/bypass_watch.h"

namespace freshet::checker {
namespace {

constexpr base::Nanoseconds kCallPatience = 2 * base::kSecond;
// The change stream brings them some milliseconds later.
constexpr base::Nanoseconds kNoticePatience = 10 * base::kSecond;
constexpr base::Nanoseconds kWatchPatience = 10 * base::kSecond;
constexpr base::Nanoseconds kPause = 10 * base::kMillisecond;

std::uint64_t count_of(const client::Reply& stats, std::string_view name) {
  const client::Reply* count = stats.find(name);
  return count != nullptr && count->integer > 0 ? static_cast<std::uint64_t>(count->integer) : 0;
}

}  // namespace

BypassWatch::BypassWatch(client::Target target, std::string password, const std::string& collection)
    : connection_(std::move(target), std::move(password), kCallPatience) {
  const base::Nanoseconds end = base::now() + (is_followed(collection) ? kWatchPatience : 0);
  Counters counters = ask();
  while (!counters.watching && base::now() < end) {
    unheard_.stop.wait_until(base::now() + kPause);
    counters = ask();
  }
  watches_ = counters.watching;
  before_ = counters.transactions;
}

bool BypassWatch::is_followed(const std::string& collection) {
  if (!connection_.ensure(unheard_)) return false;
  const auto explained = connection_->call({"FRESHET.EXPLAIN", collection + ":freshet-check"}, base::now() + kCallPatience);
  return explained && explained->find("watched") != nullptr;
}

BypassWatch::Counters BypassWatch::ask() {
  if (!connection_.ensure(unheard_)) return {};
  const auto stats = connection_->call({"FRESHET.STATS"}, base::now() + kCallPatience);
  if (!stats) return {};
  return {count_of(*stats, "bypass_watching") != 0, count_of(*stats, "bypass_transactions")};
}

std::uint64_t BypassWatch::await(std::uint64_t expected) {
  const base::Nanoseconds end = base::now() + kNoticePatience;
  std::uint64_t noticed = 0;
  while (true) {
    const Counters counters = ask();
    if (counters.transactions > before_) noticed = counters.transactions - before_;
    if (!watches_ || noticed >= expected || base::now() > end) return noticed;
    unheard_.stop.wait_until(base::now() + kPause);
  }
}

}  // namespace freshet::checker
