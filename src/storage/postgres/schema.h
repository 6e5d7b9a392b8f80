// Schema `freshet` in PostgreSQL: its tables and the functions that make a guarded write one round trip. The text is printed
// for administrators as it is run. May use libpq.
#pragma once

#include <libpq-fe.h>

#include <string>
#include <string_view>

#include "freshet/result.h"

namespace freshet::storage::postgres {

// The version of the schema that this Freshet makes and speaks.
inline constexpr int kSchemaVersion = 6;

// The whole text, to be run by a role that may CREATE in the database; running it again changes nothing. With a role named,
// it ends with the grants which that role needs to run Freshet: USAGE on the schema, USAGE and SELECT on the
// sequences, SELECT, INSERT, UPDATE and DELETE on the tables, EXECUTE on the functions (which PUBLIC has by default).
std::string schema_sql(std::string_view grant_to = {});

// Sees to it that the schema is there in this version, on a connection in blocking mode. With `create` it runs schema_sql()
// if it is missing or older. A newer schema is an error.
Result<void> ensure_schema(PGconn* connection, bool create);

// Pieces of the text, by topic.
namespace schema_text {
extern const char* const kTables;
extern const char* const kGuards;
extern const char* const kSinglePut;
extern const char* const kManyPuts;
extern const char* const kMutation;
extern const char* const kWrite;
extern const char* const kRows;
extern const char* const kPasses;
extern const char* const kLease;
extern const char* const kInspection;
}  // namespace schema_text

}  // namespace freshet::storage::postgres
