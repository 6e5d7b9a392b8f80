// A database of its own for one test, with a storage over it. Tests only.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "storage/postgres/guarded/postgres_storage.h"
#include "storage_calls.h"
#include "temporary_postgres.h"

namespace freshet::storage::postgres {

using freshet::testing::BlockingStorage;
using freshet::testing::kAllSlots;
using freshet::testing::put;
using freshet::testing::request_of;
using freshet::testing::SqlSession;
using freshet::testing::TemporaryPostgres;

inline PostgresOptions options_for(const std::string& url, GuardDialect dialect = GuardDialect::advisory) {
  PostgresOptions options;
  options.url = url;
  options.dialect = dialect;
  return options;
}

inline std::unique_ptr<PostgresStorage> open_storage(const PostgresOptions& options) {
  auto storage = PostgresStorage::open(options);
  EXPECT_TRUE(storage) << storage.error().what;
  return storage ? std::move(*storage) : nullptr;
}

// The call of freshet.put that the storage makes, as SQL: by hand for transactions that a test holds open.
inline std::string put_sql(const std::string& key, const std::string& value, Token token, GuardDialect dialect) {
  const auto lock_class = dialect == GuardDialect::advisory ? std::to_string(0x46524553) : std::string("NULL");
  return "SELECT freshet.put(" + lock_class + ", 'default', " + std::to_string(base::slot_of(key)) + ", '" +
         token.to_text() + "', '" + key + "', " + std::to_string(position_of(key)) + ", '" + value + "', '" +
         OperationId::make().to_text() + "', NULL)";
}

// Waits until a session waits for a lock on the server; false after a while.
inline bool wait_for_lock_waiter(const std::string& url, int process) {
  const auto give_up = base::now() + 20 * base::kSecond;
  SqlSession session(url);
  while (base::now() < give_up) {
    const auto rows = session.run("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND " +
                                  (process == 0 ? std::string("application_name LIKE 'freshet:%:guard'")
                                                : "pid = " + std::to_string(process)));
    if (!rows.rows.empty()) return true;
  }
  return false;
}

}  // namespace freshet::storage::postgres
