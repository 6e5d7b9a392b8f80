// For tests: PostgreSQL as far as the follower can tell. Transactions with xids and row locks, a log in which commits
// appear before they become visible, snapshots, positions, a catalog with fingerprints, crashes that lose what was not
// committed. It remembers what was visible when, which is what reads are judged by.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "consistency/observed/virtual_time.h"
#include "storage/observed.h"

namespace freshet::consistency::simulated {

using Value = std::optional<std::string>;  // Nothing: absent.

struct OwnedChange {
  storage::Change::Kind kind;
  storage::CollectionId collection;
  std::string key;
  std::string value;
};

struct Record {
  storage::FullXid xid = 0;
  storage::Lsn begin = 0;
  storage::Lsn end = 0;
  std::vector<OwnedChange> changes;
};

struct Transaction {
  storage::FullXid xid = 0;
  std::map<std::string, Value> writes;
  std::vector<OwnedChange> changes;
  storage::CollectionId altered = kNothing;  // A silent rewrite of this table.
  bool logged = false;
  static constexpr storage::CollectionId kNothing = 1000;
};

// How the server ends, and begins again.
enum class Crash : std::uint8_t {
  restart,     // Another start of the server.
  postmaster,  // A backend was killed: the server begins again by itself, and does not count that as another start.
  unseen,      // The same, and the stream does not notice.
  promotion,
};

struct ServerDelays {
  base::Nanoseconds work = 300 * base::kMicrosecond;        // From begin to commit, at most.
  base::Nanoseconds visible = 60 * base::kMicrosecond;      // From the commit record to visibility, usually.
  base::Nanoseconds standby = 8 * base::kMillisecond;       // And at times: the standby was slow.
  double standby_chance = 0.1;
};

// The tables "a" (rows), "b" (accounts of a bank) and the query "q" over all of a.
class ModelServer {
 public:
  static constexpr storage::CollectionId kRows = 0, kBank = 1, kQuery = 2;
  static constexpr int kRowKeys = 8, kAccounts = 4, kTotal = 400;

  ModelServer(VirtualTime& time, base::Random& random, ServerDelays delays) : time_(time), random_(random), delays_(delays) {
    Transaction first;
    first.xid = next_xid_++;
    for (int i = 0; i < kRowKeys; ++i) first.writes[row_key(i)] = "first";
    for (int i = 0; i < kAccounts; ++i) first.writes[account_key(i)] = fmt::format("{}#0", kTotal / kAccounts);
    for (const auto& [key, value] : first.writes) versions_[key].push_back({first.xid, value});
    latest_completed_ = first.xid;
    note_visible(first);
  }

  static std::string row_key(int i) { return fmt::format("a:{}", i); }
  static std::string account_key(int i) { return fmt::format("b:{}", i); }
  static std::string query_key() { return "q:all"; }

  // A writer does one transaction, if the rows that it wants are free; it commits and becomes visible later. `acknowledged`
  // hears of its end with its xid.
  void write(std::function<void(storage::FullXid)> acknowledged);
  // The table is rewritten and gets a column: every value changes, and the stream says nothing.
  void alter(storage::CollectionId table);
  void truncate();
  // Something that commits nothing writes to the log; its last page is flushed in the middle of a record.
  void tear() {
    insert_ += 16 + random_.below(400);
    flush_ = std::max(boundary_, insert_ - 1 - random_.below(8));
  }
  void append_message() { append({}); }
  // pg_current_xact_id(), in a transaction that does nothing else.
  storage::FullXid draw_xid() {
    latest_completed_ = std::max(latest_completed_, next_xid_);
    return next_xid_++;
  }
  // What was logged becomes visible at once; the rest is lost, and its xids will be used again.
  void crash(Crash how);

  storage::Snapshot snapshot() const {
    std::vector<storage::FullXid> in_progress;
    for (const auto& [xid, transaction] : running_) {
      if (xid <= latest_completed_) in_progress.push_back(xid);
    }
    const storage::FullXid xmax = latest_completed_ + 1;
    return {in_progress.empty() ? xmax : in_progress.front(), xmax, std::move(in_progress)};
  }
  Value read(const std::string& key, const storage::Snapshot& snapshot) const;
  bool is_locked(const std::string& key) const { return locked_.contains(key); }
  storage::Lsn flush() const { return flush_; }
  storage::Lsn insert() const { return insert_; }
  storage::Lsn boundary() const { return boundary_; }
  const std::vector<Record>& log() const { return log_; }
  const storage::Identity& identity() const { return identity_; }
  std::uint64_t run() const { return run_; }
  // The run as the stream can tell it.
  std::uint64_t seen_run() const { return seen_run_; }
  // How often the table's shape has changed.
  int version(storage::CollectionId id) const { return altered_[id == kQuery ? kRows : id]; }
  std::string fingerprint(storage::CollectionId id) const { return fmt::format("v{}", version(id)); }
  std::string fingerprint() const { return fmt::format("{}/{}", altered_[0], altered_[1]); }
  void on_append(std::function<void()> hear) { hear_appended_.push_back(std::move(hear)); }

  // The history of what was visible, by moment.
  Value value_at(const std::string& key, base::Nanoseconds moment) const;
  std::vector<base::Nanoseconds> moments_in(const std::vector<std::string>& keys, base::Nanoseconds from,
                                            base::Nanoseconds to) const;

 private:
  struct Version {
    storage::FullXid xid;
    Value value;
  };
  static constexpr std::size_t kVersionsKept = 64;

  base::Nanoseconds up_to(base::Nanoseconds most) {
    return 1 + static_cast<base::Nanoseconds>(random_.below(static_cast<std::uint64_t>(most)));
  }
  bool lock(const std::vector<std::string>& keys) {
    for (const std::string& key : keys) {
      if (locked_.contains(key)) return false;
    }
    locked_.insert(keys.begin(), keys.end());
    return true;
  }
  void put(Transaction& transaction, const std::string& key, Value value);
  void write_rows(Transaction& transaction, const std::vector<std::string>& keys);
  void transfer(Transaction& transaction, const std::vector<std::string>& keys);
  std::string current(const std::string& key) const { return versions_.at(key).back().value.value_or(""); }
  void run(Transaction transaction, std::function<void(storage::FullXid)> acknowledged);
  void append(Record record);
  void become_visible(storage::FullXid xid);
  void abort(storage::FullXid xid);
  void note_visible(const Transaction& transaction);
  std::vector<std::string> all_rows() const {
    std::vector<std::string> keys;
    for (int i = 0; i < kRowKeys; ++i) keys.push_back(row_key(i));
    return keys;
  }

  VirtualTime& time_;
  base::Random& random_;
  const ServerDelays delays_;
  std::uint64_t run_ = 1;
  std::uint64_t seen_run_ = 1;
  storage::Identity identity_{"7001", "00000001", "run 1"};
  storage::FullXid next_xid_ = 100;
  storage::FullXid latest_completed_ = 99;
  std::map<storage::FullXid, Transaction> running_;
  std::set<std::string> locked_;
  std::map<std::string, std::vector<Version>> versions_;
  std::map<std::string, std::vector<std::pair<base::Nanoseconds, Value>>> visible_;
  std::vector<Record> log_;
  storage::Lsn boundary_ = 1000, flush_ = 1000, insert_ = 1000;
  int altered_[2] = {0, 0};
  std::uint64_t values_ = 0;
  std::vector<std::function<void()>> hear_appended_;
};

inline void ModelServer::put(Transaction& transaction, const std::string& key, Value value) {
  using Kind = storage::Change::Kind;
  const storage::CollectionId table = key.front() == 'a' ? kRows : kBank;
  // At times the stream does not carry the value (a large column that did not change).
  const Kind kind = !value ? Kind::erase : random_.chance(0.1) ? Kind::drop : Kind::put;
  transaction.changes.push_back({kind, table, key, kind == Kind::put ? *value : ""});
  if (table == kRows) {
    const bool whole = random_.chance(0.3);
    transaction.changes.push_back({whole ? Kind::all : Kind::drop, kQuery, whole ? "" : query_key(), ""});
  }
  versions_[key].push_back({transaction.xid, value});
  transaction.writes[key] = std::move(value);
}

inline void ModelServer::write_rows(Transaction& transaction, const std::vector<std::string>& keys) {
  for (const std::string& key : keys) {
    put(transaction, key, random_.chance(0.2) ? Value() : Value(fmt::format("{}.{}", transaction.xid, ++values_)));
    // The same row again: what was between is never visible.
    if (random_.chance(0.1)) put(transaction, key, fmt::format("{}.{}", transaction.xid, ++values_));
  }
}

inline void ModelServer::transfer(Transaction& transaction, const std::vector<std::string>& keys) {
  const int amount = 1 + static_cast<int>(random_.below(20));
  put(transaction, keys[0], fmt::format("{}#{}", std::stoi(current(keys[0])) - amount, ++values_));
  put(transaction, keys[1], fmt::format("{}#{}", std::stoi(current(keys[1])) + amount, ++values_));
}

inline void ModelServer::write(std::function<void(storage::FullXid)> acknowledged) {
  const bool bank = random_.chance(0.4);
  std::vector<std::string> keys;
  if (bank) {
    const auto from = random_.below(kAccounts);
    keys = {account_key(static_cast<int>(from)),
            account_key(static_cast<int>((from + 1 + random_.below(kAccounts - 1)) % kAccounts))};
  } else {
    std::set<std::string> some;
    for (auto left = 1 + random_.below(3); left > 0; --left) some.insert(row_key(static_cast<int>(random_.below(kRowKeys))));
    keys.assign(some.begin(), some.end());
  }
  if (!lock(keys)) return;
  Transaction transaction;
  transaction.xid = next_xid_++;
  if (bank) {
    transfer(transaction, keys);
  } else {
    write_rows(transaction, keys);
  }
  run(std::move(transaction), std::move(acknowledged));
}

inline void ModelServer::alter(storage::CollectionId table) {
  std::vector<std::string> keys = all_rows();
  if (!lock(keys)) return;
  Transaction transaction;
  transaction.xid = next_xid_++;
  transaction.altered = table;
  write_rows(transaction, keys);
  transaction.changes.clear();
  run(std::move(transaction), [](storage::FullXid) {});
}

inline void ModelServer::truncate() {
  std::vector<std::string> keys = all_rows();
  if (!lock(keys)) return;
  Transaction transaction;
  transaction.xid = next_xid_++;
  for (const std::string& key : keys) put(transaction, key, Value());
  transaction.changes = {{storage::Change::Kind::all, kRows, "", ""}, {storage::Change::Kind::all, kQuery, "", ""}};
  if (random_.chance(0.5)) put(transaction, keys[0], fmt::format("{}.{}", transaction.xid, ++values_));
  run(std::move(transaction), [](storage::FullXid) {});
}

// The commit record first, visibility later, the acknowledgement last.
inline void ModelServer::run(Transaction transaction, std::function<void(storage::FullXid)> acknowledged) {
  const storage::FullXid xid = transaction.xid;
  const std::uint64_t began_in = run_;
  running_.emplace(xid, std::move(transaction));
  const bool aborts = random_.chance(0.05);
  time_.after(up_to(delays_.work), [this, xid, began_in, aborts, acknowledged = std::move(acknowledged)] {
    if (began_in != run_) return;
    if (aborts) return abort(xid);
    Transaction& committing = running_.at(xid);
    committing.logged = true;
    append({xid, 0, 0, committing.changes});
    const bool slow = random_.chance(delays_.standby_chance);
    time_.after(up_to(slow ? delays_.standby : delays_.visible), [this, xid, began_in, acknowledged] {
      if (began_in != run_) return;
      become_visible(xid);
      acknowledged(xid);
    });
  });
}

inline void ModelServer::append(Record record) {
  record.begin = insert_ + 8;
  record.end = record.begin + 40;
  insert_ = flush_ = boundary_ = record.end;
  log_.push_back(std::move(record));
  for (const auto& hear : hear_appended_) hear();
}

inline void ModelServer::become_visible(storage::FullXid xid) {
  const auto finished = running_.extract(xid);
  const Transaction& transaction = finished.mapped();
  if (transaction.altered != Transaction::kNothing) ++altered_[transaction.altered];
  for (const auto& [key, value] : transaction.writes) locked_.erase(key);
  latest_completed_ = std::max(latest_completed_, xid);
  note_visible(transaction);
}

inline void ModelServer::abort(storage::FullXid xid) {
  const auto finished = running_.extract(xid);
  for (const auto& [key, value] : finished.mapped().writes) {
    std::erase_if(versions_[key], [&](const Version& version) { return version.xid == xid; });
    locked_.erase(key);
  }
  latest_completed_ = std::max(latest_completed_, xid);
}

inline void ModelServer::note_visible(const Transaction& transaction) {
  for (const auto& [key, value] : transaction.writes) {
    auto& versions = versions_[key];
    if (versions.size() > 2 * kVersionsKept) versions.erase(versions.begin(), versions.end() - kVersionsKept);
    visible_[key].emplace_back(time_.now(), value);
  }
  visible_[query_key()].emplace_back(time_.now(), read(query_key(), snapshot()));
}

inline void ModelServer::crash(Crash how) {
  ++run_;
  if (how != Crash::unseen) seen_run_ = run_;
  if (how == Crash::restart || how == Crash::promotion) identity_.started_at = fmt::format("run {}", run_);
  if (how == Crash::promotion) identity_.timeline = fmt::format("{:08X}", run_);
  while (!running_.empty()) {
    const auto& [xid, transaction] = *running_.begin();
    if (transaction.logged) {
      become_visible(xid);
    } else {
      abort(xid);
    }
  }
  // What was never logged is forgotten, its xid too.
  next_xid_ = std::max<storage::FullXid>(log_.empty() ? 0 : log_.back().xid + 1, 101);
  for (const Record& record : log_) next_xid_ = std::max(next_xid_, record.xid + 1);
  latest_completed_ = next_xid_ - 1;
}

inline Value ModelServer::read(const std::string& key, const storage::Snapshot& snapshot) const {
  if (key == query_key()) {
    std::string rows;
    for (const std::string& row : all_rows()) rows += read(row, snapshot).value_or("-") + " ";
    return rows;
  }
  const auto& versions = versions_.at(key);
  const auto shown = std::find_if(versions.rbegin(), versions.rend(),
                                  [&](const Version& version) { return snapshot.shows(version.xid); });
  return shown == versions.rend() ? Value() : shown->value;
}

inline Value ModelServer::value_at(const std::string& key, base::Nanoseconds moment) const {
  const auto& history = visible_.at(key);
  const auto later = std::upper_bound(history.begin(), history.end(), moment,
                                      [](base::Nanoseconds at, const auto& change) { return at < change.first; });
  return later == history.begin() ? Value() : std::prev(later)->second;
}

inline std::vector<base::Nanoseconds> ModelServer::moments_in(const std::vector<std::string>& keys, base::Nanoseconds from,
                                                              base::Nanoseconds to) const {
  std::vector<base::Nanoseconds> moments{from};
  for (const std::string& key : keys) {
    const auto& history = visible_.at(key);
    const auto first = std::upper_bound(history.begin(), history.end(), from,
                                        [](base::Nanoseconds at, const auto& change) { return at < change.first; });
    for (auto one = first; one != history.end() && one->first <= to; ++one) moments.push_back(one->first);
  }
  return moments;
}

}  // namespace freshet::consistency::simulated
