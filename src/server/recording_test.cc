// FRESHET.RECORD over real connections: what each command counts as, in which order, of which keys; and its limits.
#include <gmock/gmock.h>

#include <map>

#include "server/testing/observed_fixture.h"
#include "server/recording.h"

namespace freshet::server {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr auto kRead = AccessKind::read;
constexpr auto kWrite = AccessKind::write;
constexpr auto kErase = AccessKind::erase;

struct Seen {
  AccessKind kind;
  std::size_t size;
  friend bool operator==(const Seen&, const Seen&) = default;
  friend void PrintTo(const Seen& seen, std::ostream* out) {
    *out << (seen.kind == kRead ? "read " : seen.kind == kWrite ? "write " : "erase ") << seen.size;
  }
};

class RecordingTest : public ObservedTest {
 protected:
  std::unique_ptr<TestClient> recorder(std::string_view rate = "1", std::string_view protocol = "2") {
    auto client = connect();
    client->call({"HELLO", protocol});
    EXPECT_EQ(client->call({"FRESHET.RECORD", "SAMPLE", rate}), "OK");
    return client;
  }
  // Reads batches until so many accesses have come or been dropped.
  std::vector<RecordedAccess> take(TestClient& from, std::size_t accesses) {
    std::vector<RecordedAccess> found;
    while (found.size() + dropped_ < accesses) {
      if (const auto text = from.read(); text == "closed" || text == "silence" || from.last().items.size() != 3) {
        ADD_FAILURE() << text << " after " << found.size() << " accesses";
        break;
      }
      const auto& items = from.last().items;
      EXPECT_EQ(items[0].text, kRecordedBatch);
      dropped_ += static_cast<std::uint64_t>(items[1].integer);
      const auto& records = items[2].text;
      EXPECT_EQ(records.size() % kRecordedAccessBytes, 0u);
      for (std::size_t at = 0; at < records.size(); at += kRecordedAccessBytes) found.push_back(unpack(&records[at]));
    }
    return found;
  }
  static std::vector<Seen> seen(const std::vector<RecordedAccess>& accesses) {
    std::vector<Seen> all;
    for (const auto& access : accesses) all.push_back({access.kind, access.size});
    return all;
  }
  static std::string info_line(TestClient& client, const std::string& name) {
    client.call({"INFO"});
    const auto& text = client.last().text;
    const auto at = text.find("\r\n" + name + ":") + 3 + name.size();
    return text.substr(at, text.find('\r', at) - at);
  }

  std::uint64_t dropped_ = 0;
};

struct Step {
  std::vector<std::string_view> command;
  std::vector<Seen> accesses;
};

const std::vector<Step> kSteps = {
    {{"SET", "k", "four"}, {{kWrite, 5}}},
    {{"GET", "k"}, {{kRead, 5}}},
    {{"GET", "absent"}, {{kRead, 6}}},
    {{"GET", "absent"}, {{kRead, 6}}},  // The absence is cached.
    {{"STRLEN", "k"}, {{kRead, 5}}},
    {{"SET", "k", "five5", "NX"}, {{kRead, 5}}},
    {{"APPEND", "k", "+1"}, {{kWrite, 7}}},
    {{"SETRANGE", "k", "8", "x"}, {{kWrite, 10}}},
    {{"GETSET", "k", "v"}, {{kWrite, 2}}},
    {{"INCRBY", "n", "1000"}, {{kWrite, 5}}},
    {{"INCRBYFLOAT", "n", "0.5"}, {{kWrite, 7}}},
    {{"MSET", "a", "1", "bb", "22"}, {{kWrite, 2}, {kWrite, 4}}},
    {{"MSETNX", "a", "1", "c", "22"}, {{kRead, 2}, {kRead, 1}}},
    {{"MGET", "a", "bb", "a"}, {{kRead, 2}, {kRead, 4}, {kRead, 2}}},
    {{"MGET", "a", "new"}, {{kRead, 2}, {kRead, 3}}},
    {{"EXISTS", "a", "bb"}, {{kRead, 2}, {kRead, 4}}},
    {{"TTL", "a"}, {{kRead, 2}}},
    {{"EXPIRE", "a", "100"}, {{kWrite, 2}}},
    {{"PERSIST", "a"}, {{kWrite, 2}}},
    {{"PERSIST", "a"}, {{kRead, 2}}},
    {{"GETEX", "a", "EX", "100"}, {{kWrite, 2}}},
    {{"GETDEL", "k"}, {{kErase, 1}}},
    {{"DEL", "a", "bb", "a", "none"}, {{kErase, 1}, {kErase, 2}, {kErase, 4}}},
    {{"FRESHET.SET", "k", "v", "VERSION", "77"}, {{kRead, 1}}},
    {{"FRESHET.GET", "k"}, {{kRead, 1}}},
    {{"FRESHET.WITH", "LEVEL", "ANY", "GET", "k"}, {{kRead, 1}}},
    // No accesses: about the server, refused, or failed.
    {{"FRESHET.EXPLAIN", "k"}, {}},
    {{"FRESHET.EVICT", "KEY", "k"}, {}},
    {{"SCAN", "0"}, {}},
    {{"SET", "users:1", "x"}, {}},
    {{"SET", "text", "abc"}, {{kWrite, 7}}},
    {{"INCR", "text"}, {}},
    {{"GET", "text"}, {{kRead, 7}}},
};

TEST_F(RecordingTest, EveryFamilyIsRecordedInTheOrderOfItsConnection) {
  put_user("1", "Ada");
  auto recording = recorder();
  auto client = connect();
  std::vector<Seen> expected;
  for (const auto& step : kSteps) {
    client->call(step.command);
    expected.insert(expected.end(), step.accesses.begin(), step.accesses.end());
  }
  const auto found = take(*recording, expected.size());
  EXPECT_EQ(seen(found), expected);
  EXPECT_EQ(dropped_, 0u);
  EXPECT_EQ(recording->read(200), "silence");
  for (std::size_t i = 1; i < found.size(); ++i) EXPECT_LE(found[i - 1].time_us, found[i].time_us);
  EXPECT_NEAR(static_cast<double>(found.back().time_us) / 1000, static_cast<double>(base::wall_ms()), 10'000);
}

TEST_F(RecordingTest, RowsCountAsTheCacheHoldsThem) {
  put_user("1", "Ada");
  auto recording = recorder();
  auto client = connect();
  client->call({"HGETALL", "users:1"});
  client->call({"HGET", "users:1", "name"});
  client->call({"GET", "users:1"});
  client->call({"HGET", "users:2", "name"});
  const auto found = take(*recording, 4);
  ASSERT_EQ(found.size(), 4u);
  EXPECT_GT(found[0].size, std::string_view("users:1Ada").size());
  EXPECT_EQ(found[0], (RecordedAccess{found[1].key, found[0].time_us, found[1].size, kRead}));
  EXPECT_EQ(found[2].key, found[0].key);
  EXPECT_EQ(found[2].size, found[0].size) << "not the JSON's";
  EXPECT_NE(found[3].key, found[0].key);
  EXPECT_EQ(found[3].size, 7u);
}

TEST_F(RecordingTest, SamplingTakesAllOfAKeyOrNothing) {
  constexpr int kKeys = 1000, kTimes = 5, kLast = 100;
  constexpr std::uint32_t kLastBytes = 5000;
  auto everything = recorder(), some = recorder("0.3");
  auto client = connect();
  std::string pipeline;
  for (int i = 0; i < kKeys * kTimes; ++i) {
    const auto key = "key" + std::to_string(i % kKeys);
    pipeline += i < kKeys ? TestClient::encode({"SET", key, "v"}) : TestClient::encode({"GET", key});
  }
  // Among so many, some are sampled: once one of them has come, so have all before it.
  for (int i = 0; i < kLast; ++i) {
    pipeline += TestClient::encode({"SET", "last" + std::to_string(i), std::string(kLastBytes, 'x')});
  }
  EXPECT_TRUE(client->send(pipeline));
  for (int i = 0; i < kKeys * kTimes + kLast; ++i) client->read();
  std::map<std::uint64_t, int> times;
  for (const auto& access : take(*everything, kKeys * kTimes + kLast)) ++times[access.key];
  EXPECT_EQ(times.size(), static_cast<std::size_t>(kKeys + kLast));
  std::map<std::uint64_t, int> sampled;
  for (bool last = false; !last;) {
    for (const auto& access : take(*some, 1)) {
      EXPECT_EQ(times.count(access.key), 0u) << "each recording names keys its own way";
      if (access.size < kLastBytes) ++sampled[access.key];
      last = last || access.size > kLastBytes;
    }
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(sampled.size(), 200u);  // 300, and seven standard deviations to each side.
  EXPECT_LT(sampled.size(), 400u);
  for (const auto& [key, count] : sampled) EXPECT_EQ(count, kTimes);
}

TEST_F(RecordingTest, ARecorderThatDoesNotReadIsBoundedAndTold) {
  auto slow = std::make_unique<TestClient>(server_->port(), 4096);
  EXPECT_EQ(slow->call({"FRESHET.RECORD"}), "OK");
  auto client = connect();
  client->call({"SET", "k", "v"});
  std::string pipeline;
  constexpr std::uint64_t kEach = 20'000;
  for (std::uint64_t i = 0; i < kEach; ++i) pipeline += TestClient::encode({"GET", "k"});
  std::uint64_t accesses = 1;
  // What waits is bounded, and the sockets hold some megabytes: in the end something is dropped.
  for (int round = 0; round < 100 && info_line(*client, "recording_dropped") == "0"; ++round) {
    EXPECT_TRUE(client->send(pipeline));
    for (std::uint64_t i = 0; i < kEach; ++i) ASSERT_EQ(client->read(), "\"v\"");
    accesses += kEach;
  }
  EXPECT_NE(info_line(*client, "recording_dropped"), "0");
  client->call({"CLIENT", "LIST"});
  const auto list = client->last().text;
  const auto flags = list.find(" flags=O ");
  ASSERT_NE(flags, std::string::npos) << list;
  const auto waiting = list.find(" obl=", flags);
  EXPECT_LE(std::stoull(list.substr(waiting + 5)), kRecordingOutputBytesMax + 4096);
  const auto found = take(*slow, accesses);
  EXPECT_GT(dropped_, 0u);
  EXPECT_EQ(found.size() + dropped_, accesses) << "every access was sent or counted";
  EXPECT_EQ(info_line(*client, "recorded_accesses"), std::to_string(found.size()));
  EXPECT_EQ(info_line(*client, "recording_dropped"), std::to_string(dropped_));
}

TEST_F(RecordingTest, HasALimitAndEndsWithItsConnection) {
  auto client = connect();
  std::vector<std::unique_ptr<TestClient>> recorders;
  for (std::size_t i = 0; i < kRecordingsMax; ++i) recorders.push_back(recorder());
  EXPECT_THAT(client->call({"FRESHET.RECORD"}), StartsWith("-BUSY 4 connections record already"));
  EXPECT_EQ(info_line(*client, "recordings"), "4");
  recorders[0]->close();
  eventually([&] { return info_line(*client, "recordings") == "3"; });
  EXPECT_EQ(recorders[1]->call({"RESET"}), "RESET");
  EXPECT_EQ(info_line(*client, "recordings"), "2");
  EXPECT_EQ(recorders[1]->call({"GET", "k"}), "null");
  EXPECT_EQ(recorders[1]->call({"FRESHET.RECORD"}), "OK") << "again, on the same connection";
  client->call({"SET", "k", "v"});
  EXPECT_EQ(seen(take(*recorders[1], 1)), (std::vector<Seen>{{kWrite, 2}}));
}

TEST_F(RecordingTest, WhileItRecordsAConnectionTakesLittleElse) {
  auto recording = recorder("1", "3");
  EXPECT_EQ(recording->call({"GET", "k"}),
            "-ERR Can't execute 'get': this connection records; it takes PING, QUIT and RESET only");
  EXPECT_THAT(recording->call({"FRESHET.RECORD"}), StartsWith("-ERR Can't execute"));
  EXPECT_EQ(recording->call({"PING"}), "PONG");
  auto client = connect();
  client->call({"SET", "k", "v"});
  EXPECT_THAT(recording->read(), StartsWith(R"(>["freshet.record", 0, ")"));
  for (const auto rate : {"0", "-1", "1.5", "nan", "much", ""}) {
    EXPECT_THAT(client->call({"FRESHET.RECORD", "SAMPLE", rate}), HasSubstr("above 0 and at most 1")) << rate;
  }
  EXPECT_EQ(client->call({"FRESHET.RECORD", "SAMPLE"}), "-ERR syntax error");
  EXPECT_EQ(info_line(*client, "recordings"), "1") << "what was refused records nothing";
}

class RecordingOptionsTest : public ServerTest {};

// While it listens it has nothing to say.
TEST_F(RecordingOptionsTest, ItIsNotIdleAndTheMetricsTellOfIt) {
  auto options = defaults();
  options.idle_timeout_seconds = 1;
  options.metrics = "127.0.0.1:0";
  start(options);
  auto recording = connect(), idle = connect();
  EXPECT_EQ(recording->call({"FRESHET.RECORD"}), "OK");
  EXPECT_EQ(idle->call({"SET", "k", "v"}), "OK");
  EXPECT_THAT(recording->read(), StartsWith(R"(["freshet.record", 0, )"));
  EXPECT_EQ(idle->read(), "closed");
  TestClient http(server_->metrics_port());
  EXPECT_TRUE(http.send("GET /metrics HTTP/1.0\r\n\r\n"));
  const std::string text = http.read_all();
  EXPECT_THAT(text, HasSubstr("freshet_recordings 1"));
  EXPECT_THAT(text, HasSubstr("freshet_recorded_accesses_total 1"));
  EXPECT_THAT(text, HasSubstr("freshet_recording_dropped_total 0"));
  EXPECT_EQ(recording->call({"PING"}), "PONG");
}

// A miss that waited already when the first recording began is not told; else it is told to whoever records when it is
// answered.
TEST_F(RecordingTest, BeginsAndEndsWhileACommandWaits) {
  auto client = connect();
  engine_.hold_answers();
  client->send_command({"GET", "before"});
  eventually([&] { return engine_.held_answers() == 1; });
  auto recording = recorder();
  engine_.release_answers();
  EXPECT_EQ(client->read(), "null");
  client->call({"SET", "k", "v"});
  EXPECT_EQ(seen(take(*recording, 1)), (std::vector<Seen>{{kWrite, 2}}));
  engine_.hold_answers();
  client->send_command({"GET", "during"});
  eventually([&] { return engine_.held_answers() == 1; });
  recording->close();
  auto next = recorder();
  engine_.release_answers();
  EXPECT_EQ(client->read(), "null");
  EXPECT_EQ(seen(take(*next, 1)), (std::vector<Seen>{{kRead, 6}})) << "a recording was on when the command began";
}

// A command that fails leaves nothing behind that the next one's accesses could be taken for.
TEST_F(RecordingTest, FailedCommandsDoNotShiftLaterOnes) {
  auto recording = recorder();
  auto client = connect();
  engine_.fail_next(Error::of(ErrorCode::unavailable, "gone"));
  EXPECT_THAT(client->call({"MGET", "one", "two"}), StartsWith("-UNAVAILABLE"));
  engine_.fail_next(Error::of(ErrorCode::unavailable, "gone"));
  EXPECT_THAT(client->call({"SET", "long-key", "v"}), StartsWith("-UNAVAILABLE"));
  client->call({"SET", "k", "v"});
  client->call({"GET", "other"});
  EXPECT_EQ(seen(take(*recording, 2)), (std::vector<Seen>{{kWrite, 2}, {kRead, 5}}));
}

}  // namespace
}  // namespace freshet::server
