// For tests: what the simulation's readers do and how their answers are judged. See consistency/observed/simulation.h.
#pragma once

#include <fmt/format.h>

#include "base/slot.h"
#include "consistency/observed/simulation.h"
#include "memory/settling_fifo.h"

namespace freshet::consistency::simulated {

inline std::vector<storage::CollectionSpec> model_specs() {
  std::vector<storage::CollectionSpec> specs(3);
  specs[ModelServer::kRows].name = specs[ModelServer::kRows].table = "a";
  specs[ModelServer::kBank].name = specs[ModelServer::kBank].table = "b";
  specs[ModelServer::kQuery].name = "q";
  specs[ModelServer::kQuery].query = "SELECT * FROM a";
  return specs;
}

// As Redis asks of clients: it keeps no answer that came after it was told of the key while it waited.
class Simulation::Client final : public ChangeWatcher {
 public:
  explicit Client(const VirtualTime& time) : time_(time) {}
  void on_changed(std::string_view key) override {
    kept.erase(std::string(key));
    told_[std::string(key)] = time_.now();
  }
  void on_collection_changed(std::string_view collection) override {
    std::erase_if(kept, [&](const auto& one) { return one.first.front() == collection.front(); });
    told_[std::string(collection)] = time_.now();
  }
  void on_everything_changed() override {
    kept.clear();
    everything_ = time_.now();
  }
  void keep(const std::string& key, const Value& value, base::Nanoseconds begun) {
    if (begun <= std::max({told_[key], told_[key.substr(0, 1)], everything_})) return;
    kept[key] = value;
  }

  std::map<std::string, Value> kept;

 private:
  const VirtualTime& time_;
  std::map<std::string, base::Nanoseconds> told_;
  base::Nanoseconds everything_ = 0;
};

// One run of a Freshet node: its memory, its connection, its follower.
class Simulation::Node final : public Host {
 public:
  explicit Node(Simulation& simulation)
      : time_(simulation.time_),
        specs(model_specs()),
        table(options(simulation.profile_)),
        published(specs.size()),
        connection(time_, simulation.random_, simulation.server_, simulation.slot_, simulation.profile_.connection),
        tracker({table, *this, connection, published, specs, simulation.profile_.protections, simulation.profile_.limits}) {
    if (simulation.profile_.watched) tracker.watch(simulation.client_.get());
    connection.follow(tracker);
  }

  base::Nanoseconds now() const override { return time_.now(); }
  void wake_at(base::Nanoseconds moment) override {
    if (moment == base::kForever || (moment >= armed_ && armed_ > now())) return;
    armed_ = moment;
    time_.at(moment, [this, moment, alive = std::weak_ptr<int>(alive_)] {
      if (!alive.expired() && moment == armed_) ring();
    });
  }
  void sweep(EpochRef ended) override {
    table.erase_if([&](const memory::Entry& entry) { return entry.witness() == ended.get(); });
  }

 private:
  static memory::TableOptions options(const Profile& profile) {
    memory::TableOptions options;
    options.capacity_bytes = profile.table_bytes;
    options.shards = 1;
    options.policy = [](std::size_t) { return std::make_unique<memory::SettlingFifo>(); };
    return options;
  }
  void ring() {
    armed_ = 0;
    tracker.advance();
  }

  VirtualTime& time_;
  base::Nanoseconds armed_ = 0;
  std::shared_ptr<int> alive_ = std::make_shared<int>();

 public:
  const SpecList specs;
  memory::Table table;
  Published published;
  ModelConnection connection;
  Tracker tracker;
};

inline Simulation::Simulation(const Profile& profile)
    : profile_(profile), random_(profile.seed), server_(time_, random_, profile.server) {
  if (profile_.slot_exists) slot_ = {server_.boundary(), false};
  client_ = std::make_unique<Client>(time_);
  node_ = std::make_unique<Node>(*this);
  server_.on_append([this] { node_->connection.pump(); });
  for (int writer = 0; writer < profile_.writers; ++writer) write_on(writer);
  readers_.resize(static_cast<std::size_t>(profile_.readers));
  for (std::size_t reader = 0; reader < readers_.size(); ++reader) {
    readers_[reader].level = profile_.levels[reader % profile_.levels.size()];
    read_on(reader);
  }
  tick();
}

inline Simulation::~Simulation() = default;

inline FollowerStats Simulation::stats() const { return node_->tracker.stats(); }

inline void Simulation::complain(std::string name, std::string story) {
  if (!anomaly_) anomaly_ = Anomaly{std::move(name), std::move(story), steps_};
}

inline Value Simulation::unpack(bool present, std::string_view row, const storage::RowShapeRef& shape) {
  if (!present) return std::nullopt;
  const auto slash = row.rfind('/');
  const std::string columns = std::to_string(shape ? shape->columns.size() : 0);
  if (row.substr(slash + 1) != columns) complain("misread", fmt::format("{} was read as a row of {}", row, columns));
  return std::string(row.substr(0, slash));
}

inline std::optional<Anomaly> Simulation::run(std::uint64_t steps) {
  for (const std::uint64_t end = steps_ + steps; steps_ < end && !anomaly_; ++steps_) {
    if (!time_.step()) complain("silence", "nothing happens any more");
  }
  return anomaly_;
}

inline void Simulation::write_on(int writer) {
  if (!quiet_) {
    server_.write([this](storage::FullXid xid) { last_write_ = std::pair(xid, time_.now()); });
  }
  time_.after(up_to(600 * base::kMicrosecond), [this, writer] { write_on(writer); });
}

// Faults, now and then.
inline void Simulation::tick() {
  time_.after(up_to(2 * kTick), [this] { tick(); });
  if (quiet_) return;
  if (random_.chance(profile_.alter)) server_.alter(ModelServer::kRows);
  if (random_.chance(profile_.truncate)) server_.truncate();
  if (random_.chance(profile_.tear)) server_.tear();
  if (random_.chance(profile_.evict)) {
    if (random_.chance(0.2)) {
      node_->tracker.evict_collection(static_cast<storage::CollectionId>(random_.below(3)));
    } else {
      node_->tracker.evict(random_key().key);
    }
  }
  const bool promote = random_.chance(profile_.promote);
  if (promote || random_.chance(profile_.crash)) crash(promote);
  if (random_.chance(profile_.lose_slot)) {
    slot_.lost = true;
    node_->connection.break_stream();
  }
  if (random_.chance(profile_.break_stream)) node_->connection.break_stream();
  if (random_.chance(profile_.disturb)) node_->connection.disturb_rows();
  if (random_.chance(profile_.begin_anew)) node_->connection.begin_anew();
  if (random_.chance(profile_.restart_node)) restart_node();
}

inline void Simulation::crash(bool promote) {
  constexpr Crash kHow[] = {Crash::restart, Crash::postmaster, Crash::unseen};
  server_.crash(promote ? Crash::promotion : kHow[random_.below(profile_.crashes_unseen ? 3 : 2)]);
  if (promote) slot_.lost = true;
  last_write_.reset();
  node_->connection.break_stream();
}

inline void Simulation::restart_node() {
  ++restarts_;
  node_.reset();
  client_->on_everything_changed();
  node_ = std::make_unique<Node>(*this);
  for (std::size_t reader = 0; reader < readers_.size(); ++reader) {
    // What a new node remembers is no continuation of what the old one did.
    readers_[reader].floors.clear();
    time_.after(up_to(kTick), [this, reader, restarts = restarts_] {
      if (restarts == restarts_) read_on(reader);
    });
  }
}

inline ObservedKey Simulation::random_key() {
  const auto choice = random_.below(10);
  if (choice == 0) return {ModelServer::kQuery, ModelServer::query_key()};
  if (choice < 3) {
    return {ModelServer::kBank, ModelServer::account_key(static_cast<int>(random_.below(ModelServer::kAccounts)))};
  }
  return {ModelServer::kRows, ModelServer::row_key(static_cast<int>(random_.below(ModelServer::kRowKeys)))};
}

inline Simulation::Asked Simulation::choose(Reader& reader) {
  Asked asked;
  asked.begun = time_.now();
  asked.promise.level = reader.level;
  asked.promise.bound = kBound;
  if (reader.level == storage::Level::snapshot && random_.chance(0.6)) {
    for (int i = 0; i < ModelServer::kAccounts; ++i) asked.keys.push_back({ModelServer::kBank, ModelServer::account_key(i)});
    return asked;
  }
  const auto count = reader.level == storage::Level::snapshot || random_.chance(0.1) ? 2 + random_.below(4) : 1;
  for (std::uint64_t i = 0; i < count; ++i) asked.keys.push_back(random_key());
  if (reader.level != storage::Level::session) return asked;
  if (last_write_ && random_.chance(0.3)) {
    const storage::Identity& identity = server_.identity();
    reader.token = {identity.system, identity.timeline, 0, last_write_->first};
    reader.token_since = last_write_->second;
    reader.token_floors.clear();
  }
  asked.promise.token = reader.token;
  asked.token_since = reader.token_since;
  return asked;
}

inline void Simulation::read_on(std::size_t index) {
  Reader& reader = readers_[index];
  const Asked asked = choose(reader);
  const auto go_on = [this, index, restarts = restarts_] {
    time_.after(up_to(300 * base::kMicrosecond), [this, index, restarts] {
      if (restarts == restarts_) read_on(index);
    });
  };
  if (asked.keys.size() == 1 && try_hit(reader, asked)) return go_on();
  ReadRequest request{asked.keys, asked.promise, asked.begun + kDeadline, {}};
  request.done = [this, index, asked, go_on](const Result<std::vector<ObservedAnswer>>& result) {
    on_answer(readers_[index], asked, result);
    go_on();
  };
  std::vector<ReadRequest> requests;
  requests.push_back(std::move(request));
  node_->tracker.read(std::move(requests));
}

// As callers do on their own threads.
inline bool Simulation::try_hit(Reader& reader, const Asked& asked) {
  std::optional<base::Nanoseconds> age;
  Value value;
  storage::Lsn position = 0;
  const std::string& key = asked.keys[0].key;
  node_->table.visit(key, base::hash_of(key), [&](const memory::Entry& entry) {
    age = node_->published.age_if_fresh(entry, asked.promise, time_.now());
    if (age) value = unpack(entry.present(), entry.value(), static_cast<const CollectionEpoch*>(entry.witness())->shape());
    position = entry.version();
  });
  if (!age) return false;
  ++counts_.reads;
  ++counts_.from_memory;
  base::Nanoseconds from = *age == base::kForever ? 0 : time_.now() - *age;
  if (reader.level == storage::Level::session) from = asked.token_since;
  judge(reader, asked, {value}, from, true);
  if (const ProofRef proof = node_->published.proof()) position = std::max(position, proof->position);
  take_token(reader, asked, value, position);
  return true;
}

inline void Simulation::on_answer(Reader& reader, const Asked& asked, const Result<std::vector<ObservedAnswer>>& result) {
  ++counts_.reads;
  const base::Nanoseconds took = time_.now() - asked.begun;
  counts_.longest = std::max(counts_.longest, took);
  if (took > kDeadline + base::kMillisecond) complain("late", fmt::format("a read took {} us", took / 1000));
  if (!result) {
    ++counts_.refused;
    const ErrorCode code = result.error().code;
    const bool fair = code == ErrorCode::stale || code == ErrorCode::deadline_exceeded || code == ErrorCode::unavailable ||
                      (code == ErrorCode::invalid_argument && reader.level == storage::Level::session);
    if (!fair) complain("error", result.error().what);
    if (code == ErrorCode::invalid_argument) reader.token = {}, reader.token_since = 0, reader.token_floors.clear();
    return;
  }
  std::vector<Value> values;
  bool from_memory = true;
  for (const ObservedAnswer& answer : *result) {
    values.push_back(unpack(answer.present, answer.value, answer.shape));
    from_memory = from_memory && answer.from_memory;
  }
  counts_.from_memory += from_memory;
  const bool is_snapshot = reader.level == storage::Level::snapshot;
  counts_.snapshots_from_memory += from_memory && is_snapshot;
  base::Nanoseconds from = asked.begun;
  if (reader.level == storage::Level::bounded) from = std::min(from, time_.now() - kBound);
  if (reader.level == storage::Level::any) from = 0;
  if (reader.level == storage::Level::session) from = asked.token_since;
  judge(reader, asked, values, from, from_memory);
  if (is_snapshot) judge_bank(asked, values);
  if (profile_.watched) {
    for (std::size_t i = 0; i < values.size(); ++i) client_->keep(asked.keys[i].key, values[i], asked.begun);
  }
  if (asked.keys.size() == 1) take_token(reader, asked, values[0], result->front().position);
}

// What the token that the read carried says about the key.
inline base::Nanoseconds Simulation::token_floor(const Reader& reader, const Asked& asked, const std::string& key) const {
  const auto floor = reader.token_floors.find(key);
  return std::max(asked.token_since, floor == reader.token_floors.end() ? 0 : floor->second);
}

// The next read includes what this one has seen.
inline void Simulation::take_token(Reader& reader, const Asked& asked, const Value& value, storage::Lsn position) {
  if (reader.level != storage::Level::session || random_.chance(0.3)) return;
  const std::string& key = asked.keys[0].key;
  const auto seen = moment_of({key}, {value}, token_floor(reader, asked, key));
  const bool later = reader.token.position > 0 && position >= reader.token.position;
  if (!later) reader.token_floors.clear(), reader.token_since = 0;
  reader.token = {server_.identity().system, server_.identity().timeline, position, 0};
  if (seen) reader.token_floors[key] = *seen;
}

inline std::optional<base::Nanoseconds> Simulation::moment_of(const std::vector<std::string>& keys,
                                                              const std::vector<Value>& values,
                                                              base::Nanoseconds from) const {
  std::vector<base::Nanoseconds> moments = server_.moments_in(keys, std::max(from, base::kSecond), time_.now());
  std::sort(moments.begin(), moments.end());
  for (const base::Nanoseconds moment : moments) {
    bool equal = true;
    for (std::size_t i = 0; i < keys.size() && equal; ++i) equal = server_.value_at(keys[i], moment) == values[i];
    if (equal) return moment;
  }
  return std::nullopt;
}

inline void Simulation::judge(Reader& reader, const Asked& asked, const std::vector<Value>& values, base::Nanoseconds from,
                              bool monotonic) {
  const std::string level = std::to_string(static_cast<int>(reader.level));
  if (reader.level == storage::Level::snapshot && values.size() > 1) {
    std::vector<std::string> keys;
    for (const ObservedKey& key : asked.keys) keys.push_back(key.key);
    if (!moment_of(keys, values, from)) complain("torn", "no moment had all the values of a snapshot read");
    return;
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::string& key = asked.keys[i].key;
    const std::string said = fmt::format("level {}: {} was read as {} and is {}", level, key, values[i].value_or("absent"),
                                         server_.value_at(key, time_.now()).value_or("absent"));
    const bool session = reader.level == storage::Level::session;
    const base::Nanoseconds since = session ? token_floor(reader, asked, key) : from;
    if (!moment_of({key}, {values[i]}, since)) {
      return complain(moment_of({key}, {values[i]}, 0) ? "stale" : "never", said);
    }
    if (!monotonic || session || reader.level == storage::Level::linearizable) continue;
    base::Nanoseconds& floor = reader.floors[key];
    const auto later = moment_of({key}, {values[i]}, std::max(floor, since));
    if (!later) return complain("backwards", said);
    floor = *later;
  }
}

inline void Simulation::judge_bank(const Asked& asked, const std::vector<Value>& values) {
  int total = 0;
  for (const Value& value : values) {
    if (asked.keys.size() != ModelServer::kAccounts || asked.keys[0].collection != ModelServer::kBank) return;
    if (!value || value->find('#') == std::string::npos) return;
    total += std::stoi(*value);
  }
  std::set<std::string> distinct;
  for (const ObservedKey& key : asked.keys) distinct.insert(key.key);
  const bool all = distinct.size() == ModelServer::kAccounts && distinct.begin()->front() == 'b';
  if (all && total != ModelServer::kTotal) complain("torn", fmt::format("the bank has {}", total));
}

inline std::optional<Anomaly> Simulation::settle() {
  quiet_ = true;
  const base::Nanoseconds end = time_.now() + 200 * base::kMillisecond;
  while (time_.now() < end && !anomaly_ && time_.step()) ++steps_;
  std::vector<std::string> keys = {ModelServer::query_key()};
  for (int i = 0; i < ModelServer::kRowKeys; ++i) keys.push_back(ModelServer::row_key(i));
  for (int i = 0; i < ModelServer::kAccounts; ++i) keys.push_back(ModelServer::account_key(i));
  for (const std::string& key : keys) {
    node_->table.visit(key, base::hash_of(key), [&](const memory::Entry& entry) {
      const auto& epoch = static_cast<const CollectionEpoch&>(*entry.witness());
      const bool live = epoch.is_live();
      const Value cached = live ? unpack(entry.present(), entry.value(), epoch.shape()) : Value();
      const Value is = server_.value_at(key, time_.now());
      if (live && cached != is) {
        complain("stale for good",
                 fmt::format("{} is cached as {} and is {}", key, cached.value_or("absent"), is.value_or("absent")));
      }
    });
  }
  for (const auto& [key, value] : client_->kept) {
    if (value != server_.value_at(key, time_.now())) {
      complain("kept", fmt::format("a client keeps {} as {}", key, value.value_or("absent")));
    }
  }
  return anomaly_;
}

}  // namespace freshet::consistency::simulated
