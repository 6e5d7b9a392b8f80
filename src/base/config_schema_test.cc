// The table of settings: that it is sound, and that each of its rows reads back what it prints.
#include "base/config_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace freshet::base {
namespace {

using testing::HasSubstr;

TEST(Settings, HaveUniqueNamesAndStandBySection) {
  std::set<std::string_view> keys, flags, sections;
  std::string_view section;
  for (const Setting& setting : settings()) {
    EXPECT_TRUE(keys.insert(setting.key).second) << setting.key;
    EXPECT_TRUE(flags.insert(setting.flag).second) << setting.flag;
    EXPECT_NE(setting.key.find('.'), std::string_view::npos) << setting.key;
    EXPECT_TRUE(setting.meaning.ends_with('.')) << setting.key;
    EXPECT_EQ(setting.type == SettingType::choice, !setting.choices.empty()) << setting.key;
    if (setting.section() == section) continue;
    section = setting.section();
    EXPECT_TRUE(sections.insert(section).second) << setting.key;
  }
}

TEST(Settings, AreFoundByKeyAndFlag) {
  for (const Setting& setting : settings()) {
    EXPECT_EQ(find_setting(setting.key), &setting);
    EXPECT_EQ(find_setting_by_flag(setting.flag), &setting);
  }
  EXPECT_EQ(find_setting_by_redis_name("maxmemory"), find_setting("cache.memory"));
  EXPECT_EQ(find_setting_by_redis_name(""), nullptr);
  EXPECT_EQ(find_setting("server"), nullptr);
  EXPECT_EQ(find_setting_by_flag(""), nullptr);
}

// Every field of Config has its row: a row's default, put into another's place, would be missed here.
TEST(Settings, ReadBackTheirDefaults) {
  Config config;
  for (const Setting& setting : settings()) {
    const auto text = text_of(Config{}, setting);
    const auto set = set_from_text(config, setting, text);
    EXPECT_TRUE(set) << setting.key << ": " << set.error().what;
  }
  EXPECT_EQ(config, Config{});
}

TEST(Settings, HoldTheirLimits) {
  for (const Setting& setting : settings()) {
    const auto* field = std::get_if<std::int64_t Config::*>(&setting.field);
    if (field == nullptr) continue;
    Config config;
    config.**field = setting.maximum;
    Config read;
    EXPECT_TRUE(set_from_text(read, setting, text_of(config, setting))) << setting.key;
    EXPECT_EQ(read.**field, setting.maximum);
    if (setting.maximum == std::numeric_limits<std::int64_t>::max()) continue;
    config.**field = setting.maximum + 1;
    const auto set = set_from_text(read, setting, text_of(config, setting));
    ASSERT_FALSE(set) << setting.key;
    EXPECT_THAT(set.error().what, HasSubstr(expectation_of(setting)));
    EXPECT_EQ(read.**field, setting.maximum) << "a refused value must leave the old one";
  }
}

TEST(Settings, RefuseWhatTheirTypeDoesNotTake) {
  Config config;
  const auto refused = [&](std::string_view key, std::string_view text) {
    return !set_from_text(config, *find_setting(key), text);
  };
  EXPECT_TRUE(refused("server.listen", ""));
  EXPECT_TRUE(refused("server.listen", "6380"));
  EXPECT_TRUE(refused("server.threads", "-1"));
  EXPECT_TRUE(refused("server.password", std::string_view("a\0b", 3)));
  EXPECT_TRUE(refused("reads.deadline", "5"));
  EXPECT_TRUE(refused("cache.memory", "1KiB"));
  EXPECT_TRUE(refused("storage.durability", "relaxed"));
  EXPECT_TRUE(refused("reads.level", "any")) << "any is never a default";
  EXPECT_TRUE(refused("storage.url", "embeded"));
  EXPECT_FALSE(refused("server.metrics", ""));
  EXPECT_EQ(config, Config{});
}

TEST(Settings, TakeLibpqsConnectionStrings) {
  for (const auto text : {"embedded", "postgres://u@h/d", "postgresql:///d", "host=/run/postgresql dbname=shop"}) {
    Config config;
    EXPECT_TRUE(set_from_text(config, *find_setting("storage.url"), text)) << text;
    EXPECT_EQ(config.storage_url, text);
  }
}

TEST(Settings, NameTheNearestChoice) {
  Config config;
  const auto set = set_from_text(config, *find_setting("storage.guard_dialect"), "advisry");
  ASSERT_FALSE(set);
  EXPECT_EQ(set.error().what, "expected one of \"advisory\", \"for-share\", found \"advisry\"");
  EXPECT_EQ(set.error().remedy, "did you mean \"advisory\"?");
}

TEST(Settings, NeverShowSecretsInErrors) {
  Config config;
  const auto set = set_from_text(config, *find_setting("server.password"), std::string_view("hunter2\0", 8));
  ASSERT_FALSE(set);
  EXPECT_THAT(set.error().what, Not(HasSubstr("hunter2")));
}

TEST(NearestSetting, KnowsTyposAndBareNames) {
  EXPECT_EQ(nearest_setting("server.lisen"), "server.listen");
  EXPECT_EQ(nearest_setting("listen"), "server.listen");
  EXPECT_EQ(nearest_setting("storage.memory"), "cache.memory");
  EXPECT_EQ(nearest_setting("conections"), "storage.connections");
  EXPECT_EQ(nearest_setting("server.colour_of_the_sky"), "");
}

}  // namespace
}  // namespace freshet::base
