// The follower's state, driven step by step on one thread: it listens to the stream, settles what snapshots show, and has
// the parts around it do the rest. It reads no clock and waits for nothing by itself (see Host), so a simulation can drive
// it through virtual time.
//
//   stream ── HeldChanges ── settle ── Entries (the table), Fills in flight, the watcher
//                              ▲
//             snapshots of Probes and of Fills
//   reads ── Reads ── Probes (an entry is there) or Fills (none is)
//
// May use every part of this folder.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "consistency/observed/reads.h"

namespace freshet::consistency {

class Tracker final : public storage::StreamListener, private FillListener, private ProbeListener {
 public:
  struct Setting {
    memory::Table& table;
    Host& host;
    storage::ObservedStorage& storage;
    Published& published;
    const SpecList& specs;
    ObservedProtections protections;
    FollowerLimits limits;
  };
  explicit Tracker(const Setting& setting);

  void read(std::vector<ReadRequest> requests);
  void token(base::Nanoseconds deadline, storage::Callback<SessionToken> done);
  // Those of the collections that are `followed`, by their ids, are so from now on, and others rest. Answers once those of
  // `awaited` are served from memory; errors: the fault of one, deadline_exceeded.
  void follow(const std::vector<bool>& followed, std::vector<storage::CollectionId> awaited, base::Nanoseconds deadline,
              storage::Callback<void> done);
  std::size_t evict(std::string_view key);
  std::size_t evict_collection(storage::CollectionId collection);
  std::size_t evict_if(base::FunctionRef<bool(std::string_view key)> leaves);
  void watch(ChangeWatcher* watcher) { context_.watcher = watcher; }
  std::vector<std::pair<std::string, std::string>> explain(storage::CollectionId collection, std::string_view key) const;
  FollowerStats stats() const;
  // Does what is due and says by Host::wake_at when it is to be called again. Every other call ends with it.
  void advance();
  // Answers every open read. Storage may still answer afterwards.
  void stop();

  void on_stream_started(const storage::StreamStart& start) override;
  void on_begin(storage::Xid xid, storage::Lsn commit) override;
  void on_change(const storage::Change& change) override;
  void on_commit(storage::Xid xid, storage::Lsn end) override;
  void on_position(storage::Lsn received) override;
  void on_stream_broken(const std::string& why) override;
  void on_described(const storage::Description& description) override;

 private:
  void on_fill_snapshot(const storage::FillReply& reply, base::Nanoseconds sent) override;
  void on_outdated_answer(std::string_view key) override;
  bool on_probe_reply(const storage::ProbeReply& reply, base::Nanoseconds sent) override;
  void on_probe_proven(const std::shared_ptr<Proof>& proof) override;

  struct Awaited {
    std::uint64_t revision = 0;
    std::vector<storage::CollectionId> collections;
    base::Nanoseconds deadline = 0;
    storage::Callback<void> done;
  };
  void answer_awaited();
  std::optional<Result<void>> outcome_of(const Awaited& awaited) const;
  base::Nanoseconds next_awaited_due() const;

  bool may_probe() const { return context_.streaming && collections_.described() && !collections_.doubted(); }
  // A snapshot of the stream's own database.
  void learn(const storage::Snapshot& snapshot, base::Nanoseconds sent);
  void apply(const HeldTransaction& transaction);
  void advance_position(storage::Lsn received);
  void confirm();
  void begin_start_rule(storage::FullXid first);
  void forget_everything();
  void drop_collection(storage::CollectionId collection);

  Context context_;
  Collections collections_;
  StartRule start_rule_;
  HeldChanges held_;
  Reads reads_;
  Entries entries_;
  Fills fills_;
  Probes probes_;
  // The newest snapshot of any probe or fill: it shows all that any of them has shown.
  storage::Snapshot newest_;
  std::optional<storage::Xid> newest_begun_;  // Of the transactions that the stream has told, from this server's history.
  base::Nanoseconds start_rule_since_ = 0;
  base::Nanoseconds history_since_ = 0;       // Statements from before may tell of a run of the server that is over.
  storage::Lsn last_commit_ = 0;     // Where the last transaction received ends.
  storage::Lsn confirmed_ = 0;
  std::uint64_t revision_ = 0;       // Of what storage was told to follow.
  std::vector<Awaited> awaited_;
  bool advancing_ = false;
  bool stopped_ = false;
};

}  // namespace freshet::consistency
