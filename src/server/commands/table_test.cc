// The command table by itself: look-ups, and the documentation that is made from it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "server/commands/table.h"

namespace freshet::server {
namespace {

TEST(CommandTable, FindsEveryCommandInAnyCase) {
  std::set<std::string_view> names;
  for (const Command& command : command_table().all()) {
    EXPECT_TRUE(names.insert(command.name).second) << command.name << " stands twice";
    EXPECT_EQ(&command_table().all()[command_table().index_of(command)], &command);
    const auto bar = command.name.find('|');
    std::string upper(command.name);
    for (char& c : upper) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    if (bar == std::string_view::npos) {
      EXPECT_EQ(command_table().find(upper), &command);
    } else {
      const Command* container = command_table().find(command.name.substr(0, bar));
      ASSERT_NE(container, nullptr) << command.name;
      EXPECT_TRUE(container->has(kContainer));
      EXPECT_EQ(command_table().find_subcommand(*container, upper.substr(bar + 1)), &command);
      EXPECT_EQ(command_table().find(command.name), nullptr) << "a subcommand is no command";
    }
  }
  for (const auto name : {"", "ge", "gett", "getx", "\xff\xfe", "a name that is longer than any command there is"}) {
    EXPECT_EQ(command_table().find(name), nullptr) << name;
  }
}

TEST(CommandTable, RowsAgreeWithThemselves) {
  for (const Command& command : command_table().all()) {
    EXPECT_NE(command.arity, 0) << command.name;
    EXPECT_NE(command.handler, nullptr) << command.name;
    EXPECT_FALSE(command.summary.empty()) << command.name;
    EXPECT_EQ(command.first_key > 0, command.key_step > 0) << command.name;
    EXPECT_FALSE(command.has(kReadonly) && command.has(kWrite)) << command.name;
    if (command.has(kPrefetch)) {
      EXPECT_TRUE(command.has(kReadonly)) << command.name;
      EXPECT_EQ(command.first_key, 1) << command.name;
    }
    if (command.first_key > 0 && command.arity > 0) {
      EXPECT_TRUE(command.takes(static_cast<std::size_t>(command.arity)));
    }
  }
}

// FRESHET_UPDATE_DOCS=1 writes the file instead.
TEST(CommandTable, TheDocumentationIsMadeFromIt) {
  const auto path = std::filesystem::path(__FILE__).parent_path() / "../../../docs/COMMANDS.md";
  if (std::getenv("FRESHET_UPDATE_DOCS")) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << commands_markdown();
  }
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), commands_markdown()) << "run this test with FRESHET_UPDATE_DOCS=1 to write docs/COMMANDS.md";
}

}  // namespace
}  // namespace freshet::server
