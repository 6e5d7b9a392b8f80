// Every setting reaches the engine or the server; CONFIG's two languages, ours and Redis's.
#include "cli/process_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/config_schema.h"
#include "eviction/policies.h"

namespace freshet::cli {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Key;
using testing::Not;
using testing::Pair;

TEST(ProcessOptions, CarryEverySettingToTheEngine) {
  base::Config config;
  config.storage_url = "postgres://h/d";
  config.data_directory = "elsewhere";
  config.durability = "relaxed-loses-last-writes";
  config.memory_bytes = 5 << 20;
  config.cached_value_bytes_max = 77;
  config.policy = "lirs";
  config.fleet = "red";
  config.guard_dialect = "for-share";
  config.advisory_lock_class = -4;
  config.connections = 3;
  config.lease_duration = 11;
  config.read_deadline = 12;
  config.write_deadline = 13;
  config.key_value = "off";
  config.slot = "my_slot";
  config.publication = "my_publication";
  config.retained_wal_bytes_max = 9 << 20;
  config.fill_statements_max = 7;
  config.probe_interval = base::kMillisecond;
  const auto options = engine_options(config);
  EXPECT_EQ(options.storage_url, "postgres://h/d");
  EXPECT_EQ(options.data_directory, "elsewhere");
  EXPECT_TRUE(options.relaxed_durability);
  EXPECT_EQ(options.memory_bytes, std::size_t{5} << 20);
  EXPECT_EQ(options.cached_value_bytes_max, 77u);
  EXPECT_EQ(options.policy, "lirs");
  EXPECT_EQ(options.fleet, "red");
  EXPECT_TRUE(options.for_share_dialect);
  EXPECT_EQ(options.advisory_lock_class, -4);
  EXPECT_EQ(options.storage_connections, 3);
  EXPECT_EQ(options.lease, 11);
  EXPECT_EQ(options.read_deadline, 12);
  EXPECT_EQ(options.write_deadline, 13);
  EXPECT_FALSE(options.key_value);
  EXPECT_EQ(options.slot, "my_slot");
  EXPECT_EQ(options.publication, "my_publication");
  EXPECT_EQ(options.retained_wal_bytes_max, 9 << 20);
  EXPECT_EQ(options.fill_statements_max, 7);
  EXPECT_EQ(options.probe_interval, base::kMillisecond);
  EXPECT_TRUE(engine_options({}).key_value);
  EXPECT_TRUE(engine_options({}).collections.empty());
}

TEST(ProcessOptions, CarryCollectionsToTheEngine) {
  const auto config = base::parse_config(R"(
[[collection]]
name = "rows"
table = "app.t"
columns = { a = "b" }
read_level = "bounded 50ms"
[[collection]]
name = "results"
query = "SELECT 1"
depends_on = ["u"]
read_level = "any"
[[collection]]
name = "strict"
table = "t"
)", "f.toml");
  ASSERT_TRUE(config) << config.error().what;
  const auto specs = engine_options(*config).collections;
  ASSERT_EQ(specs.size(), 3u);
  EXPECT_EQ(specs[0].name, "rows");
  EXPECT_EQ(specs[0].table, "app.t");
  EXPECT_EQ(specs[0].columns, (std::vector<std::pair<std::string, std::string>>{{"a", "b"}}));
  EXPECT_EQ(specs[0].level, storage::Level::bounded);
  EXPECT_EQ(specs[0].bound, 50 * base::kMillisecond);
  EXPECT_EQ(specs[0].line, 2);
  EXPECT_FALSE(specs[0].declared);
  EXPECT_EQ(specs[1].query, "SELECT 1");
  EXPECT_EQ(specs[1].depends_on, std::vector<std::string>{"u"});
  EXPECT_TRUE(specs[1].declared);
  EXPECT_EQ(specs[1].level, storage::Level::any);
  EXPECT_EQ(specs[2].level, storage::Level::linearizable);
}

TEST(ProcessOptions, CarryEverySettingToTheServer) {
  base::Config config;
  config.listen = "[::1]:1";
  config.threads = 3;
  config.password = "secret";
  config.metrics = "127.0.0.1:9";
  config.clients_max = 17;
  config.idle_timeout = 1500 * base::kMillisecond;
  config.keepalive = 60 * base::kSecond;
  config.argument_bytes_max = 1 << 20;
  config.query_buffer_bytes_max = 2 << 20;
  config.output_buffer_bytes_max = 3 << 20;
  config.client_memory_bytes_max = 4 << 20;
  const auto options = server_options(config);
  EXPECT_EQ(options.listen, "[::1]:1");
  EXPECT_EQ(options.threads, 3);
  EXPECT_EQ(options.password, "secret");
  EXPECT_EQ(options.metrics, "127.0.0.1:9");
  EXPECT_EQ(options.clients_max, 17);
  EXPECT_EQ(options.idle_timeout_seconds, 2) << "rounded up: a short time is not \"never\"";
  EXPECT_EQ(options.tcp_keepalive_seconds, 60);
  EXPECT_EQ(options.request.bulk_bytes_max, 1 << 20);
  EXPECT_EQ(options.query_buffer_bytes_max, std::size_t{2} << 20);
  EXPECT_EQ(options.output_buffer_bytes_max, std::size_t{3} << 20);
  EXPECT_EQ(options.client_memory_bytes_max, std::size_t{4} << 20);
}

TEST(LiveSettings, ListBothNamesButNoSecrets) {
  base::Config config;
  config.password = "hunter2";
  const auto all = LiveSettings(config).list();
  EXPECT_THAT(all, Contains(Pair("cache.memory", "1GiB")));
  EXPECT_THAT(all, Contains(Pair("maxmemory", "1073741824")));
  EXPECT_THAT(all, Contains(Pair("tcp-keepalive", "300")));
  EXPECT_THAT(all, Contains(Pair("appendonly", "no")));
  EXPECT_THAT(all, Not(Contains(Key("server.password"))));
  for (const auto& [name, text] : all) EXPECT_THAT(text, Not(HasSubstr("hunter2"))) << name;
}

TEST(LiveSettings, NameThePoliciesThatThereAre) {
  const auto choices = base::choices_of(*base::find_setting("cache.policy"));
  const auto policies = eviction::table_policies();
  ASSERT_EQ(choices.size(), policies.size() + 1);
  EXPECT_EQ(choices[0], eviction::kAutomaticPolicy);
  for (std::size_t i = 0; i < policies.size(); ++i) EXPECT_EQ(choices[i + 1], policies[i].name);
  EXPECT_EQ(base::Config{}.policy, eviction::kDefaultPolicy);
}

TEST(LiveSettings, ChangeByEitherNameAndTellIt) {
  LiveSettings settings{base::Config{}};
  base::Config told;
  settings.on_change([&](const base::Config& config) { told = config; });
  EXPECT_TRUE(settings.set("cache.memory", "64MiB"));
  EXPECT_EQ(told.memory_bytes, 64 << 20);
  EXPECT_TRUE(settings.set("maxmemory", "100mb"));
  EXPECT_EQ(told.memory_bytes, 100 << 20);
  EXPECT_TRUE(settings.set("timeout", "30"));
  EXPECT_EQ(told.idle_timeout, 30 * base::kSecond);
  EXPECT_TRUE(settings.set("maxclients", "5"));
  EXPECT_EQ(told.clients_max, 5);
}

TEST(LiveSettings, TellWhatChangedBeforeTheyWereAsked) {
  LiveSettings settings{base::Config{}};
  EXPECT_TRUE(settings.set("server.log_level", "error"));
  std::string level;
  settings.on_change([&](const base::Config& config) { level = config.log_level; });
  EXPECT_EQ(level, "error");
}

TEST(LiveSettings, RefuseInWords) {
  LiveSettings settings{base::Config{}};
  int calls = 0;
  settings.on_change([&](const base::Config&) { ++calls; });
  const auto unknown = settings.set("cache.memry", "1GiB");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(unknown.error().remedy, "did you mean \"cache.memory\"?");
  const auto fixed = settings.set("server.listen", "127.0.0.1:1");
  ASSERT_FALSE(fixed);
  EXPECT_EQ(fixed.error().code, ErrorCode::unsupported);
  EXPECT_THAT(fixed.error().remedy, HasSubstr("--listen"));
  const auto wrong = settings.set("maxclients", "none");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().code, ErrorCode::invalid_argument);
  EXPECT_EQ(calls, 1) << "only the call that tells what stands already";
}

TEST(RedisText, KnowsRedissUnits) {
  const auto& memory = *base::find_setting("cache.memory");
  EXPECT_EQ(from_redis_text(memory, "100"), "100");
  EXPECT_EQ(from_redis_text(memory, "1k"), "1kB");
  EXPECT_EQ(from_redis_text(memory, "2gb"), "2GiB");
  EXPECT_EQ(from_redis_text(memory, "2GiB"), "2GiB");
  const auto& timeout = *base::find_setting("server.idle_timeout");
  EXPECT_EQ(from_redis_text(timeout, "0"), "0");
  EXPECT_EQ(from_redis_text(timeout, "30"), "30s");
  base::Config config;
  config.idle_timeout = 1500 * base::kMillisecond;
  EXPECT_EQ(to_redis_text(config, timeout), "2");
}

}  // namespace
}  // namespace freshet::cli
