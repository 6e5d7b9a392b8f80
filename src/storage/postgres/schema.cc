// Creates schema freshet, or finds it and compares its version.
#include "storage/postgres/schema.h"

#include <fmt/format.h>

#include <cstdlib>
#include <optional>

#include "storage/postgres/libpq.h"

namespace freshet::storage::postgres {
namespace {

// One creator at a time: CREATE … IF NOT EXISTS alone fails when two run at once.
constexpr const char* kLockSql = "SELECT pg_advisory_xact_lock(1179796819, 2147483647)";

// Run again by hand, an older text must not replace newer functions.
constexpr const char* kRefuseNewerSql = R"sql(DO $$ BEGIN
  IF to_regclass('freshet.meta') IS NOT NULL THEN
    IF (SELECT m.schema_version FROM freshet.meta m) > {} THEN
      RAISE EXCEPTION 'schema freshet is newer than this text';
    END IF;
  END IF;
END $$;
)sql";

std::string quoted(std::string_view name) {
  std::string text = "\"";
  for (const char c : name) text += c == '"' ? std::string("\"\"") : std::string(1, c);
  return text + '"';
}

Error schema_error(const PGresult* result, std::string_view doing) {
  const auto error = sql_error_of(result);
  const bool denied = error.state == "42501";
  return Error::of(denied ? ErrorCode::unsupported : ErrorCode::unavailable,
                   fmt::format("{} failed: {}", doing, error.message),
                   denied ? "Let an administrator run the schema's SQL with the grants for this role, or grant CREATE on "
                            "the database."
                          : "");
}

// The version found; nothing if there is no schema.
Result<std::optional<int>> find_version(PGconn* connection) {
  auto exists = Rows(PQexec(connection,
                            "SELECT 1 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
                            "WHERE n.nspname = 'freshet' AND c.relname = 'meta'"));
  if (!succeeded(exists.get())) return schema_error(exists.get(), "looking for schema freshet");
  if (PQntuples(exists.get()) == 0) return std::optional<int>();
  auto version = Rows(PQexec(connection, "SELECT schema_version FROM freshet.meta"));
  if (!succeeded(version.get())) return schema_error(version.get(), "reading the version of schema freshet");
  if (PQntuples(version.get()) == 0) return std::optional<int>();
  return std::optional<int>(std::atoi(PQgetvalue(version.get(), 0, 0)));
}

Error too_new(int version) {
  return Error::of(ErrorCode::unsupported,
                   fmt::format("schema freshet of this database has version {}; this Freshet knows {}", version,
                               kSchemaVersion),
                   "Run a Freshet that is at least as new as the one that made the schema.");
}

}  // namespace

std::string schema_sql(std::string_view grant_to) {
  std::string text = "BEGIN;\n";
  text += fmt::format("{};\n", kLockSql);
  text += fmt::format(kRefuseNewerSql, kSchemaVersion);
  for (const char* piece : {schema_text::kTables, schema_text::kGuards, schema_text::kSinglePut, schema_text::kManyPuts,
                            schema_text::kMutation, schema_text::kWrite, schema_text::kRows, schema_text::kLease,
                            schema_text::kInspection, schema_text::kPasses}) {
    text += piece;
  }
  text += fmt::format(
      "\nINSERT INTO freshet.meta (schema_version) VALUES ({0})\n  ON CONFLICT (one) DO UPDATE SET schema_version = {0} "
      "WHERE freshet.meta.schema_version < {0};\n",
      kSchemaVersion);
  if (!grant_to.empty()) {
    const auto role = quoted(grant_to);
    text += fmt::format(
        "\nGRANT USAGE ON SCHEMA freshet TO {0};\nGRANT SELECT, UPDATE (fleet) ON freshet.meta TO {0};\n"
        "GRANT SELECT, INSERT, UPDATE, DELETE ON freshet.kv, freshet.guard, freshet.lease, freshet.pass_heard TO "
        "{0};\nGRANT USAGE, SELECT ON SEQUENCE freshet.version, freshet.pass_request TO {0};\n"
        "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA freshet TO {0};\n",
        role);
  }
  return text + "COMMIT;\n";
}

Result<void> ensure_schema(PGconn* connection, bool create) {
  auto version = find_version(connection);
  if (!version) return version.error();
  if (version->has_value() && **version > kSchemaVersion) return too_new(**version);
  if (version->has_value() && **version == kSchemaVersion) return {};
  if (!create) {
    return Error::of(ErrorCode::unavailable, "schema freshet is missing or old, and creating it is switched off",
                     "Let an administrator run the schema's SQL with the grants for this role.");
  }
  auto made = Rows(PQexec(connection, schema_sql().c_str()));
  if (succeeded(made.get())) return {};
  auto error = schema_error(made.get(), "creating schema freshet");
  Rows(PQexec(connection, "ROLLBACK"));
  return error;
}

}  // namespace freshet::storage::postgres
