// Deletes old tombstones, whoever made them and whatever has been forgotten about them, so that they do not pile up.
//
// How old one is, is told by its version: the sweep notes the version sequence's value now and then, and what was given out
// by a note that is old enough is old enough, too. No operation needs a tombstone for longer than its deadline and the
// settling of its outcome, which is far below the age. The table is walked page by page, a few at a time.
//
// On the loop's thread. May use storage.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "net/loop.h"
#include "storage/postgres/lane.h"
#include "storage/postgres/options.h"

namespace freshet::storage::postgres {

// What one statement looks at, and what it deletes at most.
inline constexpr std::int64_t kSweepPagesMax = 64;
inline constexpr std::int64_t kSweepRowsMax = 1000;
// Between two of them.
inline constexpr base::Nanoseconds kSweepPause = 100 * base::kMillisecond;

class TombstoneSweep {
 public:
  TombstoneSweep(net::Loop& loop, Lane& administration, const PostgresOptions& options)
      : lane_(administration), options_(options), note_timer_(loop), walk_timer_(loop) {}

  // A guard was set: this storage belongs to an owner, and sweeps from now on.
  void begin();

 private:
  struct Note {
    base::Nanoseconds taken;
    std::int64_t version;
  };

  void take_note();
  void on_note(const Answer& answer);
  void walk();
  void on_pages(const Answer& answer);
  void send(const Statement& statement, Parameters parameters, std::function<void(const Answer&)> take);

  Lane& lane_;
  const PostgresOptions& options_;
  net::Timer note_timer_;
  net::Timer walk_timer_;
  bool begun_ = false;
  std::string timeline_;      // Of the notes: another server's do not count.
  std::deque<Note> notes_;    // Oldest first; at most one is older than the age, the others span it.
  bool walking_ = false;
  std::int64_t page_ = 0;
  std::int64_t version_ = 0;  // The newest that this walk deletes.
};

}  // namespace freshet::storage::postgres
