// A server over the tests' engine with two observed collections: "users", a table's rows; "top", a query. Only tests use
// it.
#pragma once

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "server/testing/server_fixture.h"

namespace freshet::server {

class ObservedTest : public ServerTest {
 protected:
  using Words = std::vector<std::string_view>;
  using Script = std::vector<std::pair<Words, std::string>>;

  void SetUp() override {
    using storage::ColumnKind;
    engine_.observe("users", {{"id", ColumnKind::integer}, {"name", ColumnKind::text}, {"score", ColumnKind::real},
                              {"balance", ColumnKind::numeric}, {"active", ColumnKind::boolean},
                              {"tags", ColumnKind::json}});
    engine_.observe("top", {{"id", ColumnKind::integer}, {"name", ColumnKind::text}}, true);
    start();
  }
  // A user whose score is NULL.
  void put_user(const std::string& id, std::string_view name) {
    storage::RowWriter row;
    row.add(id);
    row.add(name);
    row.add_null();
    row.add("12345678901234567890.50");
    row.add("t");
    row.add("[1, 2]");
    engine_.put_in_storage("users:" + id, row.take());
  }
  void put_top(const std::string& key, const std::vector<std::string>& names) {
    auto rows = storage::RowWriter::of_rows(static_cast<std::uint32_t>(names.size()));
    for (std::size_t i = 0; i < names.size(); ++i) {
      rows.add(std::to_string(i + 1));
      rows.add(names[i]);
    }
    engine_.put_in_storage(key, rows.take());
  }
  static std::string play(TestClient& client, const Script& script) {
    for (const auto& [words, expected] : script) {
      std::string shown;
      for (const auto word : words) shown += std::string(word.substr(0, 60)) + " ";
      EXPECT_EQ(client.call(words), expected) << shown;
    }
    return client.last().to_text();
  }
};

}  // namespace freshet::server
