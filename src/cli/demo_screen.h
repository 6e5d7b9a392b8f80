// What the demo shows: figures in, text out. May use base only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/histogram.h"

namespace freshet::cli {

// Totals since the demo's load began, at one moment.
struct DemoFigures {
  double seconds = 0;
  std::uint64_t reads = 0;             // Through Freshet.
  std::uint64_t writes = 0;            // Acknowledged.
  std::uint64_t writes_failed = 0;     // Refused, or without an answer.
  std::uint64_t reads_failed = 0;
  std::uint64_t hits = 0;              // Of Freshet's memory.
  std::uint64_t misses = 0;
  std::uint64_t statements = 0;        // That Freshet sent to the database for all reads: probes and fills.
  std::uint64_t direct_reads = 0;      // By SQL, each paired with reads of the same key through Freshet.
  std::uint64_t checked = 0;           // Reads of both kinds, each against the legal history of its key.
  std::uint64_t contended = 0;         // Those during which another client's write on the key was in flight.
  std::uint64_t violations = 0;
  base::Histogram read_ns;             // Of the clients at full speed.
  base::Histogram paired_ns;           // Of the paired reads: through Freshet, linearizable
  base::Histogram bounded_ns;          // and bounded,
  base::Histogram direct_ns;           // and by SQL.
};

class DemoScreen {
 public:
  // `live`: a terminal, on which each picture replaces the last one; otherwise one line each.
  DemoScreen(bool live, std::string title) : live_(live), title_(std::move(title)) {}

  // The picture for these figures; rates and latencies are those since the call before.
  std::string refresh(const DemoFigures& figures);
  // The whole run, for the end.
  std::string summary(const DemoFigures& figures) const;

 private:
  const bool live_;
  const std::string title_;
  DemoFigures last_;
  std::size_t lines_shown_ = 0;
};

// Three digits and a unit: "38 us", "1.25 ms".
std::string latency_text(std::uint64_t ns);

}  // namespace freshet::cli
