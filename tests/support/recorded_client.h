// A client of an engine in this process whose operations are recorded as a history: blocking calls, each with its interval.
#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <string>

#include "cache/engine.h"
#include "checker/history/history.h"

namespace freshet::testing {

// An operation under way: the script goes on while it is, and asks for its answer later.
class Pending {
 public:
  // Waits for the answer and gives the recorded operation.
  checker::Operation finish();

 private:
  friend class RecordedClient;
  std::future<checker::Operation> answer_;
};

class RecordedClient {
 public:
  explicit RecordedClient(std::uint32_t id) : id_(id) {}

  Pending get(cache::Engine& engine, std::string key, base::Nanoseconds timeout = base::kSecond);
  Pending set(cache::Engine& engine, std::string key, std::string value, base::Nanoseconds timeout = 2 * base::kSecond);
  // Writes until it is acknowledged: a node that does not own the key yet refuses at once, retryable. False after patience.
  bool set_until_acknowledged(cache::Engine& engine, const std::string& key, const std::string& value,
                              base::Nanoseconds patience);
  Pending increment(cache::Engine& engine, std::string key, base::Nanoseconds timeout = 2 * base::kSecond);
  Pending append(cache::Engine& engine, std::string key, std::string value, base::Nanoseconds timeout = 2 * base::kSecond);
  Pending erase(cache::Engine& engine, std::string key, base::Nanoseconds timeout = 2 * base::kSecond);

 private:
  checker::Operation begin(checker::Kind kind, std::string key) const;
  Pending write(cache::Engine& engine, checker::Operation operation, storage::Mutation mutation, base::Nanoseconds timeout);

  const std::uint32_t id_;
};

}  // namespace freshet::testing
