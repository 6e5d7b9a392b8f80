// `freshet explain KEY`: asks a running server where a key comes from, what it depends on, and why it is or is not cached.
#include <fmt/format.h>

#include "cli/arguments.h"
#include "client/connection.h"

namespace freshet::cli {
namespace {

constexpr base::Nanoseconds kCallTime = 5 * base::kSecond;

Result<client::Reply> ask(const std::string& address, const std::string& password, const std::string& key) {
  const auto target = client::parse_target(address);
  if (!target) return target.error();
  const auto deadline = base::deadline_after(base::now(), kCallTime);
  auto connection = client::Connection::connect(*target, deadline);
  if (!connection) return std::move(connection).error();
  if (!password.empty()) {
    auto admitted = connection->call({"AUTH", password}, deadline);
    if (!admitted || admitted->is_error()) return admitted;
  }
  return connection->call({"FRESHET.EXPLAIN", key}, deadline);
}

}  // namespace

int run_explain(Arguments arguments) {
  std::string target = "127.0.0.1:6380", password, key;
  CLI::App app("Asks a running server where a key comes from, what it depends on, what level it can have, and why it is or\n"
               "is not cached.", "freshet explain");
  app.add_option("key", key, "the key")->required();
  app.add_option("--target", target, "the server")->type_name("HOST:PORT")->capture_default_str();
  app.add_option("--password", password, "sent with AUTH")->type_name("TEXT");
  if (const auto exit_code = parse(app, arguments)) return *exit_code;
  const auto reply = ask(target, password, key);
  if (!reply) {
    print_error("explain", reply.error());
    return kExitFailed;
  }
  if (reply->is_error()) {
    fmt::print(stderr, "freshet explain: {}\n", reply->text);
    return kExitFailed;
  }
  for (std::size_t i = 0; i + 1 < reply->items.size(); i += 2) {
    fmt::print("{:<20} {}\n", reply->items[i].text, reply->items[i + 1].text);
  }
  return kExitFine;
}

}  // namespace freshet::cli
