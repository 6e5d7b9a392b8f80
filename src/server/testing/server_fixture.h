// A server over the tests' engine, and the settings it is given. Only tests use it.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "server/commands/table.h"
#include "server/server.h"
#include "server/testing/fake_engine.h"
#include "server/testing/test_client.h"

namespace freshet::server {

class FakeSettings final : public Settings {
 public:
  std::vector<std::pair<std::string, std::string>> list() const override {
    const std::lock_guard lock(mutex_);
    return {values_.begin(), values_.end()};
  }
  Result<void> set(std::string_view name, std::string_view text) override {
    const std::lock_guard lock(mutex_);
    const auto found = values_.find(std::string(name));
    if (found == values_.end()) return Error::of(ErrorCode::invalid_argument, "no such setting");
    found->second = text;
    return {};
  }
  void reload(Reloaded done) override { done(std::vector<std::string>{"users is guarded now"}); }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> values_{{"maxclients", "10000"}, {"maxmemory", "1073741824"}, {"timeout", "0"}};
};

class ServerTest : public testing::Test {
 protected:
  static ServerOptions defaults() {
    ServerOptions options;
    options.listen = "127.0.0.1:0";
    options.threads = 2;
    return options;
  }
  void start(ServerOptions options = defaults()) {
    auto started = Server::start(std::move(options), command_table(), engine_, settings_);
    ASSERT_TRUE(started) << started.error().what;
    server_ = *std::move(started);
  }
  std::unique_ptr<TestClient> connect(int receive_buffer_bytes = 0) {
    auto client = std::make_unique<TestClient>(server_->port(), receive_buffer_bytes);
    EXPECT_TRUE(client->connected());
    return client;
  }
  // Waits for what another thread does; a failure after some seconds.
  template <typename Condition>
  static void eventually(Condition holds) {
    const auto end = base::now() + 10 * base::kSecond;
    while (!holds()) {
      ASSERT_LT(base::now(), end) << "did not come true";
      std::this_thread::yield();
    }
  }

  FakeEngine engine_;
  FakeSettings settings_;
  std::unique_ptr<Server> server_;
};

}  // namespace freshet::server
