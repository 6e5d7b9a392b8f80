// The shared storage contract, run on the embedded storage with both durabilities.
#include "../../../tests/support/storage_contract.h"
#include "../../../tests/support/temporary_directory.h"
#include "storage/embedded/embedded_storage.h"

namespace freshet::testing {
namespace {

class EmbeddedDatabase final : public TestDatabase {
 public:
  explicit EmbeddedDatabase(storage::embedded::Durability durability) : durability_(durability) {}

  std::unique_ptr<storage::Storage> open() override {
    storage::embedded::EmbeddedOptions options;
    options.directory = directory_.path();
    options.durability = durability_;
    auto opened = storage::embedded::EmbeddedStorage::open(options);
    EXPECT_TRUE(opened) << opened.error().what;
    return opened ? *std::move(opened) : nullptr;
  }

 private:
  TemporaryDirectory directory_;
  storage::embedded::Durability durability_;
};

ContractSubject subject(std::string name, storage::embedded::Durability durability) {
  return {std::move(name), [durability] { return std::make_unique<EmbeddedDatabase>(durability); }};
}

INSTANTIATE_TEST_SUITE_P(Embedded, StorageContract,
                         ::testing::Values(subject("synced", storage::embedded::Durability::synced),
                                         subject("relaxed", storage::embedded::Durability::relaxed)),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace freshet::testing
