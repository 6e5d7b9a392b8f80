// What writing a table's rows through Freshet costs, synchronous commit, each beside the same by a plain client, alternating
// in one run:
//   update       UPDATE of one column of one row, and HSET of it;
//   transaction  ten UPDATEs of ten rows between BEGIN and COMMIT, pipelined, and ten HSETs between MULTI and EXEC;
//   hit          GET of a value of freshet.kv, and HGET of a column of a guarded row, both from memory;
//   field        HGET of a field of a hash of freshet.kv, and HGET of a column of a guarded row, likewise.
// Prints rates and ratios, and the processor time that a request takes of the clients, of freshet serve and of PostgreSQL:
// that is comparable from run to run where other programs share the processors, too.
//
//   bench/guarded_rows.sh BUILD_DIRECTORY [clients [seconds [rounds [pair]]]]
//
// Each client has one request outstanding, or one pipeline of a transaction. One thread for all of them. May use client,
// load and storage/postgres.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "client/connection.h"
#include "load/reply_skimmer.h"
#include "median.h"
#include "process_cpu.h"
#include "protocol/reply.h"
#include "storage/postgres/libpq.h"

namespace freshet {
namespace {

using storage::postgres::ConnectionPointer;
using storage::postgres::message_of;
using storage::postgres::Rows;
using storage::postgres::sql_error_of;
using storage::postgres::succeeded;

constexpr int kRows = 10'000;  // As guarded_rows.sh makes them.
constexpr int kWritesOfOne = 10;
constexpr int kFillers = 32;
constexpr int kHitsOutstanding = 32;  // Of each client: the server is to be busy, not the round trip.
constexpr base::Nanoseconds kStartLimit = 30 * base::kSecond;

[[noreturn]] void fail(const std::string& what) {
  fmt::print(stderr, "guarded_rows_bench: {}\n", what);
  std::exit(1);
}

struct Settings {
  std::string url;
  std::string address;
  int server = 0;          // Their processes: freshet serve,
  int postmaster = 0;      // and PostgreSQL's.
  int clients = 64;
  double seconds = 2;
  int rounds = 5;
  std::string pair;        // The only one to be run; empty: all.
};

// Of distinct rows, ascending: plain clients would run into deadlocks otherwise.
std::set<std::uint64_t> ids(int count, base::Random& random) {
  std::set<std::uint64_t> ids;
  while (ids.size() < static_cast<std::size_t>(count)) ids.insert(1 + random.below(kRows));
  return ids;
}

// Clients of one kind: each sends, and sends again once it has its answer.
class Clients {
 public:
  virtual ~Clients() = default;
  virtual std::size_t size() const = 0;
  virtual int socket(std::size_t client) const = 0;
  virtual void send(std::size_t client) = 0;
  virtual bool take(std::size_t client) = 0;  // True: what was sent has been answered.

  // Requests a second.
  double run(double seconds) {
    const auto end = base::now() + static_cast<base::Nanoseconds>(seconds * base::kSecond);
    return run_while([end] { return base::now() < end; });
  }
  double run_while(const std::function<bool()>& goes_on) {
    std::vector<pollfd> watched;
    const auto begun = base::now();
    for (std::size_t i = 0; i < size(); ++i) {
      watched.push_back({socket(i), POLLIN, 0});
      send(i);
    }
    std::uint64_t done = 0;
    for (auto open = size(); open > 0;) {
      poll(watched.data(), watched.size(), -1);
      for (std::size_t i = 0; i < size(); ++i) {
        if (watched[i].revents == 0 || !take(i)) continue;
        ++done;
        if (goes_on()) {
          send(i);
        } else {
          watched[i].fd = -1;
          --open;
        }
      }
    }
    return static_cast<double>(done) * base::kSecond / static_cast<double>(base::now() - begun);
  }
};

class PlainClients final : public Clients {
 public:
  PlainClients(const Settings& settings, int updates) : updates_(updates) {
    for (int i = 0; i < settings.clients; ++i) {
      ConnectionPointer connection(PQconnectdb(settings.url.c_str()));
      if (PQstatus(connection.get()) != CONNECTION_OK) fail(message_of(connection.get()));
      prepare(connection.get(), "begin", "BEGIN");
      prepare(connection.get(), "update", "UPDATE plain_users SET visits = $2 WHERE id = $1");
      prepare(connection.get(), "commit", "COMMIT");
      if (PQsetnonblocking(connection.get(), 1) != 0 || PQenterPipelineMode(connection.get()) != 1) fail("no pipeline mode");
      connections_.push_back(std::move(connection));
    }
  }
  std::size_t size() const override { return connections_.size(); }
  int socket(std::size_t client) const override { return PQsocket(connections_[client].get()); }

  void send(std::size_t client) override {
    auto* connection = connections_[client].get();
    if (updates_ > 1) execute(connection, "begin", {});
    for (const auto id : ids(updates_, random_)) {
      execute(connection, "update", {std::to_string(id), std::to_string(random_.below(1000))});
    }
    if (updates_ > 1) execute(connection, "commit", {});
    if (PQpipelineSync(connection) != 1 || PQflush(connection) != 0) fail(message_of(connection));
  }

  bool take(std::size_t client) override {
    auto* connection = connections_[client].get();
    if (PQconsumeInput(connection) != 1) fail(message_of(connection));
    for (int nothing = 0; nothing < 2 && PQisBusy(connection) == 0;) {
      const Rows rows(PQgetResult(connection));
      if (!rows) {
        ++nothing;
        continue;
      }
      nothing = 0;
      if (PQresultStatus(rows.get()) == PGRES_PIPELINE_SYNC) return true;
      if (!succeeded(rows.get())) fail(sql_error_of(rows.get()).message);
    }
    return false;
  }

 private:
  static void prepare(PGconn* connection, const char* name, const char* sql) {
    const Rows rows(PQprepare(connection, name, sql, 0, nullptr));
    if (!succeeded(rows.get())) fail(sql_error_of(rows.get()).message);
  }
  static void execute(PGconn* connection, const char* name, const std::vector<std::string>& texts) {
    std::vector<const char*> values;
    for (const auto& text : texts) values.push_back(text.c_str());
    if (PQsendQueryPrepared(connection, name, static_cast<int>(values.size()), values.data(), nullptr, nullptr, 0) != 1) {
      fail(message_of(connection));
    }
  }

  const int updates_;
  base::Random random_{1};
  std::vector<ConnectionPointer> connections_;
};

class RedisClients final : public Clients {
 public:
  using Request = std::function<void(base::Random&, std::string&)>;

  // `answers` to each `request`.
  RedisClients(const Settings& settings, int clients, int answers, Request request)
      : answers_(answers), request_(std::move(request)) {
    const auto target = client::parse_target(settings.address);
    if (!target) fail(target.error().what);
    for (int i = 0; i < clients; ++i) {
      auto connection = client::Connection::connect(*target, base::now() + kStartLimit);
      if (!connection) fail(connection.error().what);
      sessions_.push_back({connection->release(), {}, 0});
      const int flags = fcntl(sessions_.back().socket, F_GETFL);
      fcntl(sessions_.back().socket, F_SETFL, flags | O_NONBLOCK);
    }
  }
  ~RedisClients() override {
    for (const auto& session : sessions_) close(session.socket);
  }
  RedisClients(const RedisClients&) = delete;
  RedisClients& operator=(const RedisClients&) = delete;
  std::size_t size() const override { return sessions_.size(); }
  int socket(std::size_t client) const override { return sessions_[client].socket; }

  void send(std::size_t client) override {
    text_.clear();
    request_(random_, text_);
    sessions_[client].missing = answers_;
    const auto sent = write(sessions_[client].socket, text_.data(), text_.size());
    if (sent != static_cast<ssize_t>(text_.size())) fail("a short send");
  }

  bool take(std::size_t client) override {
    auto& session = sessions_[client];
    std::array<char, 65536> bytes;
    const auto got = read(session.socket, bytes.data(), bytes.size());
    if (got <= 0) fail("the server closed a connection");
    const bool fine = session.skimmer.feed({bytes.data(), static_cast<std::size_t>(got)}, [&](const auto& reply) {
      if (reply.error) fail(reply.error_text);
      if (reply.nulls > 0) fail("a key is missing");
      --session.missing;
    });
    if (!fine) fail("an answer that is no RESP2");
    return session.missing == 0;
  }

 private:
  struct Session {
    int socket;
    load::ReplySkimmer skimmer;
    int missing;
  };
  const int answers_;
  const Request request_;
  base::Random random_{1};
  std::string text_;
  std::vector<Session> sessions_;
};

void add(std::string& text, std::initializer_list<std::string_view> words) {
  text += fmt::format("*{}\r\n", words.size());
  for (const auto word : words) text += fmt::format("${}\r\n{}\r\n", word.size(), word);
}

std::string key_of(const char* collection, base::Random& random) {
  return fmt::format("{}:{}", collection, 1 + random.below(kRows));
}

void add_hsets(int count, base::Random& random, std::string& text) {
  for (const auto id : ids(count, random)) {
    add(text, {"HSET", fmt::format("users:{}", id), "visits", std::to_string(random.below(1000))});
  }
}

void add_exec(base::Random& random, std::string& text) {
  add(text, {"MULTI"});
  add_hsets(kWritesOfOne, random, text);
  add(text, {"EXEC"});
}

// Requests a second, and the microseconds of processor time that one takes.
struct Measured {
  double rate = 0;
  double clients = 0;
  double server = 0;
  double postgres = 0;

  std::string costs() const {
    return fmt::format("clients {:.0f}, server {:.0f}, PostgreSQL {:.0f}", clients, server, postgres);
  }
};

Measured measure(const Settings& settings, Clients& clients) {
  const auto now = [&] {
    return std::array{cpu_seconds_of(getpid()), cpu_seconds_of(settings.server), cpu_seconds_of_family(settings.postmaster)};
  };
  const auto before = now();
  const auto begun = base::now();
  Measured measured;
  measured.rate = clients.run(settings.seconds);
  const auto requests = measured.rate * static_cast<double>(base::now() - begun) / base::kSecond;
  const auto after = now();
  const auto cost = [&](std::size_t place) { return (after[place] - before[place]) * 1e6 / requests; };
  measured.clients = cost(0);
  measured.server = cost(1);
  measured.postgres = cost(2);
  return measured;
}

Measured median_of(const std::vector<Measured>& all) {
  const auto of = [&](double Measured::* member) {
    std::vector<double> values;
    for (const auto& each : all) values.push_back(each.*member);
    return median(values);
  };
  return {of(&Measured::rate), of(&Measured::clients), of(&Measured::server), of(&Measured::postgres)};
}

struct Pair {
  const char* name;
  std::unique_ptr<Clients> plain;
  std::unique_ptr<Clients> through;
  std::vector<Measured> plain_runs = {};
  std::vector<Measured> through_runs = {};
  std::vector<double> ratios = {};
};

// A server that has just been started: until it answers, and holds all that is to be hit.
void warm_up(const Settings& settings) {
  const auto target = client::parse_target(settings.address);
  if (!target) fail(target.error().what);
  const auto limit = base::now() + kStartLimit;
  auto connection = client::Connection::connect(*target, limit);
  while (!connection && base::now() < limit) {
    poll(nullptr, 0, 10);
    connection = client::Connection::connect(*target, limit);
  }
  if (!connection) fail(connection.error().what);
  while (base::now() < limit && connection->call({"SET", "kv:0", "0"}, limit)->is_error()) poll(nullptr, 0, 10);
  int last = 0;
  RedisClients fillers(settings, kFillers, 3, [&](base::Random&, std::string& text) {
    const auto id = std::to_string(++last);
    add(text, {"SET", "kv:" + id, id});
    add(text, {"HSET", "hash:" + id, "id", id, "name", "user " + id, "email", id + "@example.org", "visits", id});
    add(text, {"HGET", "users:" + id, "visits"});
  });
  fillers.run_while([&] { return last < kRows; });
}

std::unique_ptr<Clients> hits(const Settings& settings, const char* command, const char* collection, const char* column) {
  return std::make_unique<RedisClients>(settings, 4, kHitsOutstanding, [=](base::Random& random, std::string& text) {
    for (int i = 0; i < kHitsOutstanding; ++i) {
      const auto key = key_of(collection, random);
      column == nullptr ? add(text, {command, key}) : add(text, {command, key, column});
    }
  });
}

std::vector<Pair> make_pairs(const Settings& settings) {
  std::vector<Pair> pairs;
  const auto add = [&](const char* name, auto make_plain, auto make_through) {
    if (settings.pair.empty() || settings.pair == name) pairs.push_back({name, make_plain(), make_through()});
  };
  const auto plain = [&](int updates) {
    return [&settings, updates] { return std::make_unique<PlainClients>(settings, updates); };
  };
  const auto through = [&](int answers, RedisClients::Request request) {
    return [&settings, answers, request] {
      return std::make_unique<RedisClients>(settings, settings.clients, answers, request);
    };
  };
  const auto in_memory = [&](const char* command, const char* collection, const char* column) {
    return [&settings, command, collection, column] { return hits(settings, command, collection, column); };
  };
  add("update", plain(1), through(1, std::bind_front(add_hsets, 1)));
  add("transaction", plain(kWritesOfOne), through(kWritesOfOne + 2, add_exec));
  add("hit", in_memory("GET", "kv", nullptr), in_memory("HGET", "users", "visits"));
  add("field", in_memory("HGET", "hash", "visits"), in_memory("HGET", "users", "visits"));
  if (pairs.empty()) fail(fmt::format("there is no pair '{}'", settings.pair));
  return pairs;
}

// The order turns from round to round: none always runs after the other.
void run_round(const Settings& settings, int round, Pair& pair) {
  const bool plain_first = round % 2 == 0;
  Measured plain;
  if (plain_first) plain = measure(settings, *pair.plain);
  const auto through = measure(settings, *pair.through);
  if (!plain_first) plain = measure(settings, *pair.plain);
  if (round == 0) return;  // Caches and plans are cold.
  pair.plain_runs.push_back(plain);
  pair.through_runs.push_back(through);
  pair.ratios.push_back(through.rate / plain.rate);
  fmt::print("round {}, {}: plain {:.0f}/s, through Freshet {:.0f}/s, ratio {:.3f}\n", round, pair.name, plain.rate,
             through.rate, pair.ratios.back());
}

int main_of(const Settings& settings) {
  warm_up(settings);
  auto pairs = make_pairs(settings);
  for (int round = 0; round <= settings.rounds; ++round) {
    for (auto& pair : pairs) run_round(settings, round, pair);
  }
  for (const auto& pair : pairs) {
    const auto plain = median_of(pair.plain_runs);
    const auto through = median_of(pair.through_runs);
    fmt::print("{} clients, {}: ratio median {:.3f}, lowest {:.3f} (plain {:.0f}/s)\n", settings.clients, pair.name,
               median(pair.ratios), *std::min_element(pair.ratios.begin(), pair.ratios.end()), plain.rate);
    fmt::print("  us of processor a request: plain: {}; through Freshet: {}\n", plain.costs(), through.costs());
  }
  return 0;
}

}  // namespace
}  // namespace freshet

int main(int count, char** words) {
  if (count < 5) {
    freshet::fail("usage: guarded_rows_bench URL HOST:PORT SERVER_PROCESS POSTMASTER [clients [seconds [rounds [pair]]]]");
  }
  freshet::Settings settings;
  settings.url = words[1];
  settings.address = words[2];
  settings.server = std::atoi(words[3]);
  settings.postmaster = std::atoi(words[4]);
  if (count > 5) settings.clients = std::atoi(words[5]);
  if (count > 6) settings.seconds = std::atof(words[6]);
  if (count > 7) settings.rounds = std::atoi(words[7]);
  if (count > 8) settings.pair = words[8];
  return freshet::main_of(settings);
}
