// A private PostgreSQL for tests, by tools/temporary-postgres: one server a test program, a database of its own for a test.
// May use libpq.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace freshet::testing {

class TemporaryPostgres {
 public:
  using Row = std::vector<std::string>;

  // Starts a server in a new directory; ends the program with a message if that fails. It ends with this object, or with
  // the process.
  explicit TemporaryPostgres(const std::vector<std::string>& configuration = {});
  ~TemporaryPostgres();
  TemporaryPostgres(const TemporaryPostgres&) = delete;
  TemporaryPostgres& operator=(const TemporaryPostgres&) = delete;

  // The program's server, started at the first call, with settings that suit tests.
  static TemporaryPostgres& shared();

  // A streaming standby of this server.
  std::unique_ptr<TemporaryPostgres> make_standby();
  void promote();

  // A new database, and the URL to it as the superuser.
  std::string create_database();
  std::string url(const std::string& database = "postgres", const std::string& user = "postgres") const;
  // The same by way of another port of this machine: a proxy's.
  std::string url_through(int proxy_port, const std::string& database) const;
  int port() const { return port_; }

  void restart(const std::string& mode = "fast");
  void halt(const std::string& mode = "fast");
  void resume();

  // Runs SQL in a session of its own; ends the program with a message if it fails.
  static std::vector<Row> run(const std::string& url, const std::string& sql);

 private:
  TemporaryPostgres(const TemporaryPostgres* primary, const std::vector<std::string>& configuration);

  std::string directory_;
  int port_ = 0;
  int databases_ = 0;
};

// The database's name in a URL made above.
std::string database_of(const std::string& url);

// One session that stays open, for transactions that a test holds open.
class SqlSession {
 public:
  explicit SqlSession(const std::string& url, const std::string& application_name = "test");
  ~SqlSession();
  SqlSession(const SqlSession&) = delete;
  SqlSession& operator=(const SqlSession&) = delete;

  struct Outcome {
    bool ok = false;
    std::string state;  // The SQLSTATE of an error.
    std::string message;
    std::vector<TemporaryPostgres::Row> rows;
  };
  Outcome run(const std::string& sql);
  // Begins a statement, and collects its outcome later.
  void start(const std::string& sql);
  Outcome finish();
  int process() const;

 private:
  void* connection_;
};

}  // namespace freshet::testing
