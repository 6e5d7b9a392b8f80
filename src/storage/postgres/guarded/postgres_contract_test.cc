// The storage contract against a real PostgreSQL, in both dialects.
#include <gtest/gtest.h>

#include "storage/postgres/guarded/postgres_storage.h"
#include "storage_contract.h"
#include "temporary_postgres.h"

namespace freshet::testing {
namespace {

class PostgresDatabase final : public TestDatabase {
 public:
  explicit PostgresDatabase(storage::postgres::GuardDialect dialect) {
    options_.url = TemporaryPostgres::shared().create_database();
    options_.dialect = dialect;
  }
  std::unique_ptr<storage::Storage> open() override {
    auto storage = storage::postgres::PostgresStorage::open(options_);
    if (!storage) {
      ADD_FAILURE() << storage.error().what;
      return nullptr;
    }
    return std::move(*storage);
  }

 private:
  storage::postgres::PostgresOptions options_;
};

ContractSubject subject(const char* name, storage::postgres::GuardDialect dialect) {
  return {name, [dialect] { return std::make_unique<PostgresDatabase>(dialect); }};
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Postgres, StorageContract,
                         ::testing::Values(subject("advisory", storage::postgres::GuardDialect::advisory),
                                         subject("for_share", storage::postgres::GuardDialect::for_share)),
                         ::testing::PrintToStringParamName());

}  // namespace freshet::testing
