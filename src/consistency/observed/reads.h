// Reads that cannot be answered on their caller's thread, at every level: what each waits for, and what it does when that
// fails. DESIGN's section 2 in code.
//
// An entry that is there is served once a probe sent after the read has proven it; what is not there is filled. What waits
// for the stream longer than its share of the deadline is answered by the database; what the database does not answer in
// time fails. On the loop's thread. May use fills, probes, entries.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "consistency/observed/fills.h"
#include "consistency/observed/probes.h"

namespace freshet::consistency {

struct ReadRequest {
  std::vector<ObservedKey> keys;  // None: waits for the token of a session.
  ReadPromise promise;
  base::Nanoseconds deadline = 0;
  Follower::ReadDone done;
};

class Reads final : public EntryListener {
 public:
  Reads(Context& context, Collections& collections) : context_(context), collections_(collections) {}
  // Once, before any read.
  void use(Entries& entries, Fills& fills, Probes& probes) { entries_ = &entries, fills_ = &fills, probes_ = &probes; }

  void start(ReadRequest request);
  // Reads that waited for the stream or the description try again.
  void resume();
  // Deadlines, and what waits for a place among the statements.
  void advance();
  base::Nanoseconds next_due() const { return timers_.empty() ? base::kForever : timers_.begin()->first; }
  std::size_t open() const { return timers_.size(); }
  // Answers every open read.
  void stop(const Error& error);

  void on_entry_changed(std::uint64_t hash, storage::Xid xid) override;
  void on_entry_filled(std::uint64_t hash, const storage::Snapshot& snapshot) override;

 private:
  class Read;
  using ReadRef = std::shared_ptr<Read>;
  using Timers = std::multimap<base::Nanoseconds, ReadRef>;
  // Something that went into an entry while a snapshot read waited for its probe.
  struct Touch {
    storage::Xid xid = 0;
    std::shared_ptr<const storage::Snapshot> filled;  // Null: the change of `xid`.
    bool is_shown(const storage::Snapshot& snapshot) const;
  };

  bool may_prove() const { return context_.streaming && collections_.described() && !collections_.doubted(); }
  void begin(const ReadRef& read);
  // Whether the levels allow every key to be served without waiting.
  bool may_serve_now(const Read& read) const;
  void route(const ReadRef& read, std::size_t index, bool at_once);
  bool serve_now(Read& read, std::size_t index, const memory::Entry& entry);
  void serve(Read& read, std::size_t index, const memory::Entry& entry, base::Nanoseconds age, storage::Lsn position);
  void fill(const ReadRef& read, std::size_t index);
  void on_filled(const ReadRef& read, std::size_t index, const Result<FillAnswer>& answer);
  void probe_or_park(const ReadRef& read);
  void on_proven(const ReadRef& read, const ProofRef& proof);
  void on_unprovable(const ReadRef& read);
  void wait_for_token(const ReadRef& read, storage::Lsn proven);

  void begin_snapshot(const ReadRef& read);
  void on_snapshot_filled(const ReadRef& read, const Result<FillAnswer>& answer);
  void probe_snapshot(const ReadRef& read);
  bool serve_snapshot(Read& read, const ProofRef& proof);
  void watch_entries(const ReadRef& read);
  void unwatch_entries(Read& read);
  void read_together(const ReadRef& read);
  void send_together();
  void on_together(const ReadRef& read, Result<storage::FillReply> reply);

  void close(Read& read);
  void finish(Read& read, Result<std::vector<ObservedAnswer>> result);
  void fail(Read& read, const Error& why);
  Error stale(const Read& read, std::string_view why) const;
  void set_timer(const ReadRef& read, base::Nanoseconds moment);
  void on_timer(const ReadRef& read);

  Context& context_;
  Collections& collections_;
  Entries* entries_ = nullptr;
  Fills* fills_ = nullptr;
  Probes* probes_ = nullptr;
  Timers timers_;                        // Every open read, by when something happens to it.
  std::vector<ReadRef> parked_;
  std::unordered_multimap<std::uint64_t, Read*> watched_;
  std::deque<ReadRef> together_waiting_;
  int together_in_flight_ = 0;
};

}  // namespace freshet::consistency
