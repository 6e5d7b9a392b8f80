// The [[collection]] tables of a configuration file: reading them, and saying what is wrong with them. May use base only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/config.h"
#include "base/function_ref.h"
#include "base/toml.h"

namespace freshet::base {

inline constexpr std::string_view kCollectionSection = "collection";
// The key-value table's name, which no collection may have.
inline constexpr std::string_view kKeyValueName = "kv";

inline constexpr std::size_t kCollectionsMax = 1000;
inline constexpr std::size_t kCollectionColumnsMax = 1600;      // PostgreSQL's own limit.
inline constexpr std::size_t kCollectionDependenciesMax = 1000;
inline constexpr std::size_t kQueryBytesMax = 64 * 1024;

// Told of everything that is wrong, in no order.
using Complain = FunctionRef<void(const toml::source_region& where, std::string what, std::string remedy)>;

// What stands under "collection". Complete only if nothing was complained of.
std::vector<CollectionConfig> read_collections(const toml::node& node, Complain complain);

// "linearizable", "any", or "bounded" and a duration. False: it is none of them.
bool set_read_level(CollectionConfig& collection, std::string_view text);
std::string read_level_text(const CollectionConfig& collection);

// In words, for messages.
std::string_view kind_of_node(const toml::node& node);

}  // namespace freshet::base
