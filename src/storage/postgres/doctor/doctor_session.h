// A session that asks a database single questions, for `freshet doctor`. Blocking. May use libpq.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "freshet/result.h"
#include "storage/postgres/catalog/catalog_session.h"
#include "storage/postgres/doctor/doctor.h"
#include "storage/postgres/query/analysis.h"
#include "storage/postgres/rows/row_plan.h"

namespace freshet::storage::postgres {

class DoctorSession {
 public:
  static Result<std::unique_ptr<DoctorSession>> open(const ObservedOptions& options);

  using Row = std::vector<std::string>;
  // Every row; NULL shows as an empty text. A question that the server refuses gives none, and is remembered.
  std::vector<Row> rows(const char* sql, const std::vector<std::string>& parameters = {});
  // The first row, or nothing.
  Row row(const char* sql, const std::vector<std::string>& parameters = {});
  // The first column of the first row, or an empty text.
  std::string value(const char* sql, const std::vector<std::string>& parameters = {});

  // What it refuses is the analysis's.
  Result<QueryDescription> analyse(const CollectionSpec& spec) { return postgres::analyse(session_, spec); }

  // After it names without a schema are no longer found: the last of the questions.
  Result<GuardFindings> examine_guarded(const CollectionSpec& spec) { return examine_rows(session_, spec); }

  // What the server said to the first question that it refused; empty: it refused none.
  const std::string& failure() const { return failure_; }

 private:
  DoctorSession(ConnectionParameters parameters, const ObservedOptions& options)
      : session_(std::move(parameters), interrupt_, options.connect_timeout, options.statement_timeout) {}

  Interrupt interrupt_;  // Never raised: nobody else waits for the doctor.
  CatalogSession session_;
  std::string failure_;
};

// The questions about each collection and the publication.
void examine_collections(DoctorSession& session, const ObservedOptions& options, std::vector<Finding>& findings);
void examine_guarded(DoctorSession& session, const ObservedOptions& options, std::vector<Finding>& findings);

}  // namespace freshet::storage::postgres
