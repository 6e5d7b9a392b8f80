// Observed collections, measured beside the same reads sent to PostgreSQL: latency, what the database pays, cold starts, and
// what being followed costs. Prints ratios and distributions from one run.
//
//   observed_bench "$(tools/temporary-postgres start /tmp/bench-pg 'wal_level = logical')" [figure …]
//
// Figures: latency, busy, rates, cost, bounded, cold, burst, followed; none named: all. Uses the tables bench_rows and
// bench_other and pgbench's own in that database: give it one of its own.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <thread>
#include <vector>

#include "database.h"
#include "readers.h"

namespace freshet::bench {
namespace {

constexpr int kRows = 100'000;
constexpr int kColdRows = 1'000'000;
constexpr base::Nanoseconds kPace = base::kMillisecond;

void print(const char* what, const ReadFigures& figures) {
  fmt::print("  {:<40} {:>9.0f} reads/s  p50 {:>6.0f} us  p99 {:>7.0f} us  {:>6.0f} probes/s  {:>7.2f} DB CPU s/million{}\n",
             what, figures.rate(), static_cast<double>(figures.latency_ns.at_quantile(0.5)) / 1e3,
             static_cast<double>(figures.latency_ns.at_quantile(0.99)) / 1e3,
             static_cast<double>(figures.probes) / figures.seconds, figures.cpu_seconds_a_million(),
             figures.failed == 0 ? "" : fmt::format("  FAILED {}", figures.failed));
}

cache::ReadOptions at(cache::Level level, base::Nanoseconds bound = 0) {
  cache::ReadOptions options;
  options.level = level;
  options.bound = bound;
  return options;
}

// A file for pgbench that ends with this object.
class Script {
 public:
  explicit Script(const std::string& text) : path_(std::filesystem::temp_directory_path() / "observed_bench.sql") {
    std::ofstream(path_) << text;
  }
  ~Script() { std::filesystem::remove(path_); }
  std::string path() const { return path_.string(); }

 private:
  const std::filesystem::path path_;
};

void measure_latency(const std::string& url) {
  fmt::print("One reader, nothing else at work:\n");
  const auto engine = open_warm(url, kRows);
  // Paced: back to back it would only show how far apart probes are sent.
  print("linearizable", read_through(*engine, at(cache::Level::linearizable), {url, kRows, 3, 0, 1, kPace}));
  print("prepared SELECT", read_by_sql({url, kRows, 3, 0, 1, kPace}));
}

void measure_busy(const std::string& url) {
  Pgbench::initialize(url);
  const auto engine = open_warm(url, kRows);
  {
    fmt::print("pgbench at full speed on other tables of the server:\n");
    const Pgbench load(url, 2);
    print("linearizable, 10 reads/ms", read_through(*engine, at(cache::Level::linearizable), {url, kRows, 5, 10'000}));
    print("prepared SELECT, 10 reads/ms", read_by_sql({url, kRows, 5, 10'000, 16}));
    print("linearizable, 16 readers", read_through(*engine, at(cache::Level::linearizable), {url, kRows, 3, 0, 16}));
    print("prepared SELECT, 16 readers", read_by_sql({url, kRows, 3, 0, 16}));
  }
  {
    fmt::print("pgbench writing rows of the followed table itself:\n");
    const auto before = engine->stats().observed;
    const Script script(fmt::format("\\set id random(0, {})\nUPDATE bench_rows SET n = n + 1 WHERE id = :id;\n", kRows - 1));
    const Pgbench load(url, 2, script.path());
    print("linearizable, 10 reads/ms", read_through(*engine, at(cache::Level::linearizable), {url, kRows, 5, 10'000}));
    print("prepared SELECT, 10 reads/ms", read_by_sql({url, kRows, 5, 10'000, 16}));
    print("linearizable, 1 paced reader",
          read_through(*engine, at(cache::Level::linearizable), {url, kRows, 3, 0, 1, kPace}));
    print("prepared SELECT, 1 paced reader", read_by_sql({url, kRows, 3, 0, 1, kPace}));
    const auto after = engine->stats().observed;
    fmt::print("  {} changes applied, {} nudges, {} reads passed through\n", after.changes_applied - before.changes_applied,
               after.nudges - before.nudges, after.passed_through - before.passed_through);
  }
  fmt::print("A bulk transaction open and idle:\n");
  const auto bulk = connect(url);
  run(bulk.get(), "BEGIN");
  run(bulk.get(), "INSERT INTO bench_other SELECT i, 0 FROM generate_series(1, 100000) i");
  print("linearizable, 1 reader", read_through(*engine, at(cache::Level::linearizable), {url, kRows, 3, 0, 1, kPace}));
  run(bulk.get(), "ROLLBACK");
}

void measure_rates(const std::string& url) {
  fmt::print("Linearizable reads at given rates (open loop), beside prepared SELECTs:\n");
  const auto engine = open_warm(url, kRows);
  for (const double a_ms : {1, 10, 100}) {
    const auto name = fmt::format("{:.0f} reads/ms, linearizable", a_ms);
    print(name.c_str(), read_through(*engine, at(cache::Level::linearizable), {url, kRows, 3, a_ms * 1000}));
  }
}

void measure_cost(const std::string& url) {
  fmt::print("What the database pays:\n");
  const auto direct = read_by_sql({url, kRows, 4, 0, 8});
  print("prepared SELECT, as many as it can", direct);
  for (const auto interval : {200 * base::kMicrosecond, 300 * base::kMicrosecond, base::kMillisecond}) {
    const auto engine = open_warm(url, kRows, interval);
    const auto followed = read_through(*engine, at(cache::Level::linearizable), {url, kRows, 4, 100'000});
    const auto name = fmt::format("100 reads/ms, probe_interval {} us", interval / base::kMicrosecond);
    print(name.c_str(), followed);
    fmt::print("  database CPU for the same reads: {:.1f} times less\n",
               direct.cpu_seconds_a_million() / followed.cpu_seconds_a_million());
  }
  const auto engine = open_warm(url, kRows);
  const auto highest = read_through(*engine, at(cache::Level::linearizable), {url, kRows, 4, 1'000'000});
  print("linearizable, as many as it can", highest);
  fmt::print("  highest rate: {:.1f} times that of prepared SELECTs\n", highest.rate() / direct.rate());
}

void measure_bounded(const std::string& url) {
  fmt::print("Levels that need no I/O, one thread:\n");
  const auto engine = open_warm(url, kRows);
  std::vector<double> ratios;
  for (int round = 0; round < 5; ++round) {
    const auto any = read_through(*engine, at(cache::Level::any), {url, kRows, 1});
    const auto bounded = read_through(*engine, at(cache::Level::bounded, 50 * base::kMillisecond), {url, kRows, 1});
    ratios.push_back(bounded.rate() / any.rate());
    if (round == 0) print("any", any), print("bounded 50ms", bounded);
  }
  std::sort(ratios.begin(), ratios.end());
  fmt::print("  bounded 50ms at {:.3f} of any (median of {}, {:.3f} to {:.3f})\n", ratios[2], ratios.size(), ratios.front(),
             ratios.back());
}

// How many statements of fills run at once on the server, at most, while `busy` is set.
int peak_fills(const std::string& url, const std::atomic<bool>& busy) {
  const auto session = connect(url);
  int peak = 0;
  while (busy) {
    const auto at_work = run(session.get(), "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
                                            "AND application_name LIKE 'freshet%' AND query LIKE '%bench_rows%'");
    peak = std::max(peak, std::stoi(at_work));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return peak;
}

// Readers of random rows, until nine of ten come from memory: how long the cache takes to be one (again).
void watch_hits_return(cache::Engine& engine, const std::string& url) {
  std::atomic<bool> busy{true};
  int peak = 0;
  std::thread watcher([&] { peak = peak_fills(url, busy); });
  const auto before = engine.stats().observed;
  const auto times = read_until_warm(engine, kColdRows);
  busy = false;
  watcher.join();
  const auto after = engine.stats().observed;
  const auto ms = [](base::Nanoseconds time) { return static_cast<double>(time) / 1e6; };
  fmt::print("  the first hit after {:.0f} ms, half of the reads after {:.0f} ms, nine of ten after {:.0f} ms; {} failed\n",
             ms(times.first), ms(times.half), ms(times.most), times.failed);
  fmt::print("  {} statements for {} keys, at most {} at once on the server\n",
             after.fill_statements - before.fill_statements, after.fills - before.fills, peak);
}

void measure_cold(const std::string& url) {
  fmt::print("Cold start, {} rows, random ones asked for by {} readers, {} at a time each:\n", kColdRows, kWarmingReaders,
             kWarmingBatch);
  make_tables(url, kColdRows);
  const auto begin = base::now();
  const auto engine = open_cold(url);
  fmt::print("  until the stream is followed: {:.0f} ms\n", static_cast<double>(base::now() - begin) / 1e6);
  watch_hits_return(*engine, url);
  fmt::print("The replication slot is dropped behind its back:\n");
  const auto session = connect(url);
  const auto lost = engine->stream_status().slots_lost;
  run(session.get(), "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active");
  run(session.get(), "DO $$ BEGIN LOOP BEGIN PERFORM pg_drop_replication_slot(slot_name) FROM pg_replication_slots; RETURN; "
                     "EXCEPTION WHEN object_in_use THEN PERFORM pg_terminate_backend(active_pid) FROM pg_replication_slots; "
                     "END; END LOOP; END $$");
  const auto dropped = base::now();
  while (engine->stream_status().slots_lost == lost || !engine->stats().observed.streaming) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  fmt::print("  until the stream is followed: {:.0f} ms\n", static_cast<double>(base::now() - dropped) / 1e6);
  watch_hits_return(*engine, url);
  make_tables(url, kRows);
}

void measure_burst(const std::string& url) {
  fmt::print("A burst of 1 M row changes in transactions of 100,000, readers meanwhile:\n");
  const auto engine = open_warm(url, kRows);
  std::atomic<bool> over{false};
  const auto before = engine->stats().observed;
  const auto cpu = follower_cpu_seconds();
  const auto begin = base::now();
  std::thread writer([&] {
    const auto session = connect(url);
    for (int i = 0; i < 10; ++i) run(session.get(), "UPDATE bench_rows SET n = n + 1");
    over = true;
  });
  for (bool linearizable = true; !over; linearizable = !linearizable) {
    const auto level = linearizable ? at(cache::Level::linearizable) : at(cache::Level::bounded, 50 * base::kMillisecond);
    print(linearizable ? "linearizable" : "bounded 50ms", read_through(*engine, level, {url, kRows, 0.5, 0, 4}));
  }
  writer.join();
  const auto written = base::now();
  while (engine->stats().observed.changes_applied - before.changes_applied < 1'000'000) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const double all = static_cast<double>(base::now() - begin) / 1e9;
  fmt::print("  written in {:.1f} s; applied {:.0f} ms later: {:.0f} changes/s end to end\n",
             static_cast<double>(written - begin) / 1e9, static_cast<double>(base::now() - written) / 1e6, 1e6 / all);
  fmt::print("  {:.0f} changes a second of the follower's thread, from the socket into the table, reads included\n",
             1e6 / (follower_cpu_seconds() - cpu));
}

void measure_followed(const std::string& url) {
  fmt::print("What being followed costs: pgbench's rate with Freshet attached against without, in turns:\n");
  Pgbench::initialize(url);
  const auto session = connect(url);
  const auto rate = [&] {
    const Pgbench load(url, 2);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    const auto before = commits(session.get());
    const auto begin = base::now();
    std::this_thread::sleep_for(std::chrono::seconds(3));
    return static_cast<double>(commits(session.get()) - before) * 1e9 / static_cast<double>(base::now() - begin);
  };
  std::vector<double> ratios;
  for (int round = 0; round < 5; ++round) {
    const double alone = rate();
    const auto engine = open_cold(url);
    ratios.push_back(rate() / alone);
  }
  std::sort(ratios.begin(), ratios.end());
  fmt::print("  {:.2f} (median of {}, {:.2f} to {:.2f})\n", ratios[ratios.size() / 2], ratios.size(), ratios.front(),
             ratios.back());
}

void measure(const std::string& url, const std::set<std::string>& wanted) {
  const std::vector<std::pair<std::string, std::function<void(const std::string&)>>> figures = {
      {"latency", measure_latency}, {"busy", measure_busy}, {"rates", measure_rates}, {"cost", measure_cost},
      {"bounded", measure_bounded}, {"cold", measure_cold}, {"burst", measure_burst}, {"followed", measure_followed}};
  make_tables(url, kRows);
  for (const auto& [name, run_figure] : figures) {
    if (wanted.empty() || wanted.contains(name)) run_figure(url);
  }
}

}  // namespace
}  // namespace freshet::bench

int main(int argc, char** argv) {
  if (argc < 2) freshet::bench::fail("which database? observed_bench URL [figure …]");
  std::setvbuf(stdout, nullptr, _IOLBF, 0);  // Each figure is seen as it is measured, also in a file.
  freshet::bench::measure(argv[1], std::set<std::string>(argv + 2, argv + argc));
  return 0;
}
