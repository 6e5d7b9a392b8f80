// Whether a database is fit to be followed: what `freshet doctor` asks it, and what SQL mends what is missing. Reads
// only; nothing is created that is not rolled back. Blocking: for tools, not for event loops. May use libpq.
#pragma once

#include <string>
#include <vector>

#include "storage/postgres/catalog/options.h"

namespace freshet::storage::postgres {

enum class Verdict : std::uint8_t {
  fine,
  advice,   // It works, and could be better or safer.
  broken,   // Freshet cannot follow the database until this is mended.
};

struct Finding {
  Verdict verdict = Verdict::fine;
  std::string what;                     // One sentence.
  std::vector<std::string> statements;  // SQL that mends it, in order, each a whole statement; may be empty.
  std::string note;                     // Who has to run them, whether a restart is needed; may be empty.
};

// Everything that following `options.specs` needs, in the order in which an operator would mend it. The first finding tells
// whether the server could be reached at all; if it could not, it is the only one.
std::vector<Finding> examine(const ObservedOptions& options);

}  // namespace freshet::storage::postgres
