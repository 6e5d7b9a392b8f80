// kill -9 under load: what was acknowledged is there afterwards, whole, and versions go on growing.
//
// The writer is this test program once more (DISABLED_CrashChild.writes_until_killed), told by its environment where to
// write. It prints a line for each acknowledged write; the parent reads some, kills it without warning, reads what was still
// in the pipe, and opens the directory.
#include <gtest/gtest.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "../../../tests/support/storage_calls.h"
#include "../../../tests/support/temporary_directory.h"
#include "storage/embedded/embedded_storage.h"

namespace freshet::storage::embedded {
namespace {

using freshet::testing::BlockingStorage;
using freshet::testing::increment;
using freshet::testing::kAllSlots;
using freshet::testing::put;
using freshet::testing::request_of;

constexpr const char* kDirectoryVariable = "FRESHET_CRASH_CHILD_DIRECTORY";
constexpr const char* kDurabilityVariable = "FRESHET_CRASH_CHILD_DURABILITY";
constexpr const char* kAcknowledged = "ACK ";
constexpr int kWriters = 4;

EmbeddedOptions options_for(const std::string& directory, const std::string& durability) {
  EmbeddedOptions options;
  options.directory = directory;
  options.durability = durability == "relaxed" ? Durability::relaxed : Durability::synced;
  return options;
}

// Each writer puts a pair of keys in one batch and increments a counter of its own, for ever.
void write_for_ever(Storage& storage, Token token, int writer) {
  const auto name = "w" + std::to_string(writer);
  for (int i = 0;; ++i) {
    const auto number = std::to_string(i);
    const auto reply = BlockingStorage(storage).write(request_of({put(name + ":a:" + number, number, token),
                                                                  put(name + ":b:" + number, number, token),
                                                                  increment(name + ":count", 1, token)}));
    if (!reply) {
      std::fprintf(stderr, "write: %s\n", reply.error().what.c_str());
      ::_exit(1);
    }
    const auto line = kAcknowledged + std::to_string(writer) + " " + number + " " +
                      std::to_string(reply->at(2)->after.version) + "\n";
    if (::write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) ::_exit(1);
  }
}

TEST(DISABLED_CrashChild, writes_until_killed) {
  const char* directory = getenv(kDirectoryVariable);
  ASSERT_NE(directory, nullptr) << "runs only as the child of CrashTest";
  auto opened = EmbeddedStorage::open(options_for(directory, getenv(kDurabilityVariable)));
  ASSERT_TRUE(opened) << opened.error().what;
  const auto token = Token::make();
  ASSERT_TRUE(BlockingStorage(**opened).set_guard(kAllSlots, token));
  std::vector<std::thread> writers;
  for (int i = 0; i < kWriters; ++i) writers.emplace_back([&, i] { write_for_ever(**opened, token, i); });
  for (auto& writer : writers) writer.join();
}

// The child, and the end of the pipe that its lines come from.
struct Child {
  pid_t process = 0;
  FILE* lines = nullptr;
};

Child start_child(const std::string& directory, const std::string& durability) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  // All that allocates comes before the fork: other threads of this program may hold locks.
  const std::vector<std::string> variables{std::string(kDirectoryVariable) + "=" + directory,
                                           std::string(kDurabilityVariable) + "=" + durability};
  std::vector<char*> environment;
  for (const auto& variable : variables) environment.push_back(const_cast<char*>(variable.c_str()));
  for (char** inherited = environ; *inherited != nullptr; ++inherited) environment.push_back(*inherited);
  environment.push_back(nullptr);
  const char* arguments[] = {"crash_child", "--gtest_filter=DISABLED_CrashChild.*", "--gtest_also_run_disabled_tests",
                             nullptr};
  const pid_t process = fork();
  if (process == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    execve("/proc/self/exe", const_cast<char**>(arguments), environment.data());
    _exit(127);
  }
  close(ends[1]);
  return {process, fdopen(ends[0], "r")};
}

// What the child said it was acknowledged: for each writer, its newest number and version.
struct Acknowledged {
  std::map<int, int> newest;
  Version version = 0;
  int lines = 0;

  // Reads lines until `lines_max` or the end; one cut off by the kill does not count.
  void read(FILE* from, int lines_max) {
    char line[256];
    while (lines < lines_max && fgets(line, sizeof line, from) != nullptr) {
      int writer = 0;
      int number = 0;
      unsigned long long drawn = 0;
      const std::string text(line);
      if (!text.ends_with('\n') || sscanf(line, "ACK %d %d %llu", &writer, &number, &drawn) != 3) continue;
      newest[writer] = number;
      version = std::max<Version>(version, drawn);
      ++lines;
    }
  }
};

class CrashTest : public ::testing::TestWithParam<std::string> {
 protected:
  // Every acknowledged write is there; the one after may be, whole or not at all.
  void check(BlockingStorage calls, const Acknowledged& acknowledged) {
    for (const auto& [writer, newest] : acknowledged.newest) {
      const auto name = "w" + std::to_string(writer);
      for (int i = 0; i <= newest + 1; ++i) {
        const auto number = std::to_string(i);
        const auto reply = calls.read({name + ":a:" + number, name + ":b:" + number});
        ASSERT_TRUE(reply) << reply.error().what;
        EXPECT_TRUE(i > newest || reply->states[0].value == number) << name << " lost " << i;
        EXPECT_EQ(reply->states[0].value, reply->states[1].value) << "a batch was applied in part";
        EXPECT_EQ(reply->states[0].operation, reply->states[1].operation);
      }
      const auto counted = calls.read({name + ":count"});
      ASSERT_TRUE(counted) << counted.error().what;
      const int count = std::stoi(counted->states[0].value);
      EXPECT_GE(count, newest + 1);
      EXPECT_LE(count, newest + 2) << "a write was applied twice";
    }
  }
};

TEST_P(CrashTest, every_acknowledged_write_survives_kill_9) {
  const freshet::testing::TemporaryDirectory directory;
  constexpr int kLinesBeforeKill = 400;
  const auto child = start_child(directory.path(), GetParam());
  ASSERT_NE(child.lines, nullptr);
  Acknowledged acknowledged;
  acknowledged.read(child.lines, kLinesBeforeKill);
  EXPECT_EQ(acknowledged.lines, kLinesBeforeKill) << "the child ended by itself";

  const auto second = EmbeddedStorage::open(options_for(directory.path(), GetParam()));
  ASSERT_FALSE(second) << "the directory was opened twice";
  EXPECT_EQ(second.error().code, ErrorCode::unavailable);
  EXPECT_NE(second.error().what.find("process " + std::to_string(child.process)), std::string::npos)
      << second.error().what;

  ASSERT_EQ(kill(child.process, SIGKILL), 0);
  acknowledged.read(child.lines, INT_MAX);
  int status = 0;
  ASSERT_EQ(waitpid(child.process, &status, 0), child.process);
  EXPECT_TRUE(WIFSIGNALED(status));
  fclose(child.lines);
  EXPECT_EQ(acknowledged.newest.size(), static_cast<std::size_t>(kWriters));

  auto opened = EmbeddedStorage::open(options_for(directory.path(), GetParam()));
  ASSERT_TRUE(opened) << opened.error().what;
  check(BlockingStorage(**opened), acknowledged);
  const auto token = Token::make();
  ASSERT_TRUE(BlockingStorage(**opened).set_guard(kAllSlots, token));
  const auto reply = BlockingStorage(**opened).write(request_of({put("after", "v", token)}));
  ASSERT_TRUE(reply);
  EXPECT_GT(reply->at(0)->after.version, acknowledged.version);
}

INSTANTIATE_TEST_SUITE_P(Embedded, CrashTest, ::testing::Values("synced", "relaxed"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace freshet::storage::embedded
