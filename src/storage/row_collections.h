// Guarded row collections, as the rooms above storage see them: which keys are rows, and what a row's value looks like.
// May use base only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
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
using RowCollectionRef = std::shared_ptr<const RowCollection>;

// All of a storage's, as they are from one change of them to the next. Immutable; thread-safe.
class RowCollections {
 public:
  // `retired`: no longer guarded; what was begun on their keys before goes on. `former`: what collections once were, of
  // which values may still be under way.
  // `unsealed`: names of collections whose seal was found missing.
  explicit RowCollections(std::vector<RowCollectionRef> serving, std::vector<RowCollectionRef> retired = {},
                          std::vector<RowCollectionRef> former = {}, std::vector<std::string> unsealed = {})
      : serving_(std::move(serving)), retired_(std::move(retired)), former_(std::move(former)),
        unsealed_(std::move(unsealed)) {}

  // The collection that the key is one of, retired ones included; null: it is no row's.
  const RowCollection* find(std::string_view key) const {
    const auto* const found = serving(key);
    return found ? found : in(retired_, prefix_of(key));
  }
  const RowCollection* serving(std::string_view key) const { return in(serving_, prefix_of(key)); }
  bool is_retired(std::string_view key) const { return !serving(key) && in(retired_, prefix_of(key)); }
  const RowCollection* named(std::string_view name) const { return in(serving_, name); }
  const std::vector<RowCollectionRef>& all() const { return serving_; }
  // Anybody may be writing the key's row, so it may not be cached.
  bool is_unsealed(std::string_view key) const {
    return !unsealed_.empty() && std::find(unsealed_.begin(), unsealed_.end(), prefix_of(key)) != unsealed_.end();
  }
  const std::vector<std::string>& unsealed() const { return unsealed_; }

  // That under which a value of the key was written, or its row shaped; null: none.
  const RowCollection* of_value(std::string_view key, std::string_view value) const;
  const RowCollection* of_shape(std::string_view key, const RowShape* shape) const;

 private:
  static const RowCollection* in(const std::vector<RowCollectionRef>& list, std::string_view name) {
    if (name.empty()) return nullptr;
    for (const auto& collection : list) {
      if (collection->spec.name == name) return collection.get();
    }
    return nullptr;
  }

  const std::vector<RowCollectionRef> serving_;
  const std::vector<RowCollectionRef> retired_;
  const std::vector<RowCollectionRef> former_;
  const std::vector<std::string> unsealed_;
};

}  // namespace freshet::storage
