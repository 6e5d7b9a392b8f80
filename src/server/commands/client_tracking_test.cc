// CLIENT TRACKING over real connections: pushes, redirection, and the order of replies and invalidations.
#include "server/testing/observed_fixture.h"

#include "base/random.h"

namespace freshet::server {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class ClientTrackingTest : public ObservedTest {
 protected:
  std::unique_ptr<TestClient> tracking_client(const Words& options = {}) {
    auto client = connect();
    client->call({"HELLO", "3"});
    Words words{"CLIENT", "TRACKING", "ON"};
    words.insert(words.end(), options.begin(), options.end());
    EXPECT_EQ(client->call(words), "OK");
    return client;
  }
};

TEST_F(ClientTrackingTest, AKeyThatWasReadIsToldOnce) {
  engine_.put_in_storage("k", "1");
  put_user("1", "Ada");
  auto client = tracking_client();
  EXPECT_EQ(client->call({"GET", "k"}), "\"1\"");
  client->call({"HGETALL", "users:1"});
  engine_.put_in_storage("k", "2");
  EXPECT_EQ(client->read(), R"(>["invalidate", ["k"]])");
  engine_.put_in_storage("k", "3");
  engine_.put_in_storage("unread", "3");
  put_user("1", "Bob");
  EXPECT_EQ(client->read(), R"(>["invalidate", ["users:1"]])");
  EXPECT_EQ(client->call({"MGET", "k", "unread"}), R"(["3", "3"])");
  auto writer = connect();
  writer->call({"SET", "unread", "4"});
  EXPECT_EQ(client->read(), R"(>["invalidate", ["unread"]])");
  EXPECT_EQ(client->call({"CLIENT", "TRACKING", "OFF"}), "OK");
  writer->call({"SET", "k", "4"});
  EXPECT_EQ(client->call({"PING"}), "PONG");
  EXPECT_EQ(client->read(50), "silence");
}

// The value that the client is about to get may be the one from before the change: it must be told to drop it afterwards.
TEST_F(ClientTrackingTest, AChangeDuringAReadIsToldAfterItsReply) {
  engine_.put_in_storage("k", "old");
  engine_.put_in_storage("other", "x");
  for (const auto& options : {Words{}, Words{"BCAST"}}) {
    auto client = tracking_client(options);
    client->call({"GET", "other"});
    engine_.put_in_storage("k", "old");
    if (!options.empty()) {
      EXPECT_EQ(client->read(), R"(>["invalidate", ["k"]])");
    }
    engine_.hold_answers();
    client->send_command({"GET", "k"});
    eventually([&] { return engine_.held_answers() == 1; });
    engine_.put_in_storage("k", "new");
    engine_.put_in_storage("other", "y");
    EXPECT_EQ(client->read(), R"(>["invalidate", ["other"]])") << "what is not being read need not wait";
    EXPECT_EQ(client->read(50), "silence");
    engine_.release_answers();
    EXPECT_EQ(client->read(), "\"old\"");
    EXPECT_EQ(client->read(), R"(>["invalidate", ["k"]])");
    EXPECT_EQ(client->call({"GET", "k"}), "\"new\"");
  }
}

TEST_F(ClientTrackingTest, AnInterruptionDuringAReadIsToldAgainAfterItsReply) {
  engine_.put_in_storage("k", "old");
  auto client = tracking_client();
  engine_.change_everything();
  EXPECT_EQ(client->read(), R"(>["invalidate", null])");
  engine_.hold_answers();
  client->send_command({"FRESHET.WITH", "LEVEL", "any", "MGET", "k", "users:1"});
  eventually([&] { return engine_.held_answers() == 1; });
  engine_.change_everything();
  EXPECT_EQ(client->read(), R"(>["invalidate", null])");
  engine_.release_answers();
  EXPECT_EQ(client->read(), R"(["old", null])");
  EXPECT_EQ(client->read(), R"(>["invalidate", null])");
}

TEST_F(ClientTrackingTest, ACollectionsChangeNamesTheKeysThatWereRead) {
  put_user("1", "Ada");
  put_user("2", "Bob");
  auto client = tracking_client(), broadcast = tracking_client({"BCAST", "PREFIX", "users:"});
  client->call({"GET", "users:1"});
  client->call({"GET", "k"});
  engine_.change_collection("users");
  EXPECT_EQ(client->read(), R"(>["invalidate", ["users:1"]])");
  EXPECT_EQ(broadcast->read(), R"(>["invalidate", null])");
}

TEST_F(ClientTrackingTest, BroadcastTellsOfEveryKeyWithItsPrefixes) {
  auto client = tracking_client({"BCAST", "PREFIX", "a:", "PREFIX", "b:"});
  engine_.put_in_storage("c:1", "x");
  engine_.put_in_storage("a:1", "x");
  EXPECT_EQ(client->read(), R"(>["invalidate", ["a:1"]])");
  EXPECT_EQ(client->call({"CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "c:"}), "OK");
  engine_.put_in_storage("c:2", "x");
  EXPECT_EQ(client->read(), R"(>["invalidate", ["c:2"]])");
  EXPECT_EQ(client->call({"CLIENT", "TRACKINGINFO"}),
            R"({"flags": ~["on", "bcast"], "redirect": 0, "prefixes": ["a:", "b:", "c:"]})");
}

TEST_F(ClientTrackingTest, OptInAndOptOut) {
  auto in = tracking_client({"OPTIN"}), out = tracking_client({"OPTOUT"});
  in->call({"GET", "a"});
  EXPECT_EQ(in->call({"CLIENT", "CACHING", "YES"}), "OK");
  EXPECT_EQ(in->call({"CLIENT", "TRACKINGINFO"}),
            R"({"flags": ~["on", "optin", "caching-yes"], "redirect": 0, "prefixes": []})");
  in->call({"FRESHET.WITH", "LEVEL", "any", "GET", "b"});
  in->call({"GET", "c"});
  EXPECT_EQ(out->call({"CLIENT", "CACHING", "NO"}), "OK");
  out->call({"GET", "a"});
  out->call({"GET", "b"});
  for (const auto* key : {"a", "b", "c"}) engine_.put_in_storage(key, "x");
  for (auto* client : {in.get(), out.get()}) {
    EXPECT_EQ(client->read(), R"(>["invalidate", ["b"]])");
    EXPECT_EQ(client->read(50), "silence");
  }
}

TEST_F(ClientTrackingTest, ARedirectedRESP2ConnectionHearsMessages) {
  engine_.put_in_storage("k", "1");
  auto listener = connect(), client = connect();
  const std::string id = listener->call({"CLIENT", "ID"});
  EXPECT_EQ(listener->call({"SUBSCRIBE", "__redis__:invalidate"}), R"(["subscribe", "__redis__:invalidate", 1])");
  EXPECT_EQ(client->call({"CLIENT", "TRACKING", "ON", "REDIRECT", id}), "OK");
  EXPECT_EQ(client->call({"CLIENT", "GETREDIR"}), id);
  client->call({"GET", "k"});
  engine_.put_in_storage("k", "2");
  EXPECT_EQ(listener->read(), R"(["message", "__redis__:invalidate", ["k"]])");
  engine_.change_everything();
  EXPECT_EQ(listener->read(), R"(["message", "__redis__:invalidate", null])");
  play(*listener, {{{"PING"}, R"(["pong", ""])"},
                   {{"GET", "k"},
                    "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
                    "this context"},
                   {{"UNSUBSCRIBE"}, R"(["unsubscribe", "__redis__:invalidate", 0])"},
                   {{"UNSUBSCRIBE"}, R"(["unsubscribe", null, 0])"},
                   {{"PING"}, "PONG"}});
  EXPECT_THAT(listener->call({"SUBSCRIBE", "news"}), HasSubstr("the only channel is __redis__:invalidate"));
  client->call({"GET", "k"});
  engine_.put_in_storage("k", "3");
  EXPECT_EQ(listener->read(50), "silence");
}

TEST_F(ClientTrackingTest, ARedirectionWhoseTargetHasGoneIsSaidToBeBroken) {
  engine_.put_in_storage("k", "1");
  auto listener = connect();
  const std::string id = listener->call({"CLIENT", "ID"});
  auto client = tracking_client({"REDIRECT", id});
  client->call({"GET", "k"});
  listener.reset();
  eventually([&] { return server_->clients() == 1; });
  engine_.put_in_storage("k", "2");
  EXPECT_EQ(client->read(), R"(>["tracking-redir-broken", )" + id + "]");
  EXPECT_EQ(client->call({"CLIENT", "TRACKINGINFO"}),
            R"({"flags": ~["on", "broken_redirect"], "redirect": )" + id + R"(, "prefixes": []})");
}

TEST_F(ClientTrackingTest, OptionsThatDoNotGoTogether) {
  auto client = connect();
  const std::string syntax = "-ERR syntax error";
  play(*client,
       {{{"CLIENT", "TRACKINGINFO"}, R"(["flags", ["off"], "redirect", -1, "prefixes", []])"},
        {{"CLIENT", "GETREDIR"}, "-1"},
        {{"CLIENT", "TRACKING", "MAYBE"}, syntax},
        {{"CLIENT", "TRACKING", "ON", "REDIRECT"}, syntax},
        {{"CLIENT", "TRACKING", "ON", "REDIRECT", "x"}, "-ERR value is not an integer or out of range"},
        {{"CLIENT", "TRACKING", "ON", "REDIRECT", "12345"}, "-ERR The client ID you want redirect to does not exist"},
        {{"CLIENT", "TRACKING", "ON", "PREFIX", "a"}, "-ERR PREFIX option requires BCAST mode to be enabled"},
        {{"CLIENT", "TRACKING", "ON", "BCAST", "OPTIN"}, "-ERR OPTIN and OPTOUT are not compatible with BCAST"},
        {{"CLIENT", "TRACKING", "ON", "OPTOUT", "OPTIN"}, "-ERR You can't specify both OPTIN mode and OPTOUT mode"},
        {{"CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "ab", "PREFIX", "a"},
         "-ERR Prefix 'ab' overlaps with another provided prefix 'a'. Prefixes for a single client must not overlap."},
        {{"CLIENT", "CACHING", "YES"},
         "-ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled"},
        {{"CLIENT", "TRACKING", "ON", "OPTIN", "NOLOOP"}, "OK"},
        {{"CLIENT", "CACHING", "NO"}, "-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode."},
        {{"CLIENT", "CACHING", "MAYBE"}, syntax},
        {{"CLIENT", "TRACKING", "ON", "BCAST"},
         "-ERR You can't switch BCAST mode on/off before disabling tracking for this client, and then re-enabling it with a "
         "different mode."},
        {{"CLIENT", "TRACKINGINFO"}, R"(["flags", ["on", "optin", "noloop"], "redirect", 0, "prefixes", []])"}});
  EXPECT_THAT(client->call({"CLIENT", "INFO"}), HasSubstr(" flags=t "));
  EXPECT_EQ(client->call({"RESET"}), "RESET");
  EXPECT_THAT(client->call({"CLIENT", "INFO"}), HasSubstr(" flags=N "));
  EXPECT_EQ(server_->tracking().stats().clients, 0u);
}

TEST_F(ClientTrackingTest, AClientThatLeavesIsForgotten) {
  auto client = tracking_client();
  client->call({"GET", "k"});
  EXPECT_EQ(server_->tracking().stats().clients, 1u);
  client.reset();
  eventually([&] { return server_->tracking().stats().clients == 0; });
  engine_.put_in_storage("k", "x");
  EXPECT_EQ(connect()->call({"PING"}), "PONG");
}

TEST_F(ClientTrackingTest, AClientThatDoesNotReadItsPushesIsClosedAtTheLimit) {
  auto options = defaults();
  options.output_buffer_bytes_max = 1 << 20;
  server_.reset();
  start(options);
  auto client = connect(4096);
  client->call({"HELLO", "3"});
  EXPECT_EQ(client->call({"CLIENT", "TRACKING", "ON", "BCAST"}), "OK");
  const std::string key(4000, 'k');
  for (int i = 0; server_->totals().limit_closes == 0 && i < 100'000; ++i) {
    engine_.put_in_storage(key + std::to_string(i % 100), "x");
    if (i % 64 == 0) connect()->call({"PING"});
  }
  EXPECT_EQ(server_->totals().limit_closes, 1u);
  eventually([&] { return server_->tracking().stats().clients == 0; });
}

// A client-side cache that obeys pushes: whenever it is quiet, it holds what the engine holds.
TEST_F(ClientTrackingTest, ACacheThatObeysPushesAgreesWithStorage) {
  const std::uint64_t seed = base::entropy();
  SCOPED_TRACE("seed " + std::to_string(seed));
  base::Random random(seed);
  auto client = tracking_client();
  std::map<std::string, std::string> cache, truth;
  const auto drop = [&](const protocol::Reply& push) {
    if (push.items[1].is_null()) return cache.clear();
    for (const auto& key : push.items[1].items) cache.erase(key.text);
  };
  const auto key_of = [&] { return "k" + std::to_string(random.below(20)); };
  for (int round = 0; round < 300; ++round) {
    const std::string read = key_of();
    const bool late = random.below(2) == 0;
    if (late) engine_.hold_answers();
    client->send_command({"GET", read});
    for (auto changes = random.below(4); changes > 0; --changes) {
      const std::string key = key_of();
      truth[key] = std::to_string(round) + "." + std::to_string(changes);
      engine_.put_in_storage(key, truth[key]);
    }
    if (random.below(40) == 0) engine_.change_everything();
    if (late) engine_.release_answers();
    for (client->read(); client->last().is(protocol::ReplyType::push); client->read()) drop(client->last());
    if (client->last().is_null()) {
      cache.erase(read);
    } else {
      cache[read] = client->last().text;
    }
    // Two round trips: what the first one's reply overtook has been sent before the second one's.
    for (int i = 0; i < 2; ++i) {
      client->send_command({"PING"});
      for (client->read(); client->last().is(protocol::ReplyType::push); client->read()) drop(client->last());
    }
    for (const auto& [key, value] : cache) ASSERT_EQ(value, truth[key]) << key << " in round " << round;
  }
}

}  // namespace
}  // namespace freshet::server
