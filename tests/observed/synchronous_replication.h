// Synchronous replication as tests turn it on and off: commits that are in the log, sent to the stream, and not visible.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "base/clock.h"
#include "temporary_postgres.h"

namespace freshet::testing {

class SynchronousReplication {
 public:
  explicit SynchronousReplication(std::string url) : url_(std::move(url)) {}

  // From now on commits wait for a standby that does not exist. True once every commit does.
  [[nodiscard]] bool hold() {
    TemporaryPostgres::run(url_, "CREATE TABLE IF NOT EXISTS held (n int)");
    set("nobody");
    // Only a commit that waits proves that the server has taken the setting: until then one more is tried.
    return eventually([&] {
      SqlSession waiter(url_);
      const auto pid = std::to_string(waiter.process());
      waiter.start("INSERT INTO held VALUES (1)");
      const auto state = "SELECT COALESCE(wait_event, '') || ' ' || state FROM pg_stat_activity WHERE pid = " + pid;
      std::string seen;
      eventually([&] {
        seen = TemporaryPostgres::run(url_, state)[0][0];
        return seen.starts_with("SyncRep") || seen.ends_with(" idle");
      });
      return seen.starts_with("SyncRep");
    });
  }
  // Commits wait for a physical standby. ('*' would be met by any replication client: Freshet's own too.)
  void wait_for_standby() { set("walreceiver"); }
  void release() { set(""); }
  std::size_t waiting() const {
    const auto rows = TemporaryPostgres::run(url_, "SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
    return rows.size();
  }

  static bool eventually(const std::function<bool()>& holds) {
    const auto deadline = base::now() + 20 * base::kSecond;
    while (!holds()) {
      if (base::now() > deadline) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }

 private:
  void set(const std::string& names) {
    TemporaryPostgres::run(url_, "ALTER SYSTEM SET synchronous_standby_names = '" + names + "'");
    TemporaryPostgres::run(url_, "SELECT pg_reload_conf()");
  }

  const std::string url_;
};

}  // namespace freshet::testing
