// A short way to write histories by hand, for the self-test and for tests. Times are in microseconds.
// May use the checker room's history.h.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "checker/history/history.h"

namespace freshet::checker {

class HistoryBuilder {
 public:
  // An operation of `client` on the one key, from `from_us` to `to_us`; the returned reference is for setting the rest.
  Operation& add(std::uint32_t client, std::int64_t from_us, std::int64_t to_us, Kind kind) {
    Operation& operation = history_.emplace_back();
    operation.client = client;
    operation.kind = kind;
    operation.key = "key";
    operation.invoked_ns = from_us * base::kMicrosecond;
    operation.returned_ns = to_us * base::kMicrosecond;
    return operation;
  }
  Operation& set(std::uint32_t client, std::int64_t from_us, std::int64_t to_us, std::string value,
                 Outcome outcome = Outcome::ok) {
    return write(Kind::set, client, from_us, to_us, std::move(value), outcome);
  }
  Operation& write(Kind kind, std::uint32_t client, std::int64_t from_us, std::int64_t to_us, std::string value,
                   Outcome outcome = Outcome::ok, bool applied = true) {
    Operation& operation = add(client, from_us, to_us, kind);
    operation.argument = std::move(value);
    operation.outcome = outcome;
    operation.applied = applied;
    return operation;
  }
  Operation& get(std::uint32_t client, std::int64_t from_us, std::int64_t to_us, std::optional<std::string> value,
                 std::uint64_t version = 0) {
    Operation& operation = add(client, from_us, to_us, version == 0 ? Kind::get : Kind::get_version);
    operation.result = std::move(value);
    operation.version = version;
    return operation;
  }
  Operation& increment(std::uint32_t client, std::int64_t from_us, std::int64_t to_us, std::int64_t result) {
    Operation& operation = add(client, from_us, to_us, Kind::increment);
    operation.delta = 1;
    operation.result = std::to_string(result);
    return operation;
  }
  Operation& lost_increment(std::uint32_t client, std::int64_t from_us, std::int64_t to_us) {
    Operation& operation = increment(client, from_us, to_us, 0);
    operation.outcome = Outcome::unknown;
    operation.result.reset();
    return operation;
  }
  Operation& erase(std::uint32_t client, std::int64_t from_us, std::int64_t to_us, bool applied = true) {
    Operation& operation = add(client, from_us, to_us, Kind::erase);
    operation.applied = applied;
    return operation;
  }
  std::vector<Operation> take() { return std::move(history_); }

 private:
  std::vector<Operation> history_;
};

}  // namespace freshet::checker
