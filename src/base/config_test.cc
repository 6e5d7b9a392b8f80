// Configuration files: what is read, and that what is wrong is named by file, line, expectation and nearest name.
#include "base/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <fstream>

#include "base/config_schema.h"

namespace freshet::base {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

Error error_of(std::string_view text) {
  const auto config = parse_config(text, "freshet.toml");
  return config ? Error::of(ErrorCode::internal, "no error") : config.error();
}

TEST(ParseConfig, EmptyIsTheDefaults) { EXPECT_EQ(*parse_config("", "freshet.toml"), Config{}); }

TEST(ParseConfig, ReadsEveryType) {
  const auto config = parse_config(R"(
    [server]
    listen = "[::1]:7000"     # endpoint
    threads = 4               # integer
    password = "geheim \u00e9"  # text
    idle_timeout = "5min"     # duration
    log_level = "warning"     # choice
    [cache]
    memory = "2GiB"           # bytes
    cached_value_max = 4096   # bytes as a number
    [reads]
    deadline = "250ms"
  )", "freshet.toml");
  ASSERT_TRUE(config) << config.error().what;
  Config wanted;
  wanted.listen = "[::1]:7000";
  wanted.threads = 4;
  wanted.password = "geheim \u00e9";
  wanted.idle_timeout = 300 * kSecond;
  wanted.log_level = "warning";
  wanted.memory_bytes = 2ll << 30;
  wanted.cached_value_bytes_max = 4096;
  wanted.read_deadline = 250 * kMillisecond;
  EXPECT_EQ(*config, wanted);
}

TEST(ParseConfig, NamesTheNearestSetting) {
  const auto error = error_of("\n[server]\nlisen = \"127.0.0.1:1\"\n");
  EXPECT_EQ(error.what, "freshet.toml:3: there is no setting \"server.lisen\"");
  EXPECT_EQ(error.remedy, "Did you mean \"server.listen\"?");
  EXPECT_EQ(error_of("listen = \"127.0.0.1:1\"").remedy, "Did you mean \"server.listen\"?");
  EXPECT_EQ(error_of("[servr]\nlisten = \"127.0.0.1:1\"").remedy, "Did you mean section [server]?");
  EXPECT_THAT(error_of("[colour]\nof = 1").remedy, HasSubstr("docs/CONFIGURATION.md"));
}

TEST(ParseConfig, SaysWhatWasExpected) {
  EXPECT_EQ(error_of("[reads]\ndeadline = 5").what,
            "freshet.toml:2: reads.deadline: expected a duration with its unit, such as 500ms, from 1ms to 10min, "
            "found \"5\"");
  EXPECT_EQ(error_of("[server]\nthreads = \"4\"").what,
            "freshet.toml:2: server.threads: expected a whole number, from 0 to 256, found a text in quotes");
  EXPECT_THAT(error_of("[cache]\nmemory = 1.5").what, HasSubstr("found a number with a fraction"));
  EXPECT_THAT(error_of("[cache]\nmemory = true").what, HasSubstr("found true or false"));
  EXPECT_THAT(error_of("[server]\nlisten = [1]").what, HasSubstr("found an array"));
  EXPECT_THAT(error_of("server = 1").what, HasSubstr("no setting \"server\""));
}

TEST(ParseConfig, ReportsTheFirstErrorOfTheFile) {
  EXPECT_THAT(error_of("[storage]\nurll = \"x\"\n[cache]\nmemry = 1\n").what, StartsWith("freshet.toml:2:"));
}

TEST(ParseConfig, NamesTheLineOfASyntaxError) {
  EXPECT_THAT(error_of("[server]\nthreads = = 4\n").what, StartsWith("freshet.toml:2: "));
  EXPECT_THAT(error_of("[server]\nthreads = 1\nthreads = 2\n").what, StartsWith("freshet.toml:3: "));
  EXPECT_THAT(error_of("[ = = =").what, StartsWith("freshet.toml:1: "));  // Found by the fuzzer, as is
  EXPECT_THAT(error_of("[a\u0273]\n").what, StartsWith("freshet.toml:1: "));    // this.
}

TEST(ParseConfig, RefusesHugeFiles) {
  EXPECT_THAT(error_of(std::string(kConfigFileBytesMax + 1, '#')).what, HasSubstr("larger than 1MiB"));
}

// Any bytes give a configuration or an error that names the file, and never anything else.
RC_GTEST_PROP(ParseConfig, TakesAnyBytes, (const std::string& bytes)) {
  const auto config = parse_config("[server]\nlisten = " + bytes, "f.toml");
  RC_ASSERT(config || config.error().what.starts_with("f.toml:"));
}

TEST(ReadConfigFile, NamesAFileThatIsMissing) {
  const auto config = read_config_file("/nonexistent/freshet.toml");
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().what, "/nonexistent/freshet.toml: cannot be read");
  EXPECT_FALSE(read_config_file("/")) << "a directory is not a file";
}

TEST(ReadConfigFile, ReadsAFile) {
  const auto path = testing::TempDir() + "/config_test_" + std::to_string(testing::UnitTest::GetInstance()->random_seed());
  std::ofstream(path) << "[server]\nthreads = 3\n";
  const auto config = read_config_file(path);
  std::remove(path.c_str());
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(config->threads, 3);
}

// The example in the reference is a file that Freshet takes.
TEST(ConfigReference, ShowsAValidFile) {
  const auto page = config_reference();
  const auto begin = page.find("```toml\n") + 8;
  const auto config = parse_config(std::string_view(page).substr(begin, page.find("```", begin) - begin), "example");
  ASSERT_TRUE(config) << config.error().what;
  EXPECT_EQ(config->memory_bytes, 4ll << 30);
}

TEST(ConfigReference, NamesEverySetting) {
  const auto page = config_reference();
  for (const Setting& setting : settings()) EXPECT_THAT(page, HasSubstr("### `" + std::string(setting.key) + "`"));
}

}  // namespace
}  // namespace freshet::base
