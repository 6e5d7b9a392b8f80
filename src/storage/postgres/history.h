// The newest history of the database that any connection has seen: so that an old primary, still alive after a promotion,
// is not taken for the new one. On the loop's thread. May use nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace freshet::storage::postgres {

class History {
 public:
  // A connection to a primary was made. False if that is an older one than was seen. Another system (a database moved or
  // restored as a new cluster) starts a new history: its timelines cannot be compared.
  bool connect(std::string_view system, std::string_view timeline) {
    if (system != system_) {
      system_ = system;
      timeline_ = timeline;
      ++number_;
      return true;
    }
    return note(timeline);
  }

  // A connection of this history got an answer on this timeline (eight hex digits). False if it is an older one, or empty: a
  // standby's.
  bool note(std::string_view timeline) {
    if (timeline.empty() || timeline < timeline_) return false;
    if (timeline > timeline_) timeline_ = timeline;
    return true;
  }

  const std::string& timeline() const { return timeline_; }
  // Which history it is; changes with the system.
  std::uint64_t number() const { return number_; }

 private:
  std::string system_;
  std::string timeline_;
  std::uint64_t number_ = 0;
};

}  // namespace freshet::storage::postgres
