// Session tokens: which writes a read must include. May use storage's words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "freshet/result.h"
#include "storage/snapshot.h"

namespace freshet::consistency {

// A moment of one history of the database, named either by a position of its log, taken after COMMIT, or by a transaction.
// Text form, which clients pass on as it is and which SQL can write (docs/READ-LEVELS.md):
//   SYSTEM-TIMELINE-L<position>     7301234567890123456-00000001-L16/B374D848
//   SYSTEM-TIMELINE-X<xid>          7301234567890123456-00000001-X748
struct SessionToken {
  std::string system;     // The system identifier, decimal.
  std::string timeline;   // Eight hex digits, upper case.
  storage::Lsn position = 0;   // 0: named by `xid`.
  storage::FullXid xid = 0;

  static Result<SessionToken> parse(std::string_view text);
  std::string to_text() const;
  friend bool operator==(const SessionToken&, const SessionToken&) = default;
};

}  // namespace freshet::consistency
