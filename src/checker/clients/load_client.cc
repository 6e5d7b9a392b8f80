// The mix of commands, and what errors mean for what is recorded.
#include "checker/clients/load_client.h"

#include <fmt/format.h>

#include <algorithm>

#include "checker/clients/commands.h"

namespace freshet::checker {
namespace {

// How long a client pauses before it connects again to a target that refused it.
constexpr base::Nanoseconds kReconnectPause = 20 * base::kMillisecond;
// Keys of one MGET, at most, and the padding of values.
constexpr int kReadManyMax = 3;
constexpr std::uint64_t kPaddingBytesMax = 64;
constexpr std::int64_t kDeltaMax = 3;
// Every second client mostly reads, so that a slow database leaves moments in which keys are cached and hit.
constexpr std::uint64_t kReaderReadsPercent = 95;
constexpr std::uint64_t kWriterReadsPercent = 35;

bool is_unknown_command(const client::Reply& reply) {
  return reply.is_error() && reply.text.find("unknown command") != std::string::npos;
}

}  // namespace

Result<client::Connection> open_connection(const client::Target& target, const std::string& password,
                                           base::Nanoseconds deadline) {
  auto connection = client::Connection::connect(target, deadline);
  if (!connection || password.empty()) return connection;
  const auto reply = connection->call({"AUTH", password}, deadline);
  if (!reply) return reply.error();
  if (reply->is_error()) {
    return Error::of(ErrorCode::invalid_argument, "the target refused the password: " + reply->text, "give the right one");
  }
  return connection;
}

Result<Abilities> detect_abilities(client::Connection& connection, base::Nanoseconds deadline) {
  // With too few arguments neither command does anything but say whether it exists.
  const auto get = connection.call({"FRESHET.GET"}, deadline);
  if (!get) return get.error();
  const auto set = connection.call({"FRESHET.SET"}, deadline);
  if (!set) return set.error();
  if (get->text.starts_with("NOAUTH") || set->text.starts_with("NOAUTH")) {
    return Error::of(ErrorCode::invalid_argument, "the target wants a password", "give it");
  }
  return Abilities{!is_unknown_command(*get), !is_unknown_command(*set)};
}

LoadClient::LoadClient(ClientOptions options, KeySpace& keys, Findings& findings)
    : options_(std::move(options)),
      keys_(keys),
      findings_(findings),
      random_(options_.seed),
      connection_(options_.target, options_.password, options_.call_deadline) {}

void LoadClient::run() {
  while (!findings_.stop.requested()) {
    if (connection_.ensure(findings_)) step();
  }
}

bool Reconnecting::ensure(Findings& findings) {
  if (connection_ && connection_->is_open()) return true;
  if (connection_) findings.reconnects.fetch_add(1, std::memory_order_relaxed);
  connection_.reset();
  auto opened = open_connection(target_, password_, base::now() + deadline_);
  if (opened) {
    connection_.emplace(std::move(*opened));
    return true;
  }
  findings.count_error("UNREACHABLE " + opened.error().what);
  findings.stop.wait_until(base::now() + kReconnectPause);
  return false;
}

int LoadClient::pick_slot() {
  // The product of two even draws: of eight keys the first gets 42 % of the operations, the last none to speak of.
  const auto size = static_cast<std::uint64_t>(keys_.size());
  return static_cast<int>(random_.below(size) * random_.below(size) / size);
}

std::string LoadClient::fresh_value() {
  std::string value = fmt::format("c{}-{}", options_.number, ++values_made_);
  value.append(":").append(random_.below(kPaddingBytesMax), '.');
  return value;
}

void LoadClient::step() {
  const int slot = pick_slot();
  if (random_.below(16) == 0) return read_many(slot);
  KeyRef key = keys_.take(slot);
  Operation operation = draw(*key);
  perform(key, std::move(operation));
}

Operation LoadClient::draw(TrackedKey& key) {
  Operation operation;
  operation.client = options_.number;
  operation.key = key.name();
  const std::uint64_t reads = is_reader() ? kReaderReadsPercent : kWriterReadsPercent;
  if (random_.below(100) < reads) {
    operation.kind = options_.abilities.freshet_get && random_.below(4) != 0 ? Kind::get_version : Kind::get;
  } else if (random_.below(8) == 0) {
    operation.kind = Kind::erase;
  } else if (key.family() == Family::counter) {
    operation.kind = Kind::increment;
    operation.delta = 1 + static_cast<std::int64_t>(random_.below(kDeltaMax));
  } else if (key.family() == Family::text) {
    operation.kind = Kind::append;
    operation.argument = fmt::format("<{}-{}>", options_.number, ++values_made_);
  } else {
    draw_register(operation);
  }
  return operation;
}

void LoadClient::draw_register(Operation& operation) {
  operation.argument = fresh_value();
  const std::uint64_t die = random_.below(10);
  operation.kind = die < 6 ? Kind::set : Kind::set_if_absent;
  if (die < 7 || !options_.abilities.freshet_set) return;
  operation.kind = Kind::compare_version;
  operation.expected_version = last_version_key_ == operation.key ? last_version_ : 0;
}

std::optional<client::Reply> LoadClient::send(std::span<const std::string_view> args, bool& sent) {
  auto reply = connection_->call(args, base::now() + options_.call_deadline);
  sent = reply.has_value() || reply.error().code == ErrorCode::unknown_outcome;
  if (!reply) {
    findings_.count_error("CONNECTION " + reply.error().what);
    return std::nullopt;
  }
  return std::move(*reply);
}

void LoadClient::perform(const KeyRef& key, Operation operation) {
  const std::vector<std::string> command = command_of(operation);
  const std::vector<std::string_view> args(command.begin(), command.end());
  key->begin(operation);
  bool sent = false;
  const std::optional<client::Reply> reply = send(args, sent);
  operation.returned_ns = base::now();
  if (!reply) {
    operation.outcome = sent && !is_read(operation) ? Outcome::unknown : Outcome::failed;
  } else if (!interpret(*reply, operation)) {
    findings_.count_error(fmt::format("MISFIT {} was answered with {}", command.front(), reply->to_text()));
  } else if (operation.outcome != Outcome::ok) {
    findings_.count_error(reply->text);
  }
  finish(key, std::move(operation));
}

void LoadClient::finish(const KeyRef& key, Operation operation) {
  if (operation.outcome == Outcome::ok && operation.version != 0) {
    last_version_ = operation.version;
    last_version_key_ = operation.key;
  }
  findings_.count_operations(1);
  if (const auto violation = key->end(std::move(operation))) {
    findings_.report(violation->reason + '\n' + render_timeline(violation->offending));
  }
}

void LoadClient::read_many(int slot) {
  std::vector<KeyRef> keys;
  std::vector<Operation> operations;
  std::vector<std::string_view> args{"MGET"};
  for (int step = 0; step < std::min(kReadManyMax, keys_.size()); ++step) {
    keys.push_back(keys_.take((slot + step) % keys_.size()));
    Operation& operation = operations.emplace_back();
    operation.client = options_.number;
    operation.key = keys.back()->name();
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    args.push_back(keys[i]->name());
    keys[i]->begin(operations[i]);
  }
  bool sent = false;
  const std::optional<client::Reply> reply = send(args, sent);
  const base::Nanoseconds returned_ns = base::now();
  const bool whole = reply && reply->items.size() == keys.size();
  if (reply && !whole) findings_.count_error(reply->is_error() ? reply->text : "MISFIT MGET");
  for (std::size_t i = 0; i < keys.size(); ++i) {
    operations[i].returned_ns = returned_ns;
    operations[i].outcome = Outcome::failed;
    if (whole) interpret(reply->items[i], operations[i]);
    finish(keys[i], std::move(operations[i]));
  }
}

}  // namespace freshet::checker
