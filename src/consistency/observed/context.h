// What the parts of the follower share: the table, the storage, the time, the numbers. All of it is touched on one thread
// only, the loop's; what other threads may read stands apart, in published.h. May use the follower's own words.
#pragma once

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <functional>

#include "consistency/observed/follower.h"
#include "consistency/observed/published.h"
#include "consistency/observed/spec_list.h"

namespace freshet::consistency {

using EpochRef = boost::intrusive_ptr<CollectionEpoch>;

// Where the follower lives: an event loop, or a simulation's virtual time.
class Host {
 public:
  virtual base::Nanoseconds now() const = 0;
  // Asks for Tracker::advance() at that moment or soon after; replaces what was asked before. kForever: not at all.
  virtual void wake_at(base::Nanoseconds moment) = 0;
  // Takes what rests on an ended epoch out of the table, some time later and not on this thread.
  virtual void sweep(EpochRef ended) = 0;

 protected:
  ~Host() = default;
};

struct Context {
  memory::Table& table;
  Host& host;
  storage::ObservedStorage& storage;
  Published& published;
  const SpecList& specs;
  const ObservedProtections protections;
  const FollowerLimits limits;
  FollowerStats stats = {};
  ChangeWatcher* watcher = nullptr;
  // To be called when storage has answered something, last.
  std::function<void()> advance = {};
  // The identity is that of the stream's last start.
  bool streaming = false;
  storage::Identity identity = {};
  // R: every commit before it was received.
  storage::Lsn received = 0;
};

}  // namespace freshet::consistency
