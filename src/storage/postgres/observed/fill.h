// One fill, from keys to values: splits keys into parts, reads those that can be read, and says what is wrong with the
// others. A key with a part that is no value of its type makes the server refuse the statement: then each key that could be
// it is looked at alone, and the others are read again. On the loop's thread. May use storage.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "storage/observed.h"
#include "storage/postgres/observed/catalog.h"
#include "storage/postgres/observed/session_lane.h"

namespace freshet::storage::postgres {

using CollectionKeys = std::vector<std::pair<CollectionId, std::string>>;

class Fill : public std::enable_shared_from_this<Fill> {
 public:
  // Told when an error says that the schema is not as it was described.
  using OnSchema = std::function<void()>;

  Fill(SessionLane& lane, CatalogRef catalog, base::Nanoseconds deadline, OnSchema on_schema, Callback<FillReply> done)
      : lane_(lane), catalog_(std::move(catalog)), deadline_(deadline), on_schema_(std::move(on_schema)),
        done_(std::move(done)) {}

  void run(CollectionKeys keys);

 private:
  struct Key {
    const CollectionPlan* plan = nullptr;
    std::string text;                 // As it was asked for.
    std::vector<std::string> parts;
    std::size_t place = 0;            // In the reply.
  };

  void admit(std::size_t place, CollectionId collection, const std::string& key);
  void read();
  void on_rows(const SessionCall& call, const Answer& answer);
  void take_row(const PGresult* rows, int row);
  void finish_rows();
  void validate();
  void on_validated(std::size_t key, const Answer& answer);
  void read_what_is_left();
  bool send(StatementRef statement, Parameters parameters, std::function<void(const SessionCall&, Answer)> take);
  void fail(Error error);
  void finish(Result<FillReply> result);

  SessionLane& lane_;
  const CatalogRef catalog_;
  const base::Nanoseconds deadline_;
  const OnSchema on_schema_;
  Callback<FillReply> done_;

  std::vector<Key> keys_;                          // Those to be read.
  std::vector<std::vector<std::size_t>> groups_;   // Of keys_, a collection each, as they stand in the statement.
  std::vector<std::uint32_t> row_counts_;          // Of queries, by place in keys_.
  std::vector<std::string> row_bytes_;
  FillReply reply_;
  std::size_t validations_ = 0;
  bool validated_ = false;
};

}  // namespace freshet::storage::postgres
