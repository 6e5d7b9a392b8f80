// Reading and printing collections. See base/config_collections.h.
#include "base/config_collections.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/config_values.h"

namespace freshet::base {
namespace {

constexpr auto kKeys = std::to_array<std::string_view>({"name", "table", "columns", "query", "depends_on", "read_level",
                                                        "writes", "exclusive_writer", "follow", "version_column",
                                                        "expires_column"});
constexpr auto kWrites = std::to_array<std::string_view>({"observed", "guarded"});
// What a collection without guarded writes has no use for.
constexpr auto kGuardedKeys =
    std::to_array<std::string_view>({"exclusive_writer", "follow", "version_column", "expires_column"});
constexpr auto kLevels = std::to_array<std::string_view>({"linearizable", "bounded", "any"});
constexpr std::string_view kBounded = "bounded";
constexpr Nanoseconds kBoundMin = kMillisecond;
constexpr Nanoseconds kBoundMax = 24 * 3600 * kSecond;
constexpr std::string_view kNameLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";

// One [[collection]].
class CollectionReader {
 public:
  CollectionReader(const toml::table& table, Complain complain) : table_(table), complain_(complain) {}

  CollectionConfig read() {
    collection_.line = static_cast<int>(table_.source().begin.line);
    for (const auto& [key, node] : table_) take(key, node);
    if (!table_.contains("name")) complain_(table_.source(), "collection: it has no name", "Add name = \"…\".");
    check_source();
    return std::move(collection_);
  }

 private:
  void take(const toml::key& key, const toml::node& node) {
    const std::string_view name = key.str();
    if (name == "name") {
      take_name(node);
    } else if (name == "table") {
      take_text(name, node, kNameBytesMax, collection_.table);
    } else if (name == "columns") {
      take_columns(node);
    } else if (name == "query") {
      take_text(name, node, kQueryBytesMax, collection_.query);
    } else if (name == "depends_on") {
      take_dependencies(node);
    } else if (name == "read_level") {
      take_level(node);
    } else if (name == "writes") {
      take_writes(node);
    } else if (name == "exclusive_writer") {
      take_flag(name, node, collection_.exclusive_writer);
    } else if (name == "follow") {
      take_flag(name, node, collection_.follow);
    } else if (name == "version_column") {
      take_text(name, node, kNameBytesMax, collection_.version_column);
    } else if (name == "expires_column") {
      take_text(name, node, kNameBytesMax, collection_.expires_column);
    } else {
      const auto near = nearest_name(name, kKeys);
      complain_(key.source(), fmt::format("there is no setting \"collection.{}\"", name.substr(0, kNameBytesMax)),
                near.empty() ? fmt::format("A collection has {}.", fmt::join(kKeys, ", "))
                             : fmt::format("Did you mean \"{}\"?", near));
    }
  }

  void expected(std::string_view key, const toml::node& node, std::string_view what, std::string remedy = {}) {
    const auto* text = node.as_string();
    const auto found = text == nullptr ? std::string(kind_of_node(node))
                                       : fmt::format("\"{}\"", std::string_view(text->get()).substr(0, kNameBytesMax));
    complain_(node.source(), fmt::format("collection.{}: expected {}, found {}", key, what, found), std::move(remedy));
  }

  // Nothing if it is no text, is empty, holds a NUL or is too long.
  static std::optional<std::string> text_in(const toml::node& node, std::size_t bytes_max) {
    const auto* text = node.as_string();
    if (text == nullptr || text->get().empty() || text->get().size() > bytes_max) return std::nullopt;
    if (text->get().find('\0') != std::string::npos) return std::nullopt;
    return text->get();
  }

  void take_text(std::string_view key, const toml::node& node, std::size_t bytes_max, std::string& field) {
    if (auto text = text_in(node, bytes_max)) {
      field = *std::move(text);
    } else {
      expected(key, node, fmt::format("a text of at most {} bytes", bytes_max));
    }
  }

  void take_name(const toml::node& node) {
    const auto text = text_in(node, kNameBytesMax);
    if (!text || text->find_first_not_of(kNameLetters) != text->npos) {
      return expected("name", node, "letters, digits, '_', '.' and '-'");
    }
    if (*text == kKeyValueName) return expected("name", node, "another name: \"kv\" is the key-value table's");
    collection_.name = *text;
  }

  void take_columns(const toml::node& node) {
    if (const auto* names = node.as_array()) {
      for (const toml::node& name : *names) take_column(name, std::nullopt);
    } else if (const auto* renamed = node.as_table()) {
      std::vector<std::pair<const toml::key*, const toml::node*>> entries;
      for (const auto& [key, name] : *renamed) entries.emplace_back(&key, &name);
      // toml++ hands them out in alphabetical order; they are meant in the file's.
      const auto place = [](const auto& entry) {
        const auto at = entry.first->source().begin;
        return std::pair(at.line, at.column);
      };
      std::sort(entries.begin(), entries.end(), [&](const auto& a, const auto& b) { return place(a) < place(b); });
      for (const auto& [key, name] : entries) take_column(*name, key->str());
    } else {
      return expected("columns", node, "an array of names, or a table of column = \"name for clients\"");
    }
    if (collection_.columns.empty() || collection_.columns.size() > kCollectionColumnsMax) {
      expected("columns", node, fmt::format("1 to {} columns", kCollectionColumnsMax), "Leave it out to show every column.");
    }
  }

  // An array names the column; a table's key does, and its value is what clients see.
  void take_column(const toml::node& node, std::optional<std::string_view> column) {
    const auto name = text_in(node, kNameBytesMax);
    if (!name || (column && (column->empty() || column->find('\0') != column->npos))) {
      return expected("columns", node, "names of columns, in quotes");
    }
    for (const auto& [other, shown] : collection_.columns) {
      if (shown == *name) return expected("columns", node, "a name that no other column has");
    }
    collection_.columns.emplace_back(column.value_or(*name), *name);
  }

  void take_dependencies(const toml::node& node) {
    const auto* names = node.as_array();
    if (names == nullptr || names->size() > kCollectionDependenciesMax) {
      return expected("depends_on", node, fmt::format("an array of at most {} table names", kCollectionDependenciesMax));
    }
    collection_.declared = true;
    for (const toml::node& name : *names) {
      auto text = text_in(name, kNameBytesMax);
      if (!text) return expected("depends_on", name, "names of tables, in quotes");
      collection_.depends_on.push_back(*std::move(text));
    }
  }

  void take_level(const toml::node& node) {
    const auto* text = node.as_string();
    if (text != nullptr && set_read_level(collection_, text->get())) return;
    std::string remedy;
    if (text != nullptr) {
      const std::string_view word = text->get();
      const auto near = nearest_name(word.substr(0, word.find(' ')), kLevels);
      if (!near.empty()) remedy = fmt::format("Did you mean \"{}{}\"?", near, near == kBounded ? " 50ms" : "");
    }
    expected("read_level", node, "\"linearizable\", \"any\", or \"bounded\" and a duration such as \"bounded 50ms\"",
             std::move(remedy));
  }

  void take_writes(const toml::node& node) {
    const auto* text = node.as_string();
    const std::string_view word = text == nullptr ? std::string_view() : std::string_view(text->get());
    if (std::find(kWrites.begin(), kWrites.end(), word) == kWrites.end()) {
      const auto near = nearest_name(word, kWrites);
      return expected("writes", node, "\"observed\" or \"guarded\"",
                      near.empty() ? std::string() : fmt::format("Did you mean \"{}\"?", near));
    }
    collection_.guarded = word == "guarded";
  }

  void take_flag(std::string_view key, const toml::node& node, bool& field) {
    if (!node.is_boolean()) return expected(key, node, "true or false");
    field = node.as_boolean()->get();
  }

  void check_source() {
    const bool has_table = table_.contains("table");
    const bool has_query = table_.contains("query");
    const auto refuse = [&](std::string_view what, std::string remedy) {
      complain_(table_.source(), fmt::format("collection \"{}\": {}", collection_.name, what), std::move(remedy));
    };
    if (has_table && has_query) refuse("expected a table or a query, found both", "Make two collections of it.");
    if (!has_table && !has_query) {
      refuse("expected a table or a query, found neither", "Add table = \"…\" or query = \"…\".");
    }
    if (has_query && table_.contains("columns")) {
      refuse("columns goes with a table", "Name the query's columns in its SELECT, with AS.");
    }
    if (has_table && !has_query && table_.contains("depends_on")) {
      refuse("depends_on goes with a query", "A row depends on its table alone.");
    }
    if (has_query && collection_.guarded) {
      refuse("a query's result cannot be written", "Guard the table's rows, in a collection of their own.");
    }
    for (const auto key : kGuardedKeys) {
      if (table_.contains(key) && !collection_.guarded) {
        refuse(fmt::format("{} goes with guarded writes", key), "Add writes = \"guarded\".");
      }
    }
  }

  const toml::table& table_;
  Complain complain_;
  CollectionConfig collection_;
};

std::string array_text(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const auto& text : texts) out += fmt::format("{}{}", out.size() > 1 ? ", " : "", quote_toml(text));
  return out + "]";
}

std::string columns_text(const CollectionConfig& collection) {
  std::string out;
  const auto is_plain = [](const auto& column) { return column.first == column.second; };
  const bool plain = std::all_of(collection.columns.begin(), collection.columns.end(), is_plain);
  for (const auto& [column, shown] : collection.columns) {
    if (!out.empty()) out += ", ";
    if (!plain) out += quote_toml(column) + " = ";
    out += quote_toml(shown);
  }
  return plain ? "[" + out + "]" : "{ " + out + " }";
}

}  // namespace

std::string_view kind_of_node(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table: return "a table";
    case toml::node_type::array: return "an array";
    case toml::node_type::string: return "a text in quotes";
    case toml::node_type::integer: return "a whole number";
    case toml::node_type::floating_point: return "a number with a fraction";
    case toml::node_type::boolean: return "true or false";
    case toml::node_type::none: return "nothing";
    default: return "a date or time";
  }
}

bool set_read_level(CollectionConfig& collection, std::string_view text) {
  const auto word = text.substr(0, text.find(' '));
  if (std::find(kLevels.begin(), kLevels.end(), word) == kLevels.end()) return false;
  Nanoseconds bound = 0;
  if (word == kBounded) {
    const auto duration = word.size() < text.size() ? parse_duration(text.substr(word.size() + 1)) : Result<Nanoseconds>(0);
    if (!duration || *duration < kBoundMin || *duration > kBoundMax) return false;
    bound = *duration;
  } else if (word != text) {
    return false;
  }
  collection.read_level = word;
  collection.bound = bound;
  return true;
}

std::string read_level_text(const CollectionConfig& collection) {
  if (collection.read_level != kBounded) return collection.read_level;
  return fmt::format("{} {}", kBounded, format_duration(collection.bound));
}

std::vector<CollectionConfig> read_collections(const toml::node& node, Complain complain) {
  std::vector<CollectionConfig> collections;
  const auto* tables = node.as_array();
  if (tables == nullptr || (!tables->empty() && !tables->is_homogeneous(toml::node_type::table))) {
    complain(node.source(), fmt::format("collection: expected tables, found {}", kind_of_node(node)),
             "Write [[collection]], in two pairs of brackets, once for each collection.");
    return collections;
  }
  if (tables->size() > kCollectionsMax) {
    complain(node.source(), fmt::format("collection: more than {} of them", kCollectionsMax), {});
    return collections;
  }
  for (const toml::node& table : *tables) {
    auto collection = CollectionReader(*table.as_table(), complain).read();
    for (const auto& other : collections) {
      if (!collection.name.empty() && other.name == collection.name) {
        complain(table.source(), fmt::format("collection \"{}\": line {} has that name", other.name, other.line),
                 "Give one of them another name.");
      }
    }
    collections.push_back(std::move(collection));
  }
  return collections;
}

std::string text_of(const CollectionConfig& collection) {
  std::string out = fmt::format("[[{}]]\nname = {}\n", kCollectionSection, quote_toml(collection.name));
  if (!collection.table.empty()) out += fmt::format("table = {}\n", quote_toml(collection.table));
  if (!collection.columns.empty()) out += fmt::format("columns = {}\n", columns_text(collection));
  if (!collection.query.empty()) out += fmt::format("query = {}\n", quote_toml(collection.query));
  if (collection.declared) out += fmt::format("depends_on = {}\n", array_text(collection.depends_on));
  out += fmt::format("read_level = {}\n", quote_toml(read_level_text(collection)));
  if (collection.guarded) out += "writes = \"guarded\"\n";
  if (collection.exclusive_writer) out += "exclusive_writer = true\n";
  if (collection.follow) out += "follow = true\n";
  if (!collection.version_column.empty()) out += fmt::format("version_column = {}\n", quote_toml(collection.version_column));
  if (!collection.expires_column.empty()) out += fmt::format("expires_column = {}\n", quote_toml(collection.expires_column));
  return out;
}

}  // namespace freshet::base
