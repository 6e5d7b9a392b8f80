// The database of the observed benchmarks: its tables, its load, and what it costs: processor time of all its processes. On
// the same machine as the benchmark. May use libpq.
#pragma once

#include <libpq-fe.h>
#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

namespace freshet::bench {

[[noreturn]] void fail(const std::string& what);

struct Finish {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using Session = std::unique_ptr<PGconn, Finish>;
Session connect(const std::string& url);
// Runs SQL and gives the first field of the last result; ends the program if it fails.
std::string run(PGconn* session, const std::string& sql);

// Makes bench_rows (id, filler) with so many rows, and a table `bench_other` for bursts.
void make_tables(const std::string& url, int rows);

// Seconds of processor time that the server's processes have used, user and system, ended ones included.
class ServerClock {
 public:
  explicit ServerClock(const std::string& url);
  double seconds() const;

 private:
  pid_t postmaster_ = 0;
};

// pgbench at full speed; it ends with this object.
class Pgbench {
 public:
  static void initialize(const std::string& url);
  // `script`: what it runs, a file; empty: TPC-B on its own tables.
  Pgbench(const std::string& url, int clients, const std::string& script = "");
  ~Pgbench();
  Pgbench(const Pgbench&) = delete;
  Pgbench& operator=(const Pgbench&) = delete;

 private:
  pid_t process_ = 0;
};

// Seconds of processor time of this process's follower, all its threads.
double follower_cpu_seconds();

// Transactions that the database has committed.
std::uint64_t commits(PGconn* session);

}  // namespace freshet::bench
