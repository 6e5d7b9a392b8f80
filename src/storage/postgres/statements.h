// The statements that Freshet prepares, by lane, and what each session sets. May use base.
#pragma once

#include <string>
#include <vector>

#include "storage/postgres/connection.h"
#include "storage/postgres/options.h"

namespace freshet::storage::postgres {

// Keys up to this length are stored as they are; freshet.key_id() shortens longer ones.
inline constexpr std::size_t kPlainKeyBytesMax = 2000;

// A timeline in the first column is that of the server that answers; empty: it is a standby.
namespace statements {

// $1 keys. Columns: timeline, database_ms, key, value, version, operation, expires_at_ms; one row at least.
extern const Statement kRead;
extern const Statement kReadLong;  // The same, for batches with a key above kPlainKeyBytesMax.
// freshet.put, freshet.put_for, freshet.put_many and freshet.write, with their parameters.
extern const Statement kPut;
extern const Statement kPutFor;
extern const Statement kPutMany;  // Columns: key, version.
extern const Statement kWrite;
extern const Statement kWriteAll;  // kWrite that fails, with FR004, unless every mutation was applied.
// freshet.pass_row and freshet.pass_rows; no result.
extern const Statement kPassRow;
extern const Statement kPassMany;
extern const Statement kTellPassed;
extern const Statement kSetConstraints;
// lock class, fleet, first slot, last slot, token, tables, their seals' functions. Columns: timeline, the tables that are
// not sealed so (NULL: all are). The lease was taken before, and no seal leaves a table but for the lease's holder: a table
// that is found sealed stays so as long as the guard counts.
extern const Statement kSetGuard;
// $1 tables. Of each, in their order: timeline, name, a digest of what the catalog says of it, its partitions and what runs
// when it is written (a number; NULL: there is no such table).
extern const Statement kRowsDigest;
// $1 server process that waits, $2 application names of this fleet's writers, $3 whether to end those.
// Columns: a sentence on the holder, whether it was ended.
extern const Statement kHolders;
// $1 position, $2 rows. Columns: timeline, database_ms, position, key, present, expires_at_ms.
extern const Statement kScan;
// $1 rows_max. Columns: timeline, keys, exact.
extern const Statement kCount;
// $1 first position, $2 end, $3 rows_max. Columns: timeline, slot, keys.
extern const Statement kSlotCounts;
// $1 keys, $2 versions.
extern const Statement kForget;
// Columns: timeline (empty in recovery), then as freshet.identity()'s.
extern const Statement kIdentity;
// Columns: timeline, the last version that was given out.
extern const Statement kLastVersion;
// $1 the number, $2 the server known, $3 whether to look anyway.
// Columns: timeline, number, server, cells (NULL: nobody looked).
extern const Statement kPassRequests;
// fleet, cells, number, server, period. Column: timeline.
extern const Statement kAcknowledgePasses;
// $1 first page, $2 end, $3 the newest version to delete, $4 rows_max. Columns: timeline, tombstones deleted, pages in all.
extern const Statement kSweep;

}  // namespace statements

// What kind of session it is, as its application_name says: "freshet:FLEET:KIND".
std::string application_name(const std::string& fleet, const char* kind);

// The settings of a session, and the columns that Connection::Options::session_sql wants.
std::string session_sql(const PostgresOptions& options, base::Nanoseconds lock_timeout);

}  // namespace freshet::storage::postgres
