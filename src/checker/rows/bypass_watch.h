// What the target has noticed of writes past the guard since a load began: FRESHET.STATS' counters of the watch over guarded
// tables. May use the checker and client rooms.
#pragma once

#include <cstdint>
#include <string>

#include "checker/clients/load_client.h"

namespace freshet::checker {

class BypassWatch {
 public:
  // If the collection is followed it waits, for a named time, until the target watches: some moments after it serves.
  BypassWatch(client::Target target, std::string password, const std::string& collection);

  // Whether the target watched when the load began.
  bool watches() const { return watches_; }
  // The transactions noticed since; waits for a named time until they are `expected`, if it watches.
  std::uint64_t await(std::uint64_t expected);

 private:
  struct Counters {
    bool watching = false;
    std::uint64_t transactions = 0;
  };
  Counters ask();
  bool is_followed(const std::string& collection);

  Findings unheard_;  // Its errors are not the load's.
  Reconnecting connection_;
  std::uint64_t before_ = 0;
  bool watches_ = false;
};

}  // namespace freshet::checker
