// For tests: a storage over the model server. Every statement takes its time on the way, sees the server at a moment in
// between, and may be lost; the stream lags, breaks, and goes on from its slot. Values carry the number of columns with
// which they were read or told, as rows do: "value/columns".
#pragma once

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "consistency/observed/model_server.h"

namespace freshet::consistency::simulated {

// What the server keeps for a follower while that is away.
struct Slot {
  storage::Lsn confirmed = 0;
  bool lost = true;
};

struct ConnectionDelays {
  base::Nanoseconds way = 60 * base::kMicrosecond;         // To the server, and back.
  base::Nanoseconds lag = 80 * base::kMicrosecond;         // Of the stream, between two transactions, usually;
  base::Nanoseconds long_lag = 4 * base::kMillisecond;     // and at times.
  double long_lag_chance = 0.03;
  base::Nanoseconds away = 3 * base::kMillisecond;         // A broken stream.
  double lost_chance = 0.0005;                             // Of a statement's answer,
  base::Nanoseconds silence = 20 * base::kMillisecond;     // which is noticed after so long.
  double late_chance = 0.01;                               // Of an answer that is
  base::Nanoseconds late = 6 * base::kMillisecond;         // so long on its way.
  double refused_chance = 0.5;                             // Of a fill whose schema has changed.
  bool insert_position = false;
  bool marks = true;                                       // Whether fills tell of the rows' marks.
};

class ModelConnection final : public storage::ObservedStorage {
 public:
  ModelConnection(VirtualTime& time, base::Random& random, ModelServer& server, Slot& slot, const ConnectionDelays& delays)
      : time_(time), random_(random), server_(server), slot_(slot), delays_(delays), alive_(std::make_shared<bool>(true)) {}
  ~ModelConnection() override { *alive_ = false; }

  void follow(storage::StreamListener& listener) override {
    listener_ = &listener;
    later(up_to(delays_.away), [this] {
      start();
    });
  }
  void describe(std::vector<storage::CollectionSpec> /*specs*/) override {}  // The model's collections are always the same.
  void confirm(storage::Lsn position) override { slot_.confirmed = std::max(slot_.confirmed, position); }
  // What was looked up is older by the way back.
  void reload() override {
    if (std::exchange(looking_, true)) {
      look_again_ = true;
      return;
    }
    later(up_to(delays_.way), [this, look = ++looks_] {
      later(up_to(delays_.way), [this, look, described = describe()] {
        if (look == looks_) tell(described);
      });
    });
  }
  void probe(base::Nanoseconds deadline, storage::Callback<storage::ProbeReply> done) override;
  void nudge() override {
    later(up_to(delays_.way), [this] { server_.append_message(); });
  }
  void fill(storage::CollectionId collection, std::vector<std::string> keys, base::Nanoseconds deadline,
            storage::Callback<storage::FillReply> done) override {
    Keys pairs;
    for (auto& key : keys) pairs.emplace_back(collection, std::move(key));
    fill_together(std::move(pairs), deadline, std::move(done));
  }
  void fill_together(std::vector<std::pair<storage::CollectionId, std::string>> keys, base::Nanoseconds deadline,
                     storage::Callback<storage::FillReply> done) override;
  void position(base::Nanoseconds, storage::Callback<std::pair<storage::Identity, storage::Lsn>> done) override {
    later(up_to(delays_.way), [this, done] { done(std::pair(server_.identity(), server_.insert())); });
  }
  bool probes_insert_position() const override { return delays_.insert_position; }
  storage::StreamStatus status() const override { return {}; }

  // The stream ends here and begins again after a while.
  void break_stream() {
    if (!streaming_) return;
    streaming_ = false;
    ++connection_;
    listener_->on_stream_broken("the model broke it");
    later(up_to(delays_.away), [this] { start(); });
  }
  // For a while the rows cannot be read and their changes are not understood, as when a privilege is taken away.
  void disturb_rows() {
    if (!std::exchange(rows_faulty_, true)) {
      reload();
      later(up_to(delays_.away), [this] {
        rows_faulty_ = false;
        reload();
      });
    }
  }
  // What is published has changed: the follower begins anew, at the next commit, while the stream goes on.
  void begin_anew() {
    later(up_to(delays_.way), [this, first = server_.draw_xid()] {
      anew_ = first;
      begin_anew_if_due();
    });
  }
  // New records can be sent.
  void pump();

 private:
  using Keys = std::vector<std::pair<storage::CollectionId, std::string>>;
  using Versions = std::array<int, 3>;

  static constexpr std::size_t kBacklog = 8;

  base::Nanoseconds up_to(base::Nanoseconds most) {
    return 1 + static_cast<base::Nanoseconds>(random_.below(static_cast<std::uint64_t>(most)));
  }
  void later(base::Nanoseconds delay, std::function<void()> event) {
    time_.after(delay, [alive = alive_, event = std::move(event)] {
      if (*alive) event();
    });
  }
  void start();
  storage::Description describe();
  void tell(const storage::Description& description);
  void begin_anew_if_due();
  std::string row(const std::string& value, storage::CollectionId id, const Versions& versions) const {
    return fmt::format("{}/{}", value, 1 + versions[id]);
  }
  void deliver();
  void deliver_changes(const Record& record, std::size_t from);
  storage::FillReply read(const Keys& keys, const Versions& versions) const;
  // Answers after the way back; or never, which is noticed late; or with an error if the server was lost meanwhile.
  // (an answer from before a crash that the stream has noticed may still arrive).
  template <typename Reply>
  void answer(storage::Identity of, base::Nanoseconds deadline, Reply reply, storage::Callback<Reply> done) {
    if (random_.chance(delays_.lost_chance)) {
      time_.at(std::min(deadline, time_.now() + delays_.silence), [alive = alive_, done] {
        if (*alive) done(Error::of(ErrorCode::deadline_exceeded, "no answer"));
      });
      return;
    }
    const base::Nanoseconds way = random_.chance(delays_.late_chance) ? delays_.late : delays_.way;
    const bool seen = server_.run() == server_.seen_run();
    later(up_to(way), [this, seen, run = server_.run(), of = std::move(of), reply = std::move(reply),
                       done = std::move(done)]() mutable {
      const bool late = seen && server_.run() == server_.seen_run() && of == server_.identity();
      if (run == server_.run() || late) return done(std::move(reply));
      done(Error::of(ErrorCode::unavailable, "the server was lost"));
    });
  }

  VirtualTime& time_;
  base::Random& random_;
  ModelServer& server_;
  Slot& slot_;
  const ConnectionDelays delays_;
  std::shared_ptr<bool> alive_;
  storage::StreamListener* listener_ = nullptr;
  bool streaming_ = false;
  bool pumping_ = false;
  std::uint64_t connection_ = 0;
  std::size_t next_ = 0;
  std::uint64_t started_in_ = 0;   // Run of the server.
  bool telling_ = false;           // In a transaction.
  storage::FullXid anew_ = 0;      // Set: the follower is to begin anew.
  bool looking_ = false, look_again_ = false;
  std::uint64_t looks_ = 0;
  bool rows_faulty_ = false;
  bool rows_known_ = true;         // As described last; and with how many columns.
  Versions described_{};
};

inline storage::Description ModelConnection::describe() {
  storage::Description description;
  for (const auto id : {ModelServer::kRows, ModelServer::kBank, ModelServer::kQuery}) {
    auto shape = std::make_shared<storage::RowShape>();
    shape->columns.resize(static_cast<std::size_t>(1 + server_.version(id)));
    description.collections.push_back({{}, std::move(shape), server_.fingerprint(id), "the model"});
    if (!rows_faulty_ || id == ModelServer::kBank) continue;
    description.collections.back().fault = Error::of(ErrorCode::unavailable, "the model forbids it");
    description.collections.back().shape = nullptr;
  }
  description.fingerprint = server_.fingerprint();
  description.published = server_.insert();
  description.first_xid = server_.draw_xid();
  return description;
}

// From now on changes and fills have the columns that were described.
inline void ModelConnection::tell(const storage::Description& description) {
  for (std::size_t id = 0; id < described_.size(); ++id) {
    const auto& shape = description.collections[id].shape;
    if (shape) described_[id] = static_cast<int>(shape->columns.size()) - 1;
  }
  rows_known_ = !description.collections[ModelServer::kRows].fault;
  ++looks_;
  looking_ = false;
  listener_->on_described(description);
  if (std::exchange(look_again_, false)) reload();
}

inline void ModelConnection::begin_anew_if_due() {
  if (anew_ == 0 || !streaming_ || telling_) return;
  listener_->on_stream_broken("the model publishes something else");
  listener_->on_stream_started({server_.identity(), false, std::exchange(anew_, 0)});
}

inline void ModelConnection::start() {
  const bool continuous = !slot_.lost && started_in_ == server_.seen_run();
  if (slot_.lost) slot_ = {server_.boundary(), false};
  const auto& log = server_.log();
  next_ = 0;
  while (next_ < log.size() && log[next_].begin < slot_.confirmed) ++next_;
  started_in_ = server_.seen_run();
  streaming_ = true;
  pumping_ = telling_ = false;
  tell(describe());
  if (!continuous) anew_ = 0;
  listener_->on_stream_started({server_.identity(), continuous, server_.draw_xid()});
  begin_anew_if_due();
  pump();
}

inline void ModelConnection::pump() {
  if (!streaming_ || pumping_) return;
  pumping_ = true;
  // What waits is sent at once.
  const bool late = server_.log().size() - next_ > kBacklog;
  const bool slow = !late && random_.chance(delays_.long_lag_chance);
  const base::Nanoseconds lag = late ? 1 : up_to(slow ? delays_.long_lag : delays_.lag);
  later(lag, [this, connection = connection_] {
    if (connection == connection_) deliver();
  });
}

inline void ModelConnection::deliver() {
  pumping_ = false;
  if (next_ == server_.log().size()) {
    listener_->on_position(server_.boundary());
    return;
  }
  const Record record = server_.log()[next_++];
  if (record.xid == 0) {
    listener_->on_position(record.end);
    return pump();
  }
  pumping_ = telling_ = true;
  listener_->on_begin(static_cast<storage::Xid>(record.xid), record.begin);
  deliver_changes(record, 0);
}

// At times the rest of a transaction comes later.
inline void ModelConnection::deliver_changes(const Record& record, std::size_t from) {
  for (std::size_t i = from; i < record.changes.size(); ++i) {
    if (i > from && random_.chance(0.1)) {
      later(up_to(delays_.lag), [this, record, i, connection = connection_] {
        if (connection != connection_) return;
        listener_->on_position(record.begin);
        deliver_changes(record, i);
      });
      return;
    }
    const OwnedChange& change = record.changes[i];
    if (!rows_known_ && change.collection != ModelServer::kBank) continue;
    const bool put = change.kind == storage::Change::Kind::put;
    const std::string value = put ? row(change.value, change.collection, described_) : "";
    listener_->on_change({change.kind, change.collection, change.key, value});
  }
  pumping_ = telling_ = false;
  listener_->on_commit(static_cast<storage::Xid>(record.xid), record.end);
  begin_anew_if_due();
  pump();
}

inline void ModelConnection::probe(base::Nanoseconds deadline, storage::Callback<storage::ProbeReply> done) {
  later(up_to(delays_.way), [this, deadline, done = std::move(done)]() mutable {
    storage::ProbeReply reply{server_.snapshot(), 0, server_.fingerprint(), server_.identity()};
    later(up_to(delays_.way / 4), [this, deadline, reply = std::move(reply), done = std::move(done)]() mutable {
      reply.position = delays_.insert_position ? server_.insert() : server_.flush();
      const storage::Identity of = reply.identity;
      answer(of, deadline, std::move(reply), std::move(done));
    });
  });
}

inline void ModelConnection::fill_together(Keys keys, base::Nanoseconds deadline,
                                           storage::Callback<storage::FillReply> done) {
  const auto faulty = [&](const auto& key) { return !rows_known_ && key.first != ModelServer::kBank; };
  if (std::any_of(keys.begin(), keys.end(), faulty)) {
    return later(1, [done = std::move(done)] { done(Error::of(ErrorCode::unavailable, "the model forbids it")); });
  }
  later(up_to(2 * delays_.way), [this, keys = std::move(keys), versions = described_, deadline, done = std::move(done)] {
    const auto is_outdated = [&](const auto& key) { return versions[key.first] != server_.version(key.first); };
    // Some changes of the schema are such that the statement still works.
    if (std::any_of(keys.begin(), keys.end(), is_outdated) && random_.chance(delays_.refused_chance)) {
      storage::FillReply refused;
      refused.outdated = Error::of(ErrorCode::unavailable, "the model has another schema by now");
      return answer(server_.identity(), deadline, std::move(refused),
                    storage::Callback<storage::FillReply>([this, done](Result<storage::FillReply> reply) {
                      if (reply) reload();
                      done(std::move(reply));
                    }));
    }
    storage::FillReply reply = read(keys, versions);
    const storage::Identity of = reply.identity;
    answer(of, deadline, std::move(reply), std::move(done));
  });
}

inline storage::FillReply ModelConnection::read(const Keys& keys, const Versions& versions) const {
  storage::FillReply reply;
  reply.snapshot = server_.snapshot();
  reply.position = server_.insert();
  reply.identity = server_.identity();
  for (const auto& [collection, key] : keys) {
    const Value value = server_.read(key, reply.snapshot);
    const bool marked = delays_.marks && server_.is_locked(key);
    reply.values.push_back({{}, value.has_value(), value ? row(*value, collection, versions) : "", marked});
  }
  return reply;
}

}  // namespace freshet::consistency::simulated
