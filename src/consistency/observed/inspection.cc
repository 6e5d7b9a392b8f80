// What operators ask of the tracker: dropping cached data, explanations, numbers. See consistency/observed/tracker.h.
#include <fmt/format.h>

#include "base/slot.h"
#include "consistency/observed/tracker.h"

namespace freshet::consistency {

// Fills in flight are voided first: what they read is as old as what is dropped.
std::size_t Tracker::evict(std::string_view key) {
  fills_.void_if([&](std::string_view one) { return one == key; });
  return entries_.drop(key, base::hash_of(key)) ? 1 : 0;
}

std::size_t Tracker::evict_collection(storage::CollectionId collection) {
  fills_.void_collection(collection);
  if (context_.watcher) context_.watcher->on_collection_changed(context_.specs[collection].name);
  return context_.table.erase_if([&](const memory::Entry& entry) { return collections_.is_current(entry, collection); });
}

std::size_t Tracker::evict_if(base::FunctionRef<bool(std::string_view key)> leaves) {
  fills_.void_if(leaves);
  return context_.table.erase_if([&](const memory::Entry& entry) {
    for (storage::CollectionId id = 0; id < context_.specs.size(); ++id) {
      if (collections_.is_current(entry, id)) return leaves(entry.key());
    }
    return false;
  });
}

std::vector<std::pair<std::string, std::string>> Tracker::explain(storage::CollectionId collection,
                                                                  std::string_view key) const {
  const std::uint64_t hash = base::hash_of(key);
  std::vector<std::pair<std::string, std::string>> said;
  said.emplace_back("collection", context_.specs[collection].name);
  if (!collections_.described()) {
    said.emplace_back("described", "not yet: the database has not been reached");
    return said;
  }
  if (const auto& fault = collections_.fault(collection)) {
    said.emplace_back("fault", fault->what);
    if (!fault->remedy.empty()) said.emplace_back("remedy", fault->remedy);
    return said;
  }
  said.emplace_back("depends on", collections_.description(collection).depends_on);
  said.emplace_back("stream", context_.streaming ? "running" : "broken: reads go to the database and are not cached");
  if (context_.streaming && !collections_.active(collection)) {
    said.emplace_back("not cached because", "the stream has not passed the moment at which the table was published");
  }
  if (!start_rule_.is_over()) {
    said.emplace_back("start",
                      "transactions that ran when the stream started are not over: absent rows, query results and "
                      "marked rows are not cached");
  }
  const memory::EntryRef entry = entries_.find(collection, key, hash);
  said.emplace_back("cached", !entry ? "no" : entry->present() ? "yes" : "yes, as absent");
  if (entry) said.emplace_back("position", storage::text_of_lsn(entry->version()));
  if (fills_.is_in_flight(hash)) said.emplace_back("fill", "in flight");
  const base::Nanoseconds age = context_.published.age(context_.host.now());
  said.emplace_back("proven", age == base::kForever ? "never" : fmt::format("{} ms ago", age / base::kMillisecond));
  return said;
}

FollowerStats Tracker::stats() const {
  FollowerStats stats = context_.stats;
  stats.held_transactions = held_.size();
  stats.held_bytes = held_.bytes();
  stats.waiting_reads = reads_.open();
  stats.waiting_fills = fills_.waiting();
  stats.statements_in_flight = fills_.statements_in_flight();
  stats.streaming = context_.streaming;
  stats.lag = context_.published.age(context_.host.now());
  stats.position = context_.received;
  stats.lag_bytes = probes_.newest_position() > context_.received ? probes_.newest_position() - context_.received : 0;
  return stats;
}

}  // namespace freshet::consistency
