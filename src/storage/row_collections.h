// Guarded row collections, as the rooms above storage see them: which keys are rows, and what a row's value looks like.
// May use base only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/collection.h"
#include "storage/row.h"

namespace freshet::storage {

// Immutable. A row's state has for its value the collection's shape number, in four bytes, and then the row (storage/row.h):
// so that bytes of one shape are never read by another.
struct RowCollection {
  CollectionSpec spec;
  RowShapeRef shape;
  std::uint32_t shape_number = 0;  // No two shapes of a process share one.
  std::string written_as;          // For people: the table and its key's columns, how it is sealed, what tells versions.

  std::string_view row_in(std::string_view value) const { return value.substr(sizeof shape_number); }
  bool has_shape(std::string_view value) const;
  // A row's value, of its bytes.
  std::string value_of(std::string_view row) const;
};

// All of a storage's. Immutable; thread-safe.
class RowCollections {
 public:
  explicit RowCollections(std::vector<RowCollection> all) : all_(std::move(all)) {}

  // The collection that the key is one of; null: it is no row's.
  const RowCollection* find(std::string_view key) const {
    const auto name = prefix_of(key);
    return name.empty() ? nullptr : named(name);
  }
  const RowCollection* named(std::string_view name) const {
    for (const auto& collection : all_) {
      if (collection.spec.name == name) return &collection;
    }
    return nullptr;
  }
  const std::vector<RowCollection>& all() const { return all_; }

 private:
  const std::vector<RowCollection> all_;
};

}  // namespace freshet::storage
