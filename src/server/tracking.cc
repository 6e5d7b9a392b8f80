// The tracking table. Locks are taken one at a time: a shard's, the clients', an inbox's.
#include "server/tracking.h"

#include <algorithm>

namespace freshet::server {
namespace {

std::size_t cost_of(std::string_view key, std::size_t readers) {
  return key.size() + kTrackedKeyBytes + readers * kTrackedReaderBytes;
}

// Whether a key that begins with `prefix` may belong to the collection.
bool meets(std::string_view prefix, std::string_view collection) {
  const std::string keys = std::string(collection) + ":";
  return keys.starts_with(prefix) || prefix.starts_with(keys);
}

}  // namespace

void Invalidation::add(std::string_view key) {
  if (everything) return;
  bytes += cost_of(key, 0);
  if (bytes > kInvalidationBytesMax) return add_everything();
  keys.emplace_back(key);
}

void Invalidation::add_everything() {
  everything = true;
  keys.clear();
  bytes = 0;
}

Tracking::Tracking(std::size_t workers, Wake wake, std::size_t tracked_bytes_max)
    : wake_(std::move(wake)), shard_bytes_max_(tracked_bytes_max / kShards), inboxes_(workers) {}

void Tracking::join(std::uint64_t client, std::vector<std::string> prefixes) {
  const std::lock_guard lock(clients_mutex_);
  clients_[client] = std::move(prefixes);
  client_count_.exchange(clients_.size(), std::memory_order_acq_rel);
}

void Tracking::leave(std::uint64_t client) {
  const std::lock_guard lock(clients_mutex_);
  clients_.erase(client);
  client_count_.exchange(clients_.size(), std::memory_order_acq_rel);
}

// The look is an exchange too, so that it and a client's joining have an order: a change that misses the client looked
// before, and so was made before the client's reads.
bool Tracking::nobody() const { return client_count_.fetch_add(0, std::memory_order_acq_rel) == 0; }

void Tracking::remember(std::string_view key, std::uint64_t client) {
  std::vector<std::pair<std::string, Readers>> evicted;
  {
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    while (shard.bytes + cost_of(key, 1) > shard_bytes_max_ && !shard.groups.empty()) {
      const auto group = shard.groups.begin();
      const auto victim = group->second.keys.begin();
      std::string name = victim->first;
      evicted.emplace_back(std::move(name), take_key(shard, group, victim));
    }
    const auto prefix = storage::prefix_of(key);
    auto group = shard.groups.find(prefix);
    if (group == shard.groups.end()) group = shard.groups.try_emplace(std::string(prefix)).first;
    auto& keys = group->second.keys;
    auto found = keys.find(key);
    const bool fresh = found == keys.end();
    if (fresh) found = keys.try_emplace(std::string(key)).first;
    auto& readers = found->second;
    const auto place = std::lower_bound(readers.begin(), readers.end(), client);
    if (place == readers.end() || *place != client) {
      readers.insert(place, client);
      const std::size_t grown = fresh ? cost_of(key, 1) : kTrackedReaderBytes;
      group->second.bytes += grown;
      shard.bytes += grown;
      shard.keys += fresh;
    }
  }
  for (const auto& [name, readers] : evicted) {
    evicted_.fetch_add(1, std::memory_order_relaxed);
    for (const auto reader : readers) tell(reader, [&](Invalidation& told) { told.add(name); });
  }
}

Tracking::Readers Tracking::take_key(Shard& shard, ByName<Group>::iterator group, ByName<Readers>::iterator key) {
  Readers readers = std::move(key->second);
  const std::size_t shrunk = cost_of(key->first, readers.size());
  group->second.bytes -= shrunk;
  shard.bytes -= shrunk;
  --shard.keys;
  group->second.keys.erase(key);
  if (group->second.keys.empty()) shard.groups.erase(group);
  return readers;
}

template <typename Add>
void Tracking::tell(std::uint64_t client, Add add) {
  const std::size_t worker = worker_of(client, inboxes_.size());
  Inbox& inbox = inboxes_[worker];
  {
    const std::lock_guard lock(inbox.mutex);
    add(inbox.clients[client]);
    if (std::exchange(inbox.woken, true)) return;
  }
  wake_(worker);
}

void Tracking::tell_readers_of(std::vector<Group> groups) {
  if (groups.empty()) return;
  const auto shared = std::make_shared<const std::vector<Group>>(std::move(groups));
  for (std::size_t worker = 0; worker < inboxes_.size(); ++worker) {
    Inbox& inbox = inboxes_[worker];
    {
      const std::lock_guard lock(inbox.mutex);
      inbox.groups.push_back(shared);
      if (std::exchange(inbox.woken, true)) continue;
    }
    wake_(worker);
  }
}

std::unordered_map<std::uint64_t, Invalidation> Tracking::take(std::size_t worker) {
  std::unordered_map<std::uint64_t, Invalidation> told;
  std::vector<std::shared_ptr<const std::vector<Group>>> together;
  {
    Inbox& inbox = inboxes_[worker];
    const std::lock_guard lock(inbox.mutex);
    told.swap(inbox.clients);
    together.swap(inbox.groups);
    inbox.woken = false;
  }
  for (const auto& groups : together) {
    for (const Group& group : *groups) {
      for (const auto& [key, readers] : group.keys) {
        for (const auto reader : readers) {
          if (worker_of(reader, inboxes_.size()) == worker) told[reader].add(key);
        }
      }
    }
  }
  for (const auto& [client, each] : told) {
    invalidations_.fetch_add(each.keys.size(), std::memory_order_relaxed);
    flushes_.fetch_add(each.everything, std::memory_order_relaxed);
  }
  return told;
}

void Tracking::on_changed(std::string_view key) {
  if (nobody()) return;
  Readers readers;
  {
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    const auto group = shard.groups.find(storage::prefix_of(key));
    if (group != shard.groups.end()) {
      const auto found = group->second.keys.find(key);
      if (found != group->second.keys.end()) readers = take_key(shard, group, found);
    }
  }
  {
    const std::lock_guard lock(clients_mutex_);
    for (const auto& [client, prefixes] : clients_) {
      if (std::any_of(prefixes.begin(), prefixes.end(), [&](const auto& prefix) { return key.starts_with(prefix); })) {
        readers.push_back(client);
      }
    }
  }
  for (const auto reader : readers) tell(reader, [&](Invalidation& told) { told.add(key); });
}

void Tracking::on_collection_changed(std::string_view collection) {
  if (nobody()) return;
  std::vector<Group> groups;
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    const auto group = shard.groups.find(collection);
    if (group == shard.groups.end()) continue;
    shard.bytes -= group->second.bytes;
    shard.keys -= group->second.keys.size();
    groups.push_back(std::move(group->second));
    shard.groups.erase(group);
  }
  tell_readers_of(std::move(groups));
  Readers concerned;  // Which of the keys they have read is not known.
  {
    const std::lock_guard lock(clients_mutex_);
    for (const auto& [client, prefixes] : clients_) {
      if (std::any_of(prefixes.begin(), prefixes.end(), [&](const auto& prefix) { return meets(prefix, collection); })) {
        concerned.push_back(client);
      }
    }
  }
  for (const auto client : concerned) tell(client, [](Invalidation& told) { told.add_everything(); });
}

// The table first: what is remembered after it was emptied is read after the interruption, or told of by what follows.
void Tracking::on_everything_changed() {
  if (nobody()) return;
  for (Shard& shard : shards_) {
    ByName<Group> groups;
    const std::lock_guard lock(shard.mutex);
    groups.swap(shard.groups);
    shard.bytes = shard.keys = 0;
  }
  Readers all;
  {
    const std::lock_guard lock(clients_mutex_);
    for (const auto& [client, prefixes] : clients_) all.push_back(client);
  }
  for (const auto client : all) tell(client, [](Invalidation& told) { told.add_everything(); });
}

TrackingStats Tracking::stats() const {
  TrackingStats stats;
  for (const Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    stats.bytes += shard.bytes;
    stats.keys += shard.keys;
  }
  const std::lock_guard lock(clients_mutex_);
  stats.clients = clients_.size();
  for (const auto& [client, prefixes] : clients_) stats.prefixes += prefixes.size();
  stats.invalidations = invalidations_;
  stats.flushes = flushes_;
  stats.evicted = evicted_;
  return stats;
}

}  // namespace freshet::server
