// Flags over file over defaults; every mistake is answered by one line and a hint.
#include "cli/arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <fstream>

#include "base/config_schema.h"

namespace freshet::cli {
namespace {

using testing::HasSubstr;

struct Parsed {
  std::optional<int> exit_code;
  Result<base::Config> config = base::Config{};
  std::string said;
};

Parsed parse_serve(std::vector<std::string> words) {
  CLI::App app("", "freshet serve");
  ConfigFlags flags(app);
  Parsed parsed;
  testing::internal::CaptureStderr();
  parsed.exit_code = parse(app, words);
  parsed.said = testing::internal::GetCapturedStderr();
  parsed.config = flags.config();
  return parsed;
}

class ConfigFile {
 public:
  explicit ConfigFile(std::string_view text) { std::ofstream(path_) << text; }
  ~ConfigFile() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = testing::TempDir() + "/arguments_test_" + std::to_string(getpid()) + ".toml";
};

TEST(ConfigFlags, StandOverTheFile) {
  const ConfigFile file("[server]\nthreads = 3\nmax_clients = 7\n");
  const auto parsed = parse_serve({"--threads", "5", "--config", file.path()});
  ASSERT_EQ(parsed.exit_code, std::nullopt);
  ASSERT_TRUE(parsed.config) << parsed.config.error().what;
  EXPECT_EQ(parsed.config->threads, 5);
  EXPECT_EQ(parsed.config->clients_max, 7);
}

TEST(ConfigFlags, TakeTheLastOfTwo) {
  const auto parsed = parse_serve({"--data", "a", "--data=b"});
  ASSERT_TRUE(parsed.config);
  EXPECT_EQ(parsed.config->data_directory, "b");
}

TEST(ConfigFlags, ExistForEverySetting) {
  for (const base::Setting& setting : base::settings()) {
    const auto text = base::text_of({}, setting);
    const auto parsed = parse_serve({"--" + std::string(setting.flag), text});
    EXPECT_EQ(parsed.exit_code, std::nullopt) << parsed.said;
    EXPECT_TRUE(parsed.config);
  }
}

TEST(ConfigFlags, NameAWrongValue) {
  const auto parsed = parse_serve({"--memory", "lots"});
  ASSERT_FALSE(parsed.config);
  EXPECT_EQ(parsed.config.error().what, "--memory: expected a size such as 512MiB, from 1MiB, found \"lots\"");
}

TEST(ConfigFlags, NameAWrongFile) {
  const auto parsed = parse_serve({"--config", "/nonexistent.toml"});
  ASSERT_FALSE(parsed.config);
  EXPECT_THAT(parsed.config.error().what, HasSubstr("/nonexistent.toml: cannot be read"));
}

TEST(Parse, NamesTheNearestFlag) {
  const auto parsed = parse_serve({"--lisen", "127.0.0.1:1"});
  EXPECT_EQ(parsed.exit_code, kExitUsage);
  EXPECT_EQ(parsed.said, "freshet serve: there is no argument \"--lisen\"; did you mean --listen?\n");
  EXPECT_THAT(parse_serve({"--lisen=127.0.0.1:1"}).said, HasSubstr("did you mean --listen?"));
  EXPECT_THAT(parse_serve({"--qwertyuiop"}).said, HasSubstr("freshet serve --help lists them"));
  EXPECT_EQ(parse_serve({"stray"}).exit_code, kExitUsage);
  EXPECT_EQ(parse_serve({"--threads"}).exit_code, kExitUsage);
}

TEST(Parse, PrintsHelp) {
  testing::internal::CaptureStdout();
  const auto parsed = parse_serve({"--help"});
  const auto help = testing::internal::GetCapturedStdout();
  EXPECT_EQ(parsed.exit_code, kExitFine);
  for (const base::Setting& setting : base::settings()) EXPECT_THAT(help, HasSubstr("--" + std::string(setting.flag)));
}

TEST(Run, NamesTheNearestCommand) {
  const std::vector<std::string> words = {"serv"};
  testing::internal::CaptureStderr();
  EXPECT_EQ(run(words), kExitUsage);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "freshet: there is no command \"serv\"; did you mean \"serve\"?\n");
}

}  // namespace
}  // namespace freshet::cli
