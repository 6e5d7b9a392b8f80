// What the clients of a load over rows do: they draw operations on tracked keys, each with the rows and the manner of its
// execution, and record what came of it. One for each client. May use the checker room.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "checker/clients/findings.h"
#include "checker/clients/key_space.h"
#include "checker/rows/row_commands.h"
#include "checker/rows/row_tally.h"

namespace freshet::checker {

// An operation to execute on its key's rows.
struct Part {
  std::shared_ptr<TrackedKey> key;
  std::vector<std::string> rows;  // A read may ask for one row of a pair only.
  Manner manner;
  Operation operation;
};

// What all clients share.
struct RowLoad {
  KeySpace& keys;
  Findings& findings;
  RowTally& tally;
  // Reads through the target may be so much older: others write past the guard, and are noticed. 0: never.
  base::Nanoseconds slack_ns = 0;

  // Rows are read and written together. Not where reads may be old: conditions are then judged by old rows.
  bool together() const { return slack_ns == 0; }
};

class RowMix {
 public:
  RowMix(RowLoad& load, std::uint32_t client, std::uint64_t seed) : load_(load), client_(client), random_(seed) {}

  base::Random& random() { return random_; }
  bool chance_percent(std::uint64_t percent) { return random_.below(100) < percent; }
  // One operation, or one each on several keys. What cannot be done in the way that is asked for is drawn as a read.
  Part draw(Via via, std::uint64_t reads_percent);
  std::vector<Part> draw_several(Via via, std::uint64_t reads_percent);

  // Around the execution: begin() stamps and announces, finish() judges and records, with the time of the answers.
  void begin(std::vector<Part>& parts);
  void finish(std::vector<Part>& parts, base::Nanoseconds returned_ns);
  // Everything failed (or, writes, has an unknown outcome) for one reason.
  void finish_all(std::vector<Part>& parts, Outcome writes);
  // Notes what does not fit, and reports what is torn.
  void note(const Fit& fit, Part& part);

 private:
  Part draw_at(int slot, Via via, std::uint64_t reads_percent);
  void draw_read(Part& part);
  void draw_write(Part& part);
  Kind draw_kind(Family family, Via via);

  RowLoad& load_;
  const std::uint32_t client_;
  base::Random random_;
  std::uint64_t values_made_ = 0;
};

}  // namespace freshet::checker
