// What a write guard costs: the guarded upsert of freshet.put against the same upsert without a guard, with synchronous
// commit, over the same libpq pipelines, alternating in one run. Prints both and their ratio.
//
//   guarded_upsert_bench "$(tools/temporary-postgres start /tmp/bench-pg)" [connections [depth [seconds [rounds]]]]
//
// Writes into schema freshet of that database (key prefix "bench:"): use one of its own. May use storage/postgres.
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "base/slot.h"
#include "storage/postgres/binary.h"
#include "storage/postgres/postgres_storage.h"
#include "storage/postgres/statements.h"

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

class Bench {
 public:
  Bench(const Settings& settings, base::UniqueId token) : settings_(settings), token_(token) {
    PostgresOptions options;
    for (int i = 0; i < settings.connections; ++i) {
      ConnectionPointer connection(PQconnectdb(settings.url.c_str()));
      if (PQstatus(connection.get()) != CONNECTION_OK) fail(message_of(connection.get()));
      Rows(PQexec(connection.get(), session_sql(options, options.lock_timeout).c_str()));
      for (const auto* statement : {&kPlainUpsert, &statements::kPut}) {
        Rows(PQprepare(connection.get(), statement->name, statement->sql, static_cast<int>(statement->types.size()),
                       statement->types.data()));
      }
      if (PQsetnonblocking(connection.get(), 1) != 0 || PQenterPipelineMode(connection.get()) != 1) fail("no pipeline mode");
      connections_.push_back(std::move(connection));
    }
  }

  // Upserts a second.
  double run(bool guarded) {
    std::vector<int> in_flight(connections_.size(), 0);
    std::uint64_t done = 0;
    const auto begun = base::now();
    const auto end = begun + static_cast<base::Nanoseconds>(settings_.seconds * base::kSecond);
    bool sending = true;
    while (true) {
      std::vector<pollfd> watched;
      int open = 0;
      sending = sending && base::now() < end;
      for (std::size_t i = 0; i < connections_.size(); ++i) {
        for (; sending && in_flight[i] < settings_.depth; ++in_flight[i]) send(connections_[i].get(), guarded);
        PQflush(connections_[i].get());
        open += in_flight[i];
        watched.push_back({PQsocket(connections_[i].get()), POLLIN, 0});
      }
      if (open == 0) break;
      poll(watched.data(), watched.size(), -1);
      for (std::size_t i = 0; i < connections_.size(); ++i) {
        if (watched[i].revents == 0) continue;
        const int finished = receive(connections_[i].get());
        in_flight[i] -= finished;
        done += static_cast<std::uint64_t>(finished);
      }
    }
    return static_cast<double>(done) * base::kSecond / static_cast<double>(base::now() - begun);
  }

 private:
  void send(PGconn* connection, bool guarded) {
    const auto key = fmt::format("bench:{}", random_.below(kKeys));
    const auto position = static_cast<std::int64_t>(storage::position_of(key));
    const std::string value(kValueBytes, 'v');
    const auto operation = base::UniqueId::make();
    Parameters parameters;
    if (guarded) {
      parameters.add(encoded(std::int32_t{0x46524553})).add("bench").add(encoded(std::int32_t{base::slot_of(key)}));
      parameters.add(encoded(token_));
    }
    parameters.add(key).add(encoded(position)).add(value).add(encoded(operation));
    if (guarded) parameters.add_null();
    if (!parameters.send(connection, guarded ? statements::kPut.name : kPlainUpsert.name) ||
        PQpipelineSync(connection) != 1) {
      fail(message_of(connection));
    }
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

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void prepare(const Settings& settings, base::UniqueId token) {
  PostgresOptions options;
  options.url = settings.url;
  options.fleet = "bench";
  auto storage = PostgresStorage::open(options);
  if (!storage) fail(storage.error().what);
  std::atomic<bool> done = false;
  (*storage)->set_guard({0, base::kSlots - 1}, token, base::now() + 10 * base::kSecond, [&](Result<void> result) {
    if (!result) fail(result.error().what);
    done = true;
    done.notify_all();
  });
  done.wait(false);
}

int main_of(const Settings& settings) {
  const auto token = base::UniqueId::make();
  prepare(settings, token);
  Bench bench(settings, token);
  bench.run(false);
  bench.run(true);
  std::vector<double> plain;
  std::vector<double> guarded;
  std::vector<double> ratios;
  for (int round = 0; round < settings.rounds; ++round) {
    // The order turns from round to round: neither always runs after the other.
    const bool guarded_first = round % 2 == 1;
    for (const bool with_guard : {guarded_first, !guarded_first}) {
      (with_guard ? guarded : plain).push_back(bench.run(with_guard));
    }
    ratios.push_back(guarded.back() / plain.back());
    fmt::print("round {}: plain {:.0f}/s, guarded {:.0f}/s, ratio {:.3f}\n", round + 1, plain.back(), guarded.back(),
               ratios.back());
  }
  fmt::print("{} connections, depth {}: plain {:.0f}/s, guarded {:.0f}/s (medians); ratio median {:.3f}, lowest {:.3f}\n",
             settings.connections, settings.depth, median(plain), median(guarded), median(ratios),
             *std::min_element(ratios.begin(), ratios.end()));
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
