// Recorded operations on an engine in this process.
#include "recorded_client.h"

#include <chrono>
#include <thread>

namespace freshet::testing {
namespace {

using checker::Kind;
using checker::Operation;
using checker::Outcome;

constexpr auto kPauseAfterRefusal = std::chrono::milliseconds(10);

// Takes an answer into the record.
void note_answer(Operation& operation, const Result<storage::WriteReply>& reply) {
  operation.returned_ns = base::now();
  const Error* error = !reply ? &reply.error() : !reply->front() ? &reply->front().error() : nullptr;
  if (error) {
    operation.outcome = error->code == ErrorCode::unknown_outcome ? Outcome::unknown : Outcome::failed;
    return;
  }
  const auto& outcome = *reply->front();
  operation.applied = outcome.applied;
  operation.version = outcome.after.version;
  if (operation.kind == Kind::increment) operation.result = outcome.after.value;
  if (operation.kind == Kind::append) operation.length = static_cast<std::int64_t>(outcome.after.value.size());
}

}  // namespace

Operation Pending::finish() { return answer_.get(); }

Operation RecordedClient::begin(Kind kind, std::string key) const {
  Operation operation;
  operation.client = id_;
  operation.kind = kind;
  operation.key = std::move(key);
  operation.invoked_ns = base::now();
  return operation;
}

Pending RecordedClient::get(cache::Engine& engine, std::string key, base::Nanoseconds timeout) {
  auto operation = std::make_shared<Operation>(begin(Kind::get_version, key));
  auto promise = std::make_shared<std::promise<Operation>>();
  Pending pending;
  pending.answer_ = promise->get_future();
  cache::ReadOptions options;
  options.deadline = base::now() + timeout;
  engine.get(key, options, [operation, promise](Result<cache::Reading> reading) {
    operation->returned_ns = base::now();
    if (!reading) {
      operation->outcome = Outcome::failed;
    } else {
      if (reading->present) operation->result = std::move(reading->value);
      operation->version = reading->version;
      operation->source = reading->source == cache::Source::memory ? checker::Source::memory : checker::Source::storage;
    }
    promise->set_value(std::move(*operation));
  });
  return pending;
}

Pending RecordedClient::write(cache::Engine& engine, Operation begun, storage::Mutation mutation,
                              base::Nanoseconds timeout) {
  auto operation = std::make_shared<Operation>(std::move(begun));
  auto promise = std::make_shared<std::promise<Operation>>();
  Pending pending;
  pending.answer_ = promise->get_future();
  mutation.key = operation->key;
  std::vector<storage::Mutation> mutations;
  mutations.push_back(std::move(mutation));
  engine.write(std::move(mutations), false, base::now() + timeout,
               [operation, promise](Result<storage::WriteReply> reply) {
                 note_answer(*operation, reply);
                 promise->set_value(std::move(*operation));
               });
  return pending;
}

Pending RecordedClient::set(cache::Engine& engine, std::string key, std::string value, base::Nanoseconds timeout) {
  auto operation = begin(Kind::set, std::move(key));
  operation.argument = value;
  storage::Mutation mutation;
  mutation.value = std::move(value);
  return write(engine, std::move(operation), std::move(mutation), timeout);
}

bool RecordedClient::set_until_acknowledged(cache::Engine& engine, const std::string& key, const std::string& value,
                                            base::Nanoseconds patience) {
  const auto deadline = base::now() + patience;
  while (base::now() < deadline) {
    if (set(engine, key, value).finish().outcome == Outcome::ok) return true;
    std::this_thread::sleep_for(kPauseAfterRefusal);
  }
  return false;
}

Pending RecordedClient::increment(cache::Engine& engine, std::string key, base::Nanoseconds timeout) {
  auto operation = begin(Kind::increment, std::move(key));
  operation.delta = 1;
  storage::Mutation mutation;
  mutation.kind = storage::MutationKind::increment;
  mutation.delta = 1;
  mutation.expiry.mode = storage::Expiry::Mode::keep;
  return write(engine, std::move(operation), std::move(mutation), timeout);
}

Pending RecordedClient::append(cache::Engine& engine, std::string key, std::string value, base::Nanoseconds timeout) {
  auto operation = begin(Kind::append, std::move(key));
  operation.argument = value;
  storage::Mutation mutation;
  mutation.kind = storage::MutationKind::append;
  mutation.value = std::move(value);
  mutation.expiry.mode = storage::Expiry::Mode::keep;
  return write(engine, std::move(operation), std::move(mutation), timeout);
}

Pending RecordedClient::erase(cache::Engine& engine, std::string key, base::Nanoseconds timeout) {
  auto operation = begin(Kind::erase, std::move(key));
  storage::Mutation mutation;
  mutation.kind = storage::MutationKind::erase;
  mutation.condition = storage::Condition::if_present;
  return write(engine, std::move(operation), std::move(mutation), timeout);
}

}  // namespace freshet::testing
