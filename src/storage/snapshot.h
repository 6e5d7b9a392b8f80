// What a PostgreSQL snapshot shows, and positions in its log. Visibility, not the log's order, decides what a reader of the
// database sees: a commit reaches the change stream before it is visible. May use base only.
// https://www.postgresql.org/docs/15/functions-info.html#FUNCTIONS-PG-SNAPSHOT
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "freshet/result.h"

namespace freshet::storage {

// A byte position in the write-ahead log; "16/B374D848" in text. 0: none.
using Lsn = std::uint64_t;
Result<Lsn> parse_lsn(std::string_view text);
std::string text_of_lsn(Lsn lsn);

// A transaction with its epoch, as pg_current_xact_id() gives it; and as the change stream names it, without.
using FullXid = std::uint64_t;
using Xid = std::uint32_t;

class Snapshot {
 public:
  // As pg_current_snapshot() prints it: "xmin:xmax:xip,xip,…". Only top-level transactions stand in it.
  static Result<Snapshot> parse(std::string_view text);

  Snapshot() = default;
  // `in_progress` is ascending, within [xmin, xmax).
  Snapshot(FullXid xmin, FullXid xmax, std::vector<FullXid> in_progress);

  FullXid xmin() const { return xmin_; }
  FullXid xmax() const { return xmax_; }
  const std::vector<FullXid>& in_progress() const { return in_progress_; }

  // Whether a transaction that is known to commit is visible: it had finished when the snapshot was taken.
  bool shows(FullXid xid) const;
  // The stream's 32-bit form, taken as the one nearest to this snapshot's end: within two thousand million of it, as every
  // live transaction is.
  bool shows(Xid xid) const { return shows(widen(xid)); }
  FullXid widen(Xid xid) const {
    return xmax_ + static_cast<FullXid>(std::int64_t{static_cast<std::int32_t>(xid - static_cast<Xid>(xmax_))});
  }
  std::string to_text() const;

  friend bool operator==(const Snapshot&, const Snapshot&) = default;

 private:
  FullXid xmin_ = 0;
  FullXid xmax_ = 0;
  std::vector<FullXid> in_progress_;
};

}  // namespace freshet::storage
