// Names and limits for following a database. See cache/observed_options.h.
#include "cache/observed_options.h"

#include <unistd.h>

#include <array>

namespace freshet::cache {
namespace {

constexpr std::size_t kNameBytesMax = 63;

std::string as_identifier(std::string_view text) {
  std::string name;
  for (const char c : text) {
    const bool lower = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    const bool upper = c >= 'A' && c <= 'Z';
    name.push_back(lower ? c : upper ? static_cast<char>(c - 'A' + 'a') : '_');
  }
  return name.substr(0, kNameBytesMax);
}

}  // namespace

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : std::string("host");
}

std::string default_slot(std::string_view fleet, std::string_view host) {
  return as_identifier("freshet_" + std::string(fleet) + "_" + std::string(host));
}

std::vector<storage::CollectionSpec> observed_specs(std::vector<storage::CollectionSpec> specs) {
  std::erase_if(specs, [](const storage::CollectionSpec& spec) { return spec.guarded; });
  return specs;
}

std::vector<storage::CollectionSpec> watched_specs(std::vector<storage::CollectionSpec> specs) {
  std::erase_if(specs, [](const storage::CollectionSpec& spec) { return !spec.guarded || !spec.followed; });
  return specs;
}

// A publication and a slot of their own: observed collections' reads wait for their stream, and need no messages.
storage::postgres::ObservedOptions watched_options(const EngineOptions& options) {
  auto watched = observed_options(options);
  watched.specs = watched_specs(options.collections);
  watched.guarded.clear();
  watched.publication_managed = watched.slot_managed = watched.messages = true;
  watched.publication = as_identifier("freshet_watch_" + options.fleet);
  watched.slot = default_slot("watch_" + options.fleet, options.node.empty() ? host_name() : options.node);
  watched.fill_connections = 1;
  return watched;
}

storage::postgres::ObservedOptions observed_options(const EngineOptions& options) {
  storage::postgres::ObservedOptions observed;
  observed.url = options.storage_url;
  observed.fleet = options.fleet;
  observed.specs = observed_specs(options.collections);
  observed.guarded = options.collections;
  std::erase_if(observed.guarded, [](const storage::CollectionSpec& spec) { return !spec.guarded; });
  observed.publication_managed = options.publication.empty();
  observed.publication = options.publication.empty() ? as_identifier("freshet_" + options.fleet) : options.publication;
  observed.slot_managed = options.slot.empty();
  observed.slot = options.slot.empty() ? default_slot(options.fleet, options.node.empty() ? host_name() : options.node)
                                       : options.slot;
  observed.fill_connections = options.fill_statements_max;
  observed.retained_wal_bytes_max = static_cast<std::uint64_t>(options.retained_wal_bytes_max);
  return observed;
}

}  // namespace freshet::cache
