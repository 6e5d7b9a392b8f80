// Probes as PostgreSQL is asked them: which snapshot it would give now, a position behind everything that it shows, and
// whether the catalog is still the described one.
//
// The fingerprint reads some rows of a dozen catalog tables, which costs the server several times as much as the rest. In
// one session, what two snapshots of the same name show is the same: while the snapshot stays, the catalog's rows need not
// be read. So there are two statements. The full one reads the rows unless the snapshot is the one they were last read with;
// even then the server opens all those tables. The short one asks for snapshot and position alone: it is sent once nothing
// was committed during a few probes, and where its snapshot is another one after all, the full one follows.
//
// On the loop's thread. May use storage.
#pragma once

#include <string>

#include "storage/observed.h"
#include "storage/postgres/observed/catalog.h"
#include "storage/postgres/observed/session_lane.h"

namespace freshet::storage::postgres {

class Prober {
 public:
  explicit Prober(SessionLane& lane) : lane_(lane) {}

  // Errors: unavailable also if the session was lost that the last rows were read in; the next probe reads them again.
  void probe(const CatalogRef& catalog, base::Nanoseconds deadline, Callback<ProbeReply> done);

 private:
  // Full probes in a row that found the snapshot unchanged, until short ones follow.
  static constexpr int kCalmProbes = 4;

  // The last probe that read the catalog's rows.
  struct Last {
    StatementRef statement;
    Identity identity;
    std::string process;
    std::string snapshot;
    Fingerprint fingerprint;
  };

  void send_full(const CatalogRef& catalog, base::Nanoseconds deadline, Callback<ProbeReply> done);
  void send_short(const CatalogRef& catalog, base::Nanoseconds deadline, Callback<ProbeReply> done);
  bool is_of_last_session(const SessionCall& call) const;

  SessionLane& lane_;
  Last last_;
  int calm_ = 0;
};

}  // namespace freshet::storage::postgres
