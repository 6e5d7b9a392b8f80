// Starting servers through the script, and SQL through libpq.
#include "temporary_postgres.h"

#include <libpq-fe.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>

namespace freshet::testing {
namespace {

[[noreturn]] void give_up(const std::string& what) {
  std::cerr << "temporary PostgreSQL: " << what << std::endl;
  std::abort();
}

std::string quoted(const std::string& word) {
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

// Runs the script, and returns the last line that it printed.
std::string script(const std::vector<std::string>& words) {
  std::string command = quoted(FRESHET_SOURCE_DIR "/tools/temporary-postgres");
  for (const auto& word : words) command += ' ' + quoted(word);
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) give_up("cannot run " + command);
  std::string output;
  std::array<char, 512> buffer;
  while (fgets(buffer.data(), buffer.size(), pipe) != nullptr) output += buffer.data();
  if (pclose(pipe) != 0) give_up(command + " failed");
  while (!output.empty() && output.back() == '\n') output.pop_back();
  return output.substr(output.rfind('\n') + 1);
}

std::string new_directory() {
  static int number = 0;
  auto parent = std::filesystem::temp_directory_path();
  return parent / ("freshet-postgres-" + std::to_string(getpid()) + "-" + std::to_string(++number));
}

SqlSession::Outcome outcome_of(PGresult* result) {
  SqlSession::Outcome outcome;
  const auto status = PQresultStatus(result);
  outcome.ok = status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
  if (const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE)) outcome.state = state;
  outcome.message = PQresultErrorMessage(result);
  for (int row = 0; row < PQntuples(result); ++row) {
    auto& cells = outcome.rows.emplace_back();
    for (int column = 0; column < PQnfields(result); ++column) cells.emplace_back(PQgetvalue(result, row, column));
  }
  PQclear(result);
  return outcome;
}

PGconn* pg(void* connection) { return static_cast<PGconn*>(connection); }

}  // namespace

TemporaryPostgres::TemporaryPostgres(const std::vector<std::string>& configuration)
    : TemporaryPostgres(nullptr, configuration) {}

TemporaryPostgres::TemporaryPostgres(const TemporaryPostgres* primary, const std::vector<std::string>& configuration)
    : directory_(new_directory()) {
  std::vector<std::string> words{primary == nullptr ? "start" : "standby", directory_};
  if (primary != nullptr) words.push_back(primary->directory_);
  words.insert(words.end(), {"--with", std::to_string(getpid())});
  words.insert(words.end(), configuration.begin(), configuration.end());
  const auto url = script(words);
  port_ = std::atoi(url.substr(url.rfind(':') + 1).c_str());
  if (port_ == 0) give_up("no port in '" + url + "'");
}

TemporaryPostgres::~TemporaryPostgres() { script({"stop", directory_}); }

TemporaryPostgres& TemporaryPostgres::shared() {
  // Without fsync: a killed server loses nothing that the kernel has, and tests end sooner.
  static TemporaryPostgres server({"fsync = off", "max_connections = 200", "shared_buffers = 64MB"});
  return server;
}

std::unique_ptr<TemporaryPostgres> TemporaryPostgres::make_standby() {
  return std::unique_ptr<TemporaryPostgres>(new TemporaryPostgres(this, {"fsync = off", "max_connections = 200"}));
}

void TemporaryPostgres::promote() { script({"promote", directory_}); }
void TemporaryPostgres::restart(const std::string& mode) { script({"restart", directory_, mode}); }
void TemporaryPostgres::halt(const std::string& mode) { script({"halt", directory_, mode}); }
void TemporaryPostgres::resume() { script({"resume", directory_}); }

std::string TemporaryPostgres::create_database() {
  const auto name = "test_" + std::to_string(++databases_);
  run(url(), "CREATE DATABASE " + name);
  return url(name);
}

std::string TemporaryPostgres::url(const std::string& database, const std::string& user) const {
  return "postgres://" + user + "@127.0.0.1:" + std::to_string(port_) + "/" + database;
}

std::string TemporaryPostgres::url_through(int proxy_port, const std::string& database) const {
  return "postgres://postgres@127.0.0.1:" + std::to_string(proxy_port) + "/" + database;
}

std::vector<TemporaryPostgres::Row> TemporaryPostgres::run(const std::string& url, const std::string& sql) {
  auto outcome = SqlSession(url).run(sql);
  if (!outcome.ok) give_up(sql.substr(0, 200) + ": " + outcome.message);
  return std::move(outcome.rows);
}

std::string database_of(const std::string& url) { return url.substr(url.rfind('/') + 1); }

SqlSession::SqlSession(const std::string& url, const std::string& application_name) {
  const char* const keywords[] = {"dbname", "application_name", nullptr};
  const char* const values[] = {url.c_str(), application_name.c_str(), nullptr};
  connection_ = PQconnectdbParams(keywords, values, 1);
  if (PQstatus(pg(connection_)) != CONNECTION_OK) give_up(PQerrorMessage(pg(connection_)));
  PQsetNoticeProcessor(pg(connection_), [](void*, const char*) {}, nullptr);
}

SqlSession::~SqlSession() { PQfinish(pg(connection_)); }

SqlSession::Outcome SqlSession::run(const std::string& sql) { return outcome_of(PQexec(pg(connection_), sql.c_str())); }

void SqlSession::start(const std::string& sql) {
  if (PQsendQuery(pg(connection_), sql.c_str()) != 1) give_up(PQerrorMessage(pg(connection_)));
}

SqlSession::Outcome SqlSession::finish() {
  Outcome last;
  while (PGresult* result = PQgetResult(pg(connection_))) last = outcome_of(result);
  return last;
}

int SqlSession::process() const { return PQbackendPID(pg(connection_)); }

}  // namespace freshet::testing
