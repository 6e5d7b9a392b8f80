// Probes: asking the primary what is visible, once for everybody who waits. One is in flight at a time; those that come
// meanwhile join the next one, because what is visible may have changed since the one in flight was answered. A probe has
// proven what it shows once the stream has passed its position: by then every change that it shows was received, and since
// its snapshot has settled what it shows, each of them is in the table.
//
// On the loop's thread. May use the follower's own words.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "consistency/observed/context.h"

namespace freshet::consistency {

class ProbeWaiter {
 public:
  virtual void on_proven(const ProofRef& proof) = 0;
  // This probe will prove nothing: the stream broke, the database is out of reach, its catalog has changed.
  virtual void on_unprovable(const Error& why) = 0;

 protected:
  ~ProbeWaiter() = default;
};

class ProbeListener {
 public:
  // Settles what the snapshot shows. False: the reply proves nothing.
  virtual bool on_probe_reply(const storage::ProbeReply& reply, base::Nanoseconds sent) = 0;
  // Before those who wait hear of it. Says how far the proof goes.
  virtual void on_probe_proven(const std::shared_ptr<Proof>& proof) = 0;

 protected:
  ~ProbeListener() = default;
};

class Probes {
 public:
  Probes(Context& context, ProbeListener& listener) : context_(context), listener_(listener) {}

  // Waits for the next probe that is sent.
  void join(std::shared_ptr<ProbeWaiter> waiter);
  // Sends and nudges what is due. `may_probe`: a probe could prove something now.
  void advance(bool may_probe);
  base::Nanoseconds next_due(bool may_probe) const;
  // R has moved.
  void received();
  // Everybody who waits is told that nothing will be proven.
  void give_up(const Error& why);
  // Something else waits for the stream to pass a position.
  void nudge();

  // Of the newest reply; for the lag in bytes.
  storage::Lsn newest_position() const { return newest_position_; }

 private:
  // Probes that wait for the stream; while there are so many, the next one waits too.
  static constexpr std::size_t kWaitingMax = 64;
  static constexpr base::Nanoseconds kDeadline = base::kSecond;
  static constexpr base::Nanoseconds kPauseAfterError = 10 * base::kMillisecond;
  static constexpr int kNudgeAgainFactor = 8;

  using Waiters = std::vector<std::shared_ptr<ProbeWaiter>>;
  struct Probe {
    std::uint64_t number = 0;
    base::Nanoseconds sent = 0;
    std::shared_ptr<Proof> reply;               // Null: in flight.
    base::Nanoseconds nudge_at = base::kForever;
    Waiters waiters;
  };

  void send();
  void on_reply(std::uint64_t number, Result<storage::ProbeReply> reply);
  base::Nanoseconds clock_due() const;
  base::Nanoseconds next_send() const;

  Context& context_;
  ProbeListener& listener_;
  Waiters next_;
  std::deque<Probe> probes_;       // As sent. Those that were answered wait for R; the last may be in flight.
  std::uint64_t numbers_ = 0;
  base::Nanoseconds last_sent_ = 0;
  base::Nanoseconds not_before_ = 0;
  storage::Lsn newest_position_ = 0;
  bool outstanding_ = false;       // Also one that was given up.
};

}  // namespace freshet::consistency
