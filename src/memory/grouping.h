// Who stays when memory is full, by policies for which a segment is a group of objects: they sift (memory/sifting.h), but
// say which segment is sifted next, by what they have counted of each. May use memory/segments.
//
// Called under the shard's lock, as all policies are: it must not block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/function_ref.h"
#include "base/policy_fact.h"
#include "memory/segments/group.h"
#include "memory/segments/segment_log.h"
#include "memory/sifting.h"

namespace freshet::memory {

using base::PolicyFact;
using segments::Group;

// The groups of a shard, while a call lasts: the segments that have records and are no longer written to; if there are
// none, those that are.
class Groups {
 public:
  using Visit = base::FunctionRef<void(std::uint64_t hash, std::size_t bytes, std::uint8_t& byte)>;

  explicit Groups(segments::SegmentLog& log);

  std::size_t size() const { return segments_.size(); }
  Group& at(std::size_t index) { return segments_[index]->group; }
  // Visits every `step`th record of the group, from the `first` on; its byte is what `visit` leaves it as.
  void sample(std::size_t index, std::size_t first, std::size_t step, Visit visit);
  segments::Segment& segment(std::size_t index) { return *segments_[index]; }
  // One that has no record left and is no longer written to; null: there is none.
  segments::Segment* empty() const { return empty_; }
  // One of the groups whose records are being judged one by one, and have not all been; null: there is none, or they are
  // written to, so that there is no end.
  segments::Segment* under_way() const;

 private:
  void take(bool written_to);

  segments::SegmentLog& log_;
  std::vector<segments::Segment*> segments_;
  segments::Segment* empty_ = nullptr;
  bool written_to_ = false;
};

class GroupingPolicy : public SiftingPolicy {
 public:
  // A record is written into the group: a new one, or one that sift() kept.
  virtual void on_write(Group& group, std::size_t queue, std::size_t bytes, std::uint8_t byte) = 0;
  // A record moves on, since neighbours have become sparse: what came of its group is known of the other one too.
  virtual void on_move(const Group& from, Group& to, std::size_t bytes, std::uint8_t byte) = 0;
  // A record leaves the group, but not with the whole of it.
  virtual void on_leave(Group& group, std::size_t bytes, std::uint8_t byte) = 0;
  // A read found the record, and took the lock for it: its byte from now on.
  virtual std::uint8_t on_request(Group& group, std::uint64_t hash, std::size_t bytes, std::uint8_t byte) = 0;

  // A look at the groups is due: asked after each new key.
  virtual bool wants_to_look() const = 0;
  virtual void look(Groups& groups) = 0;
  // Which of the groups is sifted next. There is one.
  virtual std::size_t choose(Groups& groups) = 0;
  // To look into: what the policy has learnt.
  virtual std::vector<PolicyFact> describe() const = 0;

 private:
  // Groups are chosen instead of queues, and on_request() is told instead.
  std::uint8_t on_hit(std::uint8_t byte) final { return byte; }
  std::size_t queue_to_sift(std::span<const std::size_t>) final { return 0; }
};

}  // namespace freshet::memory
