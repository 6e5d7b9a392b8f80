// Fills: reading missing keys from storage into the table. Keys wait in a queue for each collection; the collections take
// turns, and only so many statements run at once, so that a cold cache never takes the database down. A read joins only a
// fill that has not been sent.
//
// A fill in flight collects the changes of its keys that settle meanwhile: when it was sent they were held or had not
// arrived, and the table had no entry to take them. Its own snapshot judges them: what it shows is in the value already,
// what it does not show is done on top. What is still held when the fill ends is done to the entry when it settles.
//
// On the loop's thread. May use the entries and the collections.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "consistency/observed/entries.h"

namespace freshet::consistency {

struct FillAnswer {
  bool present = false;
  const std::string& value;
  storage::RowShapeRef shape;
  bool cached = false;
  const storage::FillReply& reply;
};
using FillDone = std::function<void(const Result<FillAnswer>&)>;

// Hears of every snapshot before its fill's rows are looked at.
class FillListener {
 public:
  virtual void on_fill_snapshot(const storage::FillReply& reply, base::Nanoseconds sent) = 0;
  // Its readers were just answered, and must not keep what they got: the stream has told of a change meanwhile that the
  // answer does not show, or may never tell of one.
  virtual void on_outdated_answer(std::string_view key) = 0;

 protected:
  ~FillListener() = default;
};

class Fills {
 public:
  Fills(Context& context, Collections& collections, Entries& entries, HeldChanges& held, StartRule& start_rule,
        FillListener& listener);

  // Joins a fill that waits, or queues one. False: too many wait.
  bool read(storage::CollectionId collection, const std::string& key, std::uint64_t hash, base::Nanoseconds deadline,
            FillDone done);
  // There are more collections than before.
  void grow() { queues_.resize(context_.specs.size()); }
  // Sends what may be sent.
  void send();
  // The collections were described anew: what the schema's change kept from being read is asked for again.
  void resume();

  // A change of the key would be collected.
  bool is_in_flight(std::uint64_t hash) const { return in_flight_.contains(hash); }
  void collect(const KeyChange& change, storage::Xid xid, storage::Lsn end);
  void collect_hashes(const HeldTransaction& transaction);
  void collect_all(storage::CollectionId collection, storage::Xid xid);

  // The fills in flight will not be cached; their readers are answered all the same.
  void void_all();
  void void_collection(storage::CollectionId collection);
  void void_if(base::FunctionRef<bool(std::string_view key)> concerned);

  std::size_t waiting() const { return waiting_.size(); }
  std::size_t statements_in_flight() const { return statements_.size(); }
  // Whether a statement is in flight that was sent before `moment`.
  bool any_sent_before(base::Nanoseconds moment) const;
  // What stands in the queue is answered with `error`.
  void stop(const Error& error);

 private:
  struct Collected {
    storage::Xid xid = 0;
    storage::Lsn end = 0;  // Of its transaction.
    KeyChange change;
  };
  struct Request {
    std::string key;
    std::uint64_t hash = 0;
    storage::CollectionId collection = 0;
    base::Nanoseconds deadline = 0;   // The latest of those who wait.
    std::vector<FillDone> waiters;
    std::vector<Collected> collected;
    bool voided = false;
    int outdated = 0;                 // How often the schema was not as described.

    void answer(const Result<FillAnswer>& result) const {
      for (const FillDone& done : waiters) done(result);
    }
  };
  using RequestRef = std::shared_ptr<Request>;
  struct Statement {
    storage::CollectionId collection = 0;
    base::Nanoseconds sent = 0;
    storage::RowShapeRef shape;
    std::vector<RequestRef> requests;
    std::vector<storage::Xid> all_changed;  // Transactions after which any key of the collection may have changed.
  };

  void queue(RequestRef request);
  // The schema is not as described: waits for the description, or gives up.
  void put_off(RequestRef request, const Error& why);
  std::vector<RequestRef> take_next(storage::CollectionId& collection);
  void send(storage::CollectionId collection, std::vector<RequestRef> requests);
  void on_reply(std::list<Statement>::iterator statement, Result<storage::FillReply> reply);
  void settle(const Statement& statement, Request& request, storage::FilledValue& value, const storage::FillReply& reply,
              const SnapshotRef& snapshot);
  // What was collected and is not shown is done to the value.
  struct Caught {
    bool known = true;                  // What the value is now.
    std::vector<storage::Xid> on_top;
    storage::Lsn position = 0;          // Up to where the log is in the value, by what was done on top.
  };
  Caught catch_up(const Statement& statement, Request& request, storage::FilledValue& value,
                  const storage::Snapshot& snapshot) const;
  bool may_cache(const Request& request, const storage::FilledValue& value, const storage::FillReply& reply) const;

  Context& context_;
  Collections& collections_;
  Entries& entries_;
  HeldChanges& held_;
  StartRule& start_rule_;
  FillListener& listener_;
  std::vector<std::deque<RequestRef>> queues_;                // By collection.
  storage::CollectionId turn_ = 0;
  std::unordered_map<std::string_view, RequestRef> waiting_;  // Not yet sent; keyed by the request's own key.
  std::vector<RequestRef> put_off_;                           // Until the next description.
  std::list<Statement> statements_;                           // In flight.
  std::unordered_multimap<std::uint64_t, RequestRef> in_flight_;
};

}  // namespace freshet::consistency
