// What a write guard costs, with synchronous commit, each beside the same without a guard, alternating in one run:
//   single   freshet.put, and the plain upsert: one a transaction, over the same libpq pipelines;
//   merged   freshet.put_many, and the plain upsert of as many rows: what waits goes together, over the same pipelines;
//   storage  PostgresStorage::write, the whole way, beside both plain ones.
// Prints rates and ratios.
//
//   guarded_upsert_bench "$(tools/temporary-postgres start /tmp/bench-pg)" [connections [depth [seconds [rounds]]]]
//
// connections * depth writes are outstanding at any time. Writes into schema freshet of that database (key prefix "bench:"):
// use one of its own. May use storage/postgres.
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/slot.h"
#include "median.h"
#include "storage/postgres/binary.h"
#include "storage/postgres/guarded/postgres_storage.h"
#include "storage/postgres/statements.h"
#include "storage/postgres/guarded/write_lane.h"

namespace freshet {
namespace {

using namespace storage::postgres;

constexpr int kKeys = 10'000;
constexpr std::size_t kValueBytes = 100;

const Statement kPlainUpsert{
    "plain",
    "INSERT INTO freshet.kv AS r (key, position, value, version, operation, expires_at_ms) "
    "VALUES ($1, $2, $3, nextval('freshet.version'), $4, NULL) ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, "
    "version = nextval('freshet.version'), operation = EXCLUDED.operation, expires_at_ms = EXCLUDED.expires_at_ms "
    "RETURNING r.version",
    {oid::kBytea, oid::kInt8, oid::kBytea, oid::kUuid}};

const Statement kPlainUpserts{
    "plain_many",
    "INSERT INTO freshet.kv AS r (key, position, value, version, operation, expires_at_ms) "
    "SELECT u.key, u.position, u.value, nextval('freshet.version'), u.operation, NULL "
    "FROM unnest($1, $2, $3, $4) u(key, position, value, operation) ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, "
    "version = nextval('freshet.version'), operation = EXCLUDED.operation, expires_at_ms = EXCLUDED.expires_at_ms "
    "RETURNING r.key, r.version",
    {oid::kByteaArray, oid::kInt8Array, oid::kByteaArray, oid::kUuidArray}};

enum Form : std::size_t { kPlain, kGuarded, kPlainMerged, kGuardedMerged, kStorage, kForms };
constexpr std::array<const char*, kForms> kNames{"plain", "guarded", "plain merged", "guarded merged", "storage"};

[[noreturn]] void fail(const std::string& what) {
  fmt::print(stderr, "guarded_upsert_bench: {}\n", what);
  std::exit(1);
}

struct Settings {
  std::string url;
  int connections = 8;
  int depth = 4;
  double seconds = 2;
  int rounds = 5;
};

std::string key_of(std::uint64_t number) { return fmt::format("bench:{}", number); }

// libpq pipelines: each connection sends what waits while it has room.
class Pipelines {
 public:
  Pipelines(const Settings& settings, base::UniqueId token) : settings_(settings), token_(token) {
    const PostgresOptions options;
    for (int i = 0; i < settings.connections; ++i) {
      ConnectionPointer connection(PQconnectdb(settings.url.c_str()));
      if (PQstatus(connection.get()) != CONNECTION_OK) fail(message_of(connection.get()));
      Rows(PQexec(connection.get(), session_sql(options, options.lock_timeout).c_str()));
      for (const auto* statement : {&kPlainUpsert, &kPlainUpserts, &statements::kPut, &statements::kPutMany}) {
        Rows(PQprepare(connection.get(), statement->name, statement->sql, static_cast<int>(statement->types.size()),
                       statement->types.data()));
      }
      if (PQsetnonblocking(connection.get(), 1) != 0 || PQenterPipelineMode(connection.get()) != 1) fail("no pipeline mode");
      connections_.push_back(std::move(connection));
    }
  }

  // Upserts a second.
  double run(Form form) {
    const bool merged = form == kPlainMerged || form == kGuardedMerged;
    const auto in_flight_max = merged ? kPutsInFlightMax : static_cast<std::size_t>(settings_.depth);
    std::vector<std::vector<int>> in_flight(connections_.size());
    int waiting = settings_.connections * settings_.depth;
    std::uint64_t done = 0;
    const auto begun = base::now();
    const auto end = begun + static_cast<base::Nanoseconds>(settings_.seconds * base::kSecond);
    bool sending = true;
    while (true) {
      std::vector<pollfd> watched;
      bool open = false;
      sending = sending && base::now() < end;
      for (std::size_t i = 0; i < connections_.size(); ++i) {
        while (sending && waiting > 0 && in_flight[i].size() < in_flight_max) {
          in_flight[i].push_back(merged ? std::min(waiting, static_cast<int>(kMergedPutsMax)) : 1);
          waiting -= in_flight[i].back();
          send(connections_[i].get(), form, static_cast<std::size_t>(in_flight[i].back()));
        }
        PQflush(connections_[i].get());
        open |= !in_flight[i].empty();
        watched.push_back({PQsocket(connections_[i].get()), POLLIN, 0});
      }
      if (!open) break;
      poll(watched.data(), watched.size(), -1);
      for (std::size_t i = 0; i < connections_.size(); ++i) {
        if (watched[i].revents == 0) continue;
        for (int finished = receive(connections_[i].get()); finished > 0; --finished) {
          waiting += in_flight[i].front();
          done += static_cast<std::uint64_t>(in_flight[i].front());
          in_flight[i].erase(in_flight[i].begin());
        }
      }
    }
    return static_cast<double>(done) * base::kSecond / static_cast<double>(base::now() - begun);
  }

 private:
  void send(PGconn* connection, Form form, std::size_t puts) {
    const bool merged = form == kPlainMerged || form == kGuardedMerged;
    const bool guarded = form == kGuarded || form == kGuardedMerged;
    const auto& statement = merged ? (guarded ? statements::kPutMany : kPlainUpserts)
                                   : (guarded ? statements::kPut : kPlainUpsert);
    const auto parameters = merged ? of_many(guarded, puts) : of_one(guarded);
    if (!parameters.send(connection, statement.name) || PQpipelineSync(connection) != 1) fail(message_of(connection));
  }

  Parameters of_one(bool guarded) {
    const auto key = key_of(random_.below(kKeys));
    Parameters parameters;
    if (guarded) {
      parameters.add(encoded(std::int32_t{0x46524553})).add("bench").add(encoded(std::int32_t{base::slot_of(key)}));
      parameters.add(encoded(token_));
    }
    parameters.add(key).add(encoded(static_cast<std::int64_t>(storage::position_of(key))));
    parameters.add(std::string(kValueBytes, 'v')).add(encoded(base::UniqueId::make()));
    if (guarded) parameters.add_null();
    return parameters;
  }

  Parameters of_many(bool guarded, std::size_t puts) {
    std::set<std::string> keys;
    while (keys.size() < puts) keys.insert(key_of(random_.below(kKeys)));
    std::set<std::int32_t> cells;
    ArrayBuilder cell_array(oid::kInt4), slots(oid::kInt4), tokens(oid::kUuid), key_array(oid::kBytea),
        positions(oid::kInt8), values(oid::kBytea), operations(oid::kUuid), expiries(oid::kInt8);
    for (const auto& key : keys) {
      cells.insert(base::cell_of(base::slot_of(key)));
      slots.add(encoded(std::int32_t{base::slot_of(key)}));
      tokens.add(encoded(token_));
      key_array.add(key);
      positions.add(encoded(static_cast<std::int64_t>(storage::position_of(key))));
      values.add(std::string(kValueBytes, 'v'));
      operations.add(encoded(base::UniqueId::make()));
      expiries.add(encoded(std::int64_t{0}));
    }
    for (const auto cell : cells) cell_array.add(encoded(cell));
    Parameters parameters;
    if (guarded) {
      parameters.add(encoded(std::int32_t{0x46524553})).add("bench").add(cell_array.take()).add(slots.take());
      parameters.add(tokens.take());
    }
    parameters.add(key_array.take()).add(positions.take()).add(values.take()).add(operations.take());
    if (guarded) parameters.add(expiries.take());
    return parameters;
  }

  int receive(PGconn* connection) {
    if (PQconsumeInput(connection) != 1) fail(message_of(connection));
    int syncs = 0;
    for (int nothing = 0; nothing < 2 && PQisBusy(connection) == 0;) {
      const Rows rows(PQgetResult(connection));
      if (!rows) {
        ++nothing;
        continue;
      }
      nothing = 0;
      if (PQresultStatus(rows.get()) == PGRES_PIPELINE_SYNC) {
        ++syncs;
      } else if (!succeeded(rows.get())) {
        fail(sql_error_of(rows.get()).message);
      }
    }
    return syncs;
  }

  const Settings settings_;
  const base::UniqueId token_;
  base::Random random_{1};
  std::vector<ConnectionPointer> connections_;
};

// As many write connections as the pipelines have; each write that ends begins the next.
class ThroughStorage {
 public:
  ThroughStorage(const Settings& settings, base::UniqueId token) : settings_(settings), token_(token) {
    PostgresOptions options;
    options.url = settings.url;
    options.fleet = "bench";
    // Three for guards and administration; the others are halved between reads and writes.
    options.connections = 2 * settings.connections + 3;
    auto storage = PostgresStorage::open(options);
    if (!storage) fail(storage.error().what);
    storage_ = std::move(*storage);
    std::atomic<bool> done = false;
    storage_->set_guard({0, base::kSlots - 1}, token, base::now() + 10 * base::kSecond, [&](Result<void> result) {
      if (!result) fail(result.error().what);
      done = true;
      done.notify_all();
    });
    done.wait(false);
  }

  double run() {
    done_ = 0;
    const auto begun = base::now();
    end_ = begun + static_cast<base::Nanoseconds>(settings_.seconds * base::kSecond);
    open_ = settings_.connections * settings_.depth;
    for (int i = 0; i < settings_.connections * settings_.depth; ++i) begin();
    for (int open = open_; open > 0; open = open_) open_.wait(open);
    return static_cast<double>(done_) * base::kSecond / static_cast<double>(base::now() - begun);
  }

 private:
  void begin() {
    storage::WriteRequest request;
    auto& mutation = request.mutations.emplace_back();
    {
      const std::lock_guard lock(mutex_);
      mutation.key = key_of(random_.below(kKeys));
    }
    mutation.value.assign(kValueBytes, 'v');
    mutation.token = token_;
    request.operation = base::UniqueId::make();
    request.deadline = base::now() + 30 * base::kSecond;
    storage_->write(std::move(request), [this](Result<storage::WriteReply> reply) {
      if (!reply) fail(reply.error().what);
      ++done_;
      if (base::now() < end_) return begin();
      --open_;
      open_.notify_all();
    });
  }

  const Settings settings_;
  const base::UniqueId token_;
  std::unique_ptr<PostgresStorage> storage_;
  std::mutex mutex_;
  base::Random random_{2};
  std::atomic<std::uint64_t> done_ = 0;
  std::atomic<base::Nanoseconds> end_ = 0;
  std::atomic<int> open_ = 0;
};

void print_ratio(const std::array<std::vector<double>, kForms>& rates, Form guarded, Form plain) {
  std::vector<double> ratios;
  for (std::size_t round = 0; round < rates[plain].size(); ++round) {
    ratios.push_back(rates[guarded][round] / rates[plain][round]);
  }
  fmt::print("{} beside {}: ratio median {:.3f}, lowest {:.3f}\n", kNames[guarded], kNames[plain], median(ratios),
             *std::min_element(ratios.begin(), ratios.end()));
}

int main_of(const Settings& settings) {
  const auto token = base::UniqueId::make();
  ThroughStorage through_storage(settings, token);
  Pipelines pipelines(settings, token);
  const auto run = [&](std::size_t form) {
    return form == kStorage ? through_storage.run() : pipelines.run(static_cast<Form>(form));
  };
  for (std::size_t form = 0; form < kForms; ++form) run(form);
  std::array<std::vector<double>, kForms> rates;
  for (int round = 0; round < settings.rounds; ++round) {
    // The order turns from round to round: none always runs after the same other.
    for (std::size_t i = 0; i < kForms; ++i) {
      const auto form = round % 2 == 0 ? i : kForms - 1 - i;
      rates[form].push_back(run(form));
    }
    fmt::print("round {}:", round + 1);
    for (std::size_t form = 0; form < kForms; ++form) fmt::print(" {} {:.0f}/s,", kNames[form], rates[form].back());
    fmt::print("\n");
  }
  fmt::print("{} connections, depth {}; medians:", settings.connections, settings.depth);
  for (std::size_t form = 0; form < kForms; ++form) fmt::print(" {} {:.0f}/s,", kNames[form], median(rates[form]));
  fmt::print("\n");
  print_ratio(rates, kGuarded, kPlain);
  print_ratio(rates, kGuardedMerged, kPlainMerged);
  print_ratio(rates, kStorage, kPlain);
  print_ratio(rates, kStorage, kPlainMerged);
  return 0;
}

}  // namespace
}  // namespace freshet

int main(int count, char** words) {
  if (count < 2) freshet::fail("usage: guarded_upsert_bench URL [connections [depth [seconds [rounds]]]]");
  freshet::Settings settings;
  settings.url = words[1];
  if (count > 2) settings.connections = std::atoi(words[2]);
  if (count > 3) settings.depth = std::atoi(words[3]);
  if (count > 4) settings.seconds = std::atof(words[4]);
  if (count > 5) settings.rounds = std::atoi(words[5]);
  return freshet::main_of(settings);
}
