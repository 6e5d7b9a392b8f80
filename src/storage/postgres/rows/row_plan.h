// A guarded collection's table as the storage reads and writes it: planned from the catalog, and again when what stands
// there or in the configuration has changed. May use storage and libpq.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "storage/postgres/catalog/catalog_session.h"
#include "storage/postgres/catalog/table_facts.h"
#include "storage/postgres/owned_statement.h"
#include "storage/postgres/rows/row_sql.h"
#include "storage/postgres/rows/seal.h"
#include "storage/row_collections.h"
#include "storage/storage.h"

namespace freshet::storage::postgres {

// The most statements that are kept for one collection: a table has few habits. Others are prepared each time.
inline constexpr std::size_t kRowStatementsMax = 64;

struct RowColumn {
  std::string shown;             // As clients see it.
  std::string sql;               // Quoted.
  std::string type_sql;
  std::string array_sql;         // An array of its type, in which many rows' values come; empty: they cannot.
  ColumnKind kind = ColumnKind::text;
  std::size_t key_part = 0;      // From 1; 0: not of the key.
  bool computed = false;         // GENERATED ALWAYS AS (…), or the declared version: the database's.
  friend bool operator==(const RowColumn&, const RowColumn&) = default;
};

class RowPlan {
 public:
  RowPlan(RowCollectionRef collection, RowText text, std::vector<RowColumn> columns, bool look_after);

  const RowCollection& collection() const { return *collection_; }
  const RowCollectionRef& collection_ref() const { return collection_; }
  const std::string& name() const { return collection_->spec.name; }
  const RowText& text() const { return text_; }
  const std::vector<RowColumn>& columns() const { return columns_; }
  const RowColumn* find(std::string_view shown) const;
  std::size_t key_parts() const { return text_.parts.size(); }
  bool has_version() const { return !text_.version.empty(); }
  bool has_expiry() const { return !text_.expires.empty(); }
  // What RETURNING gives may change before the commit.
  bool look_after() const { return look_after_; }
  // But for the number of its shape. Of the same table, in which nothing was changed since.
  bool is_same_as(const RowPlan& other) const;
  // Of the catalog's rows behind it (statements::kRowsDigest). Set once, before anybody else has the plan.
  const std::string& digest() const { return digest_; }
  void set_digest(std::string digest) { digest_ = std::move(digest); }

  // The parts of a key of this collection. Errors: invalid_argument.
  Result<std::vector<std::string>> split(std::string_view key) const;
  // False: the server must say whether the parts are spelt canonically.
  bool is_plainly_canonical_key(const std::vector<std::string>& parts) const;
  // The key that these texts of its columns make.
  std::string key_of(const RowView& texts) const;

  const StatementRef& read() const { return read_; }
  const StatementRef& canonical_key() const { return canonical_key_; }
  // On the storage's loop only.
  StatementRef statement(const RowStatement& statement) const;

  // The state of a row whose cells are `cells` (text[] in binary form).
  Result<KeyState> state_of(std::string_view cells) const;

 private:
  const RowCollectionRef collection_;
  const RowText text_;
  const std::vector<RowColumn> columns_;
  const bool look_after_;
  std::string digest_;
  std::vector<AssignedColumn> assigned_;
  StatementRef read_;
  StatementRef canonical_key_;
  mutable std::vector<std::pair<RowStatement, StatementRef>> statements_;
};

using RowPlanRef = std::shared_ptr<const RowPlan>;

// All plans of a storage, from one change of them to the next. Immutable.
class RowPlans {
 public:
  RowPlans() : RowPlans({}, {}, {}, {}) {}

  bool empty() const { return serving_.empty() && retired_.empty(); }
  // Null: the key is none of a row. Plans of retired collections serve what was begun before.
  const RowPlan* find(std::string_view key) const;
  const RowCollections& collections() const { return collections_; }
  // Those of `serving` instead, as before where nothing has changed; what is served now and is not among them is retired.
  RowPlans changed_to(std::vector<RowPlanRef> serving) const;
  // The same, but that the seals of these collections are missing.
  RowPlans with_unsealed(const std::vector<std::string>& names) const;
  // The collections that serve these tables, and of which it is not known yet that their seals are missing.
  std::vector<std::string> not_known_unsealed(const std::vector<std::string>& tables) const;
  // The serving tables' names, an array in binary form.
  std::string tables() const;

  const std::vector<RowPlanRef>& serving() const { return serving_; }
  // Of the serving ones; null: none.
  RowPlanRef serving(std::string_view name) const;
  const std::vector<RowPlanRef>& retired() const { return retired_; }

 private:
  RowPlans(std::vector<RowPlanRef> serving, std::vector<RowPlanRef> retired, std::vector<RowCollectionRef> former,
           std::vector<std::string> unsealed);

  std::vector<RowPlanRef> serving_;
  std::vector<RowPlanRef> retired_;
  std::vector<RowCollectionRef> former_;
  RowCollections collections_;
};

// How often the plans may change in a process's life, since those of before stay.
inline constexpr std::size_t kPlanChangesMax = 10'000;

// The plans in force, replaced as a whole while others read them. Those of before stay as long as this: calls under way go
// by them.
class PlansInForce {
 public:
  explicit PlansInForce(RowPlans first) { put(std::move(first)); }
  const RowPlans& now() const { return *now_.load(std::memory_order_acquire); }
  // What `next` makes of the present ones.
  template <typename Next>
  void change(Next next) {
    const std::lock_guard lock(mutex_);
    put(next(now()));
  }
  bool is_full() const {
    const std::lock_guard lock(mutex_);
    return all_.size() >= kPlanChangesMax;
  }

 private:
  void put(RowPlans next) {
    all_.push_back(std::make_unique<const RowPlans>(std::move(next)));
    now_.store(all_.back().get(), std::memory_order_release);
  }

  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<const RowPlans>> all_;
  std::atomic<const RowPlans*> now_{nullptr};
};

// What guarding a collection's table takes, for tools: nothing is changed, but for the session's search path.
struct GuardFindings {
  std::optional<Error> fault;                  // Why it cannot be guarded, and what to do.
  std::string written_as;
  bool sealed = false;                         // As its specification wants it.
  std::vector<std::string> seal_statements;    // That seal it, or take its seal away; for its owner.
};
Result<GuardFindings> examine_rows(CatalogSession& session, const CollectionSpec& spec);

// Looks up the tables of the guarded collections among `specs`, sees to their seals if it may, and plans them. Errors:
// unavailable, and what stands in the way of the first collection that cannot be guarded, with the remedy.
Result<std::vector<std::shared_ptr<RowPlan>>> plan_rows(CatalogSession& session, const std::vector<CollectionSpec>& specs,
                                                        const LeaseClaim& claim = {});

}  // namespace freshet::storage::postgres
