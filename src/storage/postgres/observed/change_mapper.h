// From the change stream's messages to changes of collections: which keys a changed row touches, and what they hold now.
// Pure. May use storage and the stream's messages.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "storage/observed.h"
#include "storage/postgres/catalog/key_text.h"
#include "storage/postgres/stream/pgoutput.h"

namespace freshet::storage::postgres {

// A column as it was described, to be found in the stream's relation message.
struct StreamColumn {
  std::string name;
  Oid type = 0;
  std::int32_t modifier = -1;
  KeyForm form = KeyForm::as_is;  // For columns that make keys.
  bool in_stream = true;          // False: generated, or otherwise not carried by the stream as the fills read it.
};

struct RowMapping {
  CollectionId collection = 0;
  std::string name;
  std::vector<StreamColumn> key;
  std::vector<StreamColumn> shown;  // In the order of the shape.
};

struct QueryMapping {
  CollectionId collection = 0;
  std::string name;
  // The columns that the parameters are compared with, in their order. Empty and not exact: any change may touch any key.
  bool exact = false;
  std::vector<StreamColumn> parameters;
};

struct TableMapping {
  Oid relation = 0;
  std::string schema;
  std::string name;
  std::vector<RowMapping> rows;
  std::vector<QueryMapping> queries;
};

class ChangeMapper {
 public:
  // Tables as they are now. What the stream said about their columns is kept, and compared.
  void describe(std::vector<TableMapping> tables);
  // The stream began anew: it will tell every relation again.
  void forget_relations();

  // Everything but Begin, Commit and keepalives; Begin resets what was said about whole collections in a transaction.
  void begin();
  void map(const pgoutput::Message& message, StreamListener& listener);

 private:
  struct Bound {            // A collection's columns, as places in the relation's rows.
    bool usable = false;    // False: the relation is not as described; changes concern the whole collection.
    std::vector<std::size_t> key;
    std::vector<std::size_t> shown;
    bool shown_complete = true;  // False: the stream does not carry a shown column.
  };
  struct Seen {
    std::string schema;
    std::string name;
    std::vector<StreamColumn> columns;
    std::vector<bool> in_identity;
    const TableMapping* table = nullptr;
    std::vector<Bound> rows;     // As TableMapping's.
    std::vector<Bound> queries;
  };

  void bind(Oid id, Seen& seen) const;
  static Bound bind_columns(const Seen& seen, const std::vector<StreamColumn>& key, const std::vector<StreamColumn>* shown);
  void see(const pgoutput::Relation& relation);
  void insert(const pgoutput::Insert& message, StreamListener& listener);
  void update(const pgoutput::Update& message, StreamListener& listener);
  void erase(const pgoutput::Delete& message, StreamListener& listener);
  void truncate(const pgoutput::Truncate& message, StreamListener& listener);
  void everything_of(const TableMapping& table, StreamListener& listener);
  void all(CollectionId collection, StreamListener& listener);
  Seen* find(Oid relation);

  // The key that a row has, in key_; false if the row does not tell.
  bool make_key(const std::string& name, const std::vector<StreamColumn>& columns, const Bound& bound, pgoutput::Row row,
                pgoutput::Row fallback);
  void put(const RowMapping& mapping, const Bound& bound, const pgoutput::Update& change, StreamListener& listener);
  // The key that was touched, unless it is `touched` already.
  std::string touch(const QueryMapping& mapping, const Bound& bound, pgoutput::Row row, pgoutput::Row fallback,
                    std::string_view touched, StreamListener& listener);

  std::vector<TableMapping> tables_;
  std::map<Oid, Seen> seen_;
  std::vector<bool> all_said_;  // By collection, in this transaction.
  std::vector<std::string_view> parts_;
  std::string key_;
  bool key_has_null_ = false;
};

}  // namespace freshet::storage::postgres
