// See database.h.
#include "database.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

namespace freshet::bench {
namespace {

std::string pgbench_path() {
  const char* folder = std::getenv("FRESHET_POSTGRES_BIN");
  return std::string(folder == nullptr ? "/usr/lib/postgresql/15/bin" : folder) + "/pgbench";
}

pid_t spawn(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
  pid_t process = 0;
  if (posix_spawn(&process, arguments[0], &files, nullptr, arguments.data(), environ) != 0) fail("cannot run " + words[0]);
  posix_spawn_file_actions_destroy(&files);
  return process;
}

// Parent, and the times that proc(5) gives: user, system, and those of children that were waited for, in ticks.
struct ProcessTimes {
  pid_t parent = 0;
  std::array<std::uint64_t, 4> ticks{};
};

bool read_times(const std::filesystem::path& folder, ProcessTimes& times) {
  std::ifstream file(folder / "stat");
  std::string line;
  if (!std::getline(file, line)) return false;
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::string skipped;
  fields >> skipped >> times.parent;
  for (int i = 0; i < 9; ++i) fields >> skipped;
  for (auto& ticks : times.ticks) fields >> ticks;
  return static_cast<bool>(fields);
}

}  // namespace

void fail(const std::string& what) {
  fmt::print(stderr, "observed_bench: {}\n", what);
  std::exit(1);
}

Session connect(const std::string& url) {
  Session session(PQconnectdb(url.c_str()));
  if (PQstatus(session.get()) != CONNECTION_OK) fail(PQerrorMessage(session.get()));
  return session;
}

std::string run(PGconn* session, const std::string& sql) {
  const std::unique_ptr<PGresult, decltype(&PQclear)> result(PQexec(session, sql.c_str()), &PQclear);
  const auto status = PQresultStatus(result.get());
  if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) fail(PQerrorMessage(session));
  return PQntuples(result.get()) > 0 ? PQgetvalue(result.get(), 0, 0) : "";
}

void make_tables(const std::string& url, int rows) {
  const auto session = connect(url);
  run(session.get(), "DROP TABLE IF EXISTS bench_rows, bench_other");
  run(session.get(), "CREATE TABLE bench_rows (id int PRIMARY KEY, n bigint NOT NULL, filler text NOT NULL)");
  run(session.get(),
      fmt::format("INSERT INTO bench_rows SELECT i, 0, repeat('x', 100) FROM generate_series(0, {}) i", rows - 1));
  run(session.get(), "CREATE TABLE bench_other (id int PRIMARY KEY, n bigint NOT NULL)");
  run(session.get(), "VACUUM ANALYZE bench_rows");
}

double follower_cpu_seconds() {
  std::uint64_t ticks = 0;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(thread.path() / "comm") >> std::ws, name);
    ProcessTimes times;
    if (name == "freshet-follow" && read_times(thread.path(), times)) ticks += times.ticks[0] + times.ticks[1];
  }
  return static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

ServerClock::ServerClock(const std::string& url) {
  const auto session = connect(url);
  ProcessTimes backend;
  const auto folder = "/proc/" + run(session.get(), "SELECT pg_backend_pid()");
  if (!read_times(folder, backend)) fail("the server is not on this machine");
  postmaster_ = backend.parent;
}

double ServerClock::seconds() const {
  std::uint64_t ticks = 0;
  ProcessTimes times;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const auto name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != name.npos || !read_times(entry.path(), times)) continue;
    if (times.parent == postmaster_) ticks += times.ticks[0] + times.ticks[1];
    if (std::to_string(postmaster_) == name) ticks += times.ticks[0] + times.ticks[1] + times.ticks[2] + times.ticks[3];
  }
  return static_cast<double>(ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
}

void Pgbench::initialize(const std::string& url) {
  const pid_t process = spawn({pgbench_path(), "--initialize", "--quiet", "--scale", "2", url});
  int status = 0;
  if (waitpid(process, &status, 0) != process || status != 0) fail("pgbench --initialize failed");
}

Pgbench::Pgbench(const std::string& url, int clients, const std::string& script) {
  std::vector<std::string> words = {pgbench_path(), "--no-vacuum", "--client", std::to_string(clients), "--time", "1000000"};
  if (!script.empty()) words.insert(words.end(), {"--file", script});
  words.push_back(url);
  process_ = spawn(words);
}

Pgbench::~Pgbench() {
  kill(process_, SIGTERM);
  waitpid(process_, nullptr, 0);
}

std::uint64_t commits(PGconn* session) {
  run(session, "SELECT pg_stat_clear_snapshot()");
  return std::stoull(run(session, "SELECT sum(xact_commit) FROM pg_stat_database"));
}

}  // namespace freshet::bench
