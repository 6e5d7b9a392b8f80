// For tests: writers, readers at every level and faults around one follower, in virtual time from a seed; every answer is
// judged by what the model server showed, and when. The same seed plays the same history.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "consistency/observed/model_connection.h"
#include "consistency/observed/tracker.h"

namespace freshet::consistency::simulated {

struct Profile {
  std::uint64_t seed = 1;
  ObservedProtections protections;
  FollowerLimits limits;
  ServerDelays server;
  ConnectionDelays connection;
  std::size_t table_bytes = 1 << 20;
  bool watched = false;
  bool slot_exists = false;  // From before the first writer.
  int writers = 3, readers = 6;
  // Chances, a tick of about 100 us each.
  double alter = 0.001, truncate = 0.002, break_stream = 0.003, evict = 0.01, crash = 0.0005, promote = 0.0002,
         lose_slot = 0.001, restart_node = 0.0005, tear = 0.05, disturb = 0.0005, begin_anew = 0.0005;
  bool crashes_unseen = true;  // Some of them.
  std::vector<storage::Level> levels = {storage::Level::linearizable, storage::Level::session, storage::Level::bounded,
                                        storage::Level::snapshot, storage::Level::any};
};

// What went wrong: the name, for tests, and the story, for people.
struct Anomaly {
  std::string name;
  std::string story;
  std::uint64_t step = 0;
};

struct Counts {
  std::uint64_t reads = 0, from_memory = 0, refused = 0, snapshots_from_memory = 0;
  base::Nanoseconds longest = 0;
};

class Simulation {
 public:
  explicit Simulation(const Profile& profile);
  ~Simulation();
  // Plays so many events, or until something is wrong.
  std::optional<Anomaly> run(std::uint64_t steps);
  // Writers and faults end, what is under way becomes visible; then everything must be found as it is, in memory too.
  std::optional<Anomaly> settle();

  const Counts& counts() const { return counts_; }
  FollowerStats stats() const;

 private:
  static constexpr base::Nanoseconds kTick = 100 * base::kMicrosecond;
  static constexpr base::Nanoseconds kDeadline = 40 * base::kMillisecond;
  static constexpr base::Nanoseconds kBound = 3 * base::kMillisecond;

  class Node;
  // A client that keeps what it has read until it is told.
  class Client;
  struct Reader {
    storage::Level level = storage::Level::linearizable;
    std::map<std::string, base::Nanoseconds> floors;   // By key: no later answer may be from before.
    SessionToken token;
    base::Nanoseconds token_since = 0;                 // The token includes what was visible then.
    std::map<std::string, base::Nanoseconds> token_floors;
    std::uint64_t restarts = 0;
  };
  struct Asked {
    std::vector<ObservedKey> keys;
    ReadPromise promise;
    base::Nanoseconds begun = 0;
    base::Nanoseconds token_since = 0;
  };

  base::Nanoseconds up_to(base::Nanoseconds most) {
    return 1 + static_cast<base::Nanoseconds>(random_.below(static_cast<std::uint64_t>(most)));
  }
  void write_on(int writer);
  void tick();
  void restart_node();
  void read_on(std::size_t reader);
  Asked choose(Reader& reader);
  ObservedKey random_key();
  bool try_hit(Reader& reader, const Asked& asked);
  void on_answer(Reader& reader, const Asked& asked, const Result<std::vector<ObservedAnswer>>& result);
  void take_token(Reader& reader, const Asked& asked, const Value& value, storage::Lsn position);
  base::Nanoseconds token_floor(const Reader& reader, const Asked& asked, const std::string& key) const;
  void judge(Reader& reader, const Asked& asked, const std::vector<Value>& values, base::Nanoseconds from, bool monotonic);
  // The first moment in [from, now] at which the keys had these values.
  std::optional<base::Nanoseconds> moment_of(const std::vector<std::string>& keys, const std::vector<Value>& values,
                                             base::Nanoseconds from) const;
  void judge_bank(const Asked& asked, const std::vector<Value>& values);
  void complain(std::string name, std::string story);
  // The value of a row as it is read by its shape.
  Value unpack(bool present, std::string_view row, const storage::RowShapeRef& shape);
  void crash(bool promote);

  const Profile profile_;
  VirtualTime time_;
  base::Random random_;
  ModelServer server_;
  Slot slot_;
  std::unique_ptr<Client> client_;
  std::unique_ptr<Node> node_;
  std::vector<Reader> readers_;
  std::optional<Anomaly> anomaly_;
  Counts counts_;
  std::uint64_t steps_ = 0;
  std::uint64_t restarts_ = 0;
  bool quiet_ = false;
  std::optional<std::pair<storage::FullXid, base::Nanoseconds>> last_write_;
};

}  // namespace freshet::consistency::simulated
