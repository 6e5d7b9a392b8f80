// One client of the load: a connection, a thread, a random mix of commands, every operation recorded as it was seen.
// May use the checker and client rooms.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "checker/clients/findings.h"
#include "checker/clients/key_space.h"
#include "client/connection.h"

namespace freshet::checker {

// What the target offers beyond Redis.
struct Abilities {
  bool freshet_get = false;  // FRESHET.GET: versions, and where a read was served from.
  bool freshet_set = false;  // FRESHET.SET … VERSION: compare-and-set.
};

struct ClientOptions {
  client::Target target;
  std::string password;
  base::Nanoseconds call_deadline = base::kSecond;
  std::uint32_t number = 0;
  std::uint64_t seed = 0;
  Abilities abilities;
};

// Connects, and authenticates if there is a password.
Result<client::Connection> open_connection(const client::Target& target, const std::string& password,
                                           base::Nanoseconds deadline);
// Asks the target for commands beyond Redis.
Result<Abilities> detect_abilities(client::Connection& connection, base::Nanoseconds deadline);

// A connection that is opened again whenever it is lost.
class Reconnecting {
 public:
  Reconnecting(client::Target target, std::string password, base::Nanoseconds deadline)
      : target_(std::move(target)), password_(std::move(password)), deadline_(deadline) {}

  // Whether it is open, or could be opened; else it has paused.
  bool ensure(Findings& findings);
  client::Connection* operator->() { return &*connection_; }
  // Ends it on purpose.
  void drop() { connection_.reset(); }

 private:
  const client::Target target_;
  const std::string password_;
  const base::Nanoseconds deadline_;  // For connecting.
  std::optional<client::Connection> connection_;
};

class LoadClient {
 public:
  LoadClient(ClientOptions options, KeySpace& keys, Findings& findings);

  // Runs until the stop signal; reconnects on errors.
  void run();

 private:
  using KeyRef = std::shared_ptr<TrackedKey>;

  bool is_reader() const { return options_.number % 2 == 1; }
  void step();
  int pick_slot();
  std::string fresh_value();
  Operation draw(TrackedKey& key);
  void draw_register(Operation& operation);
  void read_many(int slot);
  // Runs one operation: begin, call, interpret, end.
  void perform(const KeyRef& key, Operation operation);
  std::optional<client::Reply> send(std::span<const std::string_view> args, bool& sent);
  void finish(const KeyRef& key, Operation operation);

  const ClientOptions options_;
  KeySpace& keys_;
  Findings& findings_;
  base::Random random_;
  Reconnecting connection_;
  std::uint64_t values_made_ = 0;
  std::uint64_t last_version_ = 0;  // The last one seen, of whatever key: for compare-and-set that may fail.
  std::string last_version_key_;
};

}  // namespace freshet::checker
