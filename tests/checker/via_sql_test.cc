// The tool with SQL readers in the history: a store that keeps its data in freshet.kv, where it must find nothing, and one
// that acknowledges writes which the database does not have, which only SQL readers can find.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "checker/check_command.h"
#include "checker/load.h"
#include "redis_servers.h"
#include "temporary_postgres.h"

namespace freshet::test {
namespace {

using freshet::testing::SqlSession;
using freshet::testing::TemporaryPostgres;
using ::testing::AllOf;
using ::testing::HasSubstr;
using checker::CheckOptions;
using protocol::ReplyType;

constexpr std::uint64_t kSeed = 17;

// The columns of the table that readers need, and a sequence.
std::string create_store() {
  const std::string url = TemporaryPostgres::shared().create_database();
  TemporaryPostgres::run(url,
                         "CREATE SCHEMA freshet; CREATE SEQUENCE freshet.version;"
                         "CREATE TABLE freshet.kv (key bytea PRIMARY KEY, value bytea, version bigint NOT NULL)");
  return url;
}

std::string literal(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text = "'\\x";
  for (const unsigned char byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text + "'::bytea";
}

client::Reply reply_of(ReplyType type, std::string text = {}, std::int64_t integer = 0) {
  client::Reply reply;
  reply.type = type;
  reply.text = std::move(text);
  reply.integer = integer;
  return reply;
}

// Each command is one statement on freshet.kv, each client a session: as linearizable as PostgreSQL. Values are text.
class SqlStore : public Fault {
 public:
  explicit SqlStore(std::string url) : url_(std::move(url)) {}

  std::optional<client::Reply> answer(Args args, client::Connection& upstream) override {
    SqlSession& session = session_of(upstream);
    const std::string_view name = args[0];
    if (name == "GET") return get(session, args[1]);
    if (name == "MGET") {
      client::Reply reply = reply_of(ReplyType::array);
      for (const std::string_view key : args.subspan(1)) reply.items.push_back(get(session, key));
      return reply;
    }
    if (name == "SET") return set(session, args);
    if (name == "DEL") {
      const std::string erase = "UPDATE freshet.kv SET value = NULL, version = nextval('freshet.version') WHERE key = " +
                                literal(args[1]) + " AND value IS NOT NULL RETURNING 1";
      return reply_of(ReplyType::integer, {}, static_cast<std::int64_t>(rows_of(session, erase).size()));
    }
    if (name == "INCRBY") {
      const std::string sum = "coalesce(convert_from(r.value, 'UTF8'), '0')::bigint + " + std::string(args[2]);
      const std::string next = "convert_to((" + sum + ")::text, 'UTF8')";
      return number(session, upsert(args[1], literal(args[2]), next) + " RETURNING convert_from(value, 'UTF8')");
    }
    if (name == "APPEND") {
      const std::string value = literal(args[2]);
      return number(session, upsert(args[1], value, "coalesce(r.value, '') || " + value) + " RETURNING length(value)");
    }
    return reply_of(ReplyType::error, "ERR unknown command '" + std::string(name) + "'");
  }

 private:
  SqlSession& session_of(const client::Connection& upstream) {
    std::lock_guard lock(mutex_);
    std::unique_ptr<SqlSession>& session = sessions_[&upstream];
    if (!session) session = std::make_unique<SqlSession>(url_);
    return *session;
  }

  static std::vector<TemporaryPostgres::Row> rows_of(SqlSession& session, const std::string& sql) {
    SqlSession::Outcome outcome = session.run(sql);
    EXPECT_TRUE(outcome.ok) << sql << ": " << outcome.message;
    return std::move(outcome.rows);
  }

  static client::Reply number(SqlSession& session, const std::string& sql) {
    return reply_of(ReplyType::integer, {}, std::stoll(rows_of(session, sql).at(0).at(0)));
  }

  static std::string upsert(std::string_view key, const std::string& first, const std::string& next,
                            const std::string& where = {}) {
    return "INSERT INTO freshet.kv AS r VALUES (" + literal(key) + ", " + first + ", nextval('freshet.version')) " +
           "ON CONFLICT (key) DO UPDATE SET value = " + next + ", version = nextval('freshet.version')" + where;
  }

  static client::Reply get(SqlSession& session, std::string_view key) {
    const auto rows = rows_of(
        session, "SELECT convert_from(value, 'UTF8') FROM freshet.kv WHERE value IS NOT NULL AND key = " + literal(key));
    return rows.empty() ? reply_of(ReplyType::null) : reply_of(ReplyType::bulk, rows[0][0]);
  }

  static client::Reply set(SqlSession& session, Args args) {
    const bool if_absent = args.size() == 4;
    const std::string value = literal(args[2]);
    const std::string where = if_absent ? " WHERE r.value IS NULL" : "";
    const auto rows = rows_of(session, upsert(args[1], value, value, where) + " RETURNING 1");
    return rows.empty() ? reply_of(ReplyType::null) : reply_of(ReplyType::simple, "OK");
  }

  const std::string url_;
  std::mutex mutex_;
  std::map<const client::Connection*, std::unique_ptr<SqlSession>> sessions_;
};

CheckOptions options_for(std::string target, std::string url, std::uint64_t operations) {
  CheckOptions options;
  options.target = std::move(target);
  options.via_sql = std::move(url);
  options.seconds = 60;
  options.operations = operations;
  options.seed = kSeed;
  options.call_deadline = 10 * base::kSecond;
  return options;
}

TEST(ViaSql, ReadersAgreeWithAStoreInTheDatabase) {
  const std::string url = create_store();
  const RedisServer redis;  // The proxy's upstream; the store does not use it.
  SqlStore store(url);
  const FaultyProxy proxy(redis.target(), store);
  std::ostringstream out;
  EXPECT_EQ(run_check(options_for(proxy.target(), url, 15'000), out), checker::kExitFine) << out.str();
  EXPECT_THAT(out.str(), HasSubstr("no violation"));
}

TEST(ViaSql, WritesThatTheDatabaseDoesNotHaveAreFoundWithin5000Operations) {
  const std::string url = create_store();
  const RedisServer redis;
  const std::string target = "127.0.0.1:" + std::to_string(redis.target().port);
  std::ostringstream out;
  EXPECT_EQ(run_check(options_for(target, url, 5'000), out), checker::kExitViolation) << out.str();
  EXPECT_THAT(out.str(), AllOf(HasSubstr("absent, by SQL"), HasSubstr("VIOLATION")));
}

TEST(ViaSql, SaysWhatIsWrongWithTheDatabase) {
  const RedisServer redis;
  const std::string target = "127.0.0.1:" + std::to_string(redis.target().port);
  std::ostringstream out;
  EXPECT_EQ(run_check(options_for(target, TemporaryPostgres::shared().create_database(), 100), out),
            checker::kExitInconclusive);
  EXPECT_THAT(out.str(), HasSubstr("cannot read freshet.kv"));
  EXPECT_EQ(run_check(options_for(target, "postgres://postgres@127.0.0.1:1/nothing", 100), out), checker::kExitInconclusive);
  EXPECT_THAT(out.str(), HasSubstr("cannot connect by SQL"));
}

}  // namespace
}  // namespace freshet::test
