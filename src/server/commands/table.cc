// The command table: one row a command. COMMAND, the documentation and the dispatch are all made from it.
#include "server/commands/table.h"

#include "server/commands/handlers.h"

namespace freshet::server {
namespace {

namespace h = handlers;

constexpr std::uint32_t kRead = kReadonly | kFast | kPrefetch;
constexpr std::uint32_t kConnection = kFast;
constexpr std::string_view kNoteMulti = "At most 1024 keys: they are one transaction in the database.";
constexpr std::string_view kNoteHashWrite =
    "A hash is stored whole: each write stores all of its fields, at most 65,536 of them in 4 MiB. Of a row of a guarded "
    "collection it sets columns; errors of types and constraints name the column and the constraint.";
constexpr std::string_view kNoteMultiExec =
    "All or nothing: isolated from every other writer, and applied in one transaction of the database. A command that fails "
    "by itself (a value of the wrong type) leaves the others as they are, as in Redis; what the database refuses (a "
    "constraint) takes all back: EXECABORT. Keys of observed collections can be read there, each at its own moment.";
constexpr std::string_view kNoteGuard =
    "Answers a number and an SQL statement, which the transaction executes first, at READ COMMITTED. It may then write the "
    "rows that were named, and no others of sealed tables. After COMMIT or ROLLBACK, FRESHET.UNGUARD. Meanwhile others' "
    "writes of these rows wait. After 30 seconds, or when the connection ends, the transaction is fenced: it commits in "
    "time, or never.";
constexpr std::string_view kNoteDelete =
    "More than 1024 keys are deleted in several transactions; Redis deletes all at once.";
constexpr std::string_view kNoteTracking =
    "NOLOOP is accepted, but a client is told of its own writes too: another writer may have come between. A change that "
    "names no keys (TRUNCATE, a query over a whole table) tells clients with BCAST to drop everything.";
constexpr std::string_view kNoteFlush = "Always refused, with the words to use: it never touches storage.";
constexpr std::string_view kNoteDeadline =
    "Deadlines are judged by the database's clock, and may lie at most some 285,000 years ahead.";

constexpr std::string_view kNoteRecord =
    "RECORD.md says what counts as an access. SAMPLE: the share of keys whose accesses are sent, all of a key's or none. A "
    "batch is a push (in RESP2 an array) of three: `freshet.record`, how many accesses were dropped since the last batch "
    "because this connection did not keep up, and a bulk string of records. A record has 24 bytes, least significant first: "
    "8 of a hash of the key, under a secret of this recording alone; 8 of microseconds since 1970; 4 of the key's and the "
    "value's bytes together; 1 that says read (0), write (1) or erase (2); 3 of zeros. At most 4 connections record at a "
    "time; meanwhile they take PING, QUIT and RESET.";

// name, arity, flags, first key, last key, step, group, since, syntax, summary, handler, note
constexpr Command kCommands[] = {
    // Connection.
    {"ping", -1, kConnection | kWhileSubscribed, 0, 0, 0, "connection", "1.0.0", "[message]",
     "Answers PONG, or the message.", h::ping},
    {"echo", 2, kConnection, 0, 0, 0, "connection", "1.0.0", "message", "Answers the message.", h::echo},
    {"hello", -1, kConnection | kNoAuth | kNoMulti, 0, 0, 0, "connection", "6.0.0",
     "[protover [AUTH username password] [SETNAME clientname]]", "Chooses the protocol's version, and authenticates.",
     h::hello},
    {"auth", -2, kConnection | kNoAuth | kNoMulti, 0, 0, 0, "connection", "1.0.0", "[username] password",
     "Authenticates the connection.", h::auth, "There is one user, `default`."},
    {"select", 2, kConnection, 0, 0, 0, "connection", "1.0.0", "index", "Chooses the database, of which there is one: 0.",
     h::select},
    {"reset", 1, kConnection | kNoAuth | kWhileSubscribed | kNotQueued, 0, 0, 0, "connection", "6.2.0", "",
     "Sets the connection back to its beginning.", h::reset},
    {"quit", -1, kConnection | kNoAuth | kWhileSubscribed | kNotQueued, 0, 0, 0, "connection", "1.0.0", "",
     "Answers OK and closes the connection.", h::quit},
    {"client", -2, kContainer, 0, 0, 0, "connection", "2.4.0", "", "Commands about client connections.", h::container_help},
    {"client|id", 2, kConnection, 0, 0, 0, "connection", "5.0.0", "", "The connection's id.", h::client_id},
    {"client|info", 2, 0, 0, 0, 0, "connection", "6.2.0", "", "The connection's line of CLIENT LIST.", h::client_info},
    {"client|list", -2, kAdmin, 0, 0, 0, "connection", "2.4.0", "[TYPE NORMAL | ID client-id [client-id ...]]",
     "A line for each connection.", h::client_list},
    {"client|setname", 3, kConnection, 0, 0, 0, "connection", "2.6.9", "connection-name", "Names the connection.",
     h::client_setname},
    {"client|getname", 2, kConnection, 0, 0, 0, "connection", "2.6.9", "", "The connection's name.", h::client_getname},
    {"client|setinfo", 4, kConnection, 0, 0, 0, "connection", "7.2.0", "LIB-NAME libname | LIB-VER libver",
     "Tells the client library's name or version.", h::client_setinfo},
    {"client|no-evict", 3, kAdmin, 0, 0, 0, "connection", "7.0.0", "ON | OFF",
     "Notes the wish; clients are never evicted here.", h::client_no_evict,
     "Accepted and shown in CLIENT LIST; it changes nothing."},
    {"client|no-touch", 3, kConnection, 0, 0, 0, "connection", "7.2.0", "ON | OFF",
     "Notes the wish; reads count all the same.", h::client_no_touch,
     "Accepted and shown in CLIENT LIST; it changes nothing."},
    {"client|tracking", -3, kConnection | kNoMulti, 0, 0, 0, "connection", "6.0.0",
     "ON | OFF [REDIRECT client-id] [PREFIX prefix [PREFIX prefix ...]] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]",
     "Tells the client of every change of what it has read, or of keys with a prefix.", h::client_tracking, kNoteTracking},
    {"client|caching", 3, kConnection | kNoMulti, 0, 0, 0, "connection", "6.0.0", "YES | NO",
     "Whether the next command's keys are tracked.", h::client_caching},
    {"client|trackinginfo", 2, kConnection, 0, 0, 0, "connection", "6.2.0", "", "What CLIENT TRACKING stands at.",
     h::client_trackinginfo},
    {"client|getredir", 2, kConnection, 0, 0, 0, "connection", "6.0.0", "", "The connection that invalidations go to.",
     h::client_getredir},
    {"subscribe", -2, kConnection | kWhileSubscribed | kNoMulti, 0, 0, 0, "connection", "2.0.0", "channel [channel ...]",
     "Subscribes to the channel of invalidations.", h::subscribe, "Only `__redis__:invalidate` is offered."},
    {"unsubscribe", -1, kConnection | kWhileSubscribed | kNoMulti, 0, 0, 0, "connection", "2.0.0", "[channel [channel ...]]",
     "Ends the subscription.", h::unsubscribe},
    {"client|help", 2, kConnection, 0, 0, 0, "connection", "5.0.0", "", "Lists the subcommands.", h::container_help},

    // Server.
    {"command", -1, kContainer, 0, 0, 0, "server", "2.8.13", "", "Describes every command.", h::command},
    {"command|count", 2, 0, 0, 0, 0, "server", "2.8.13", "", "The number of commands.", h::command_count},
    {"command|docs", -2, 0, 0, 0, 0, "server", "7.0.0", "[command-name [command-name ...]]", "Documents commands.",
     h::command_docs},
    {"command|info", -2, 0, 0, 0, 0, "server", "2.8.13", "[command-name [command-name ...]]", "Describes commands.",
     h::command_info},
    {"command|help", 2, 0, 0, 0, 0, "server", "5.0.0", "", "Lists the subcommands.", h::container_help},
    {"info", -1, 0, 0, 0, 0, "server", "1.0.0", "[section [section ...]]", "Figures about the server, in sections.", h::info,
     "There is no keyspace section: the number of keys is the database's to tell (DBSIZE)."},
    {"config", -2, kContainer, 0, 0, 0, "server", "2.0.0", "", "Commands about the configuration.", h::container_help},
    {"config|get", -3, kAdmin, 0, 0, 0, "server", "2.0.0", "parameter [parameter ...]",
     "The settings that match the patterns.", h::config_get},
    {"config|set", -4, kAdmin, 0, 0, 0, "server", "2.0.0", "parameter value [parameter value ...]",
     "Changes settings while running.", h::config_set,
     "Settings are changed one by one; those before a wrong one stay changed."},
    {"config|resetstat", 2, kAdmin, 0, 0, 0, "server", "2.0.0", "", "Sets the server's counters to 0.", h::config_resetstat},
    {"config|help", 2, 0, 0, 0, 0, "server", "5.0.0", "", "Lists the subcommands.", h::container_help},
    {"dbsize", 1, kReadonly | kNoMulti, 0, 0, 0, "server", "1.0.0", "", "The number of keys in the database.", h::dbsize,
     "Exact while there are few keys, an estimate beyond; keys past their deadline may be counted until they are removed."},
    {"time", 1, kFast, 0, 0, 0, "server", "2.6.0", "", "Seconds since 1970, and microseconds beside them.", h::time,
     "By the clock that deadlines are compared with: the database's, to the millisecond."},
    {"flushall", -1, kAdmin | kNotOffered, 0, 0, 0, "server", "1.0.0", "[ASYNC | SYNC]", "Refused.", h::flush_refused,
     kNoteFlush},
    {"flushdb", -1, kAdmin | kNotOffered, 0, 0, 0, "server", "1.0.0", "[ASYNC | SYNC]", "Refused.", h::flush_refused,
     kNoteFlush},

    // Strings.
    {"get", 2, kRead, 1, 1, 1, "string", "1.0.0", "key", "The key's value.", h::get},
    {"mget", -2, kRead, 1, -1, 1, "string", "1.0.0", "key [key ...]", "The values of the keys.", h::mget,
     "Each value keeps the connection's level by itself; at level `snapshot` all are of one moment."},
    {"strlen", 2, kRead, 1, 1, 1, "string", "2.2.0", "key", "The length of the value.", h::strlen},
    {"getrange", 4, kReadonly | kPrefetch, 1, 1, 1, "string", "2.4.0", "key start end", "A part of the value.", h::getrange},
    {"substr", 4, kReadonly | kPrefetch, 1, 1, 1, "string", "1.0.0", "key start end", "GETRANGE by its old name.",
     h::getrange},
    {"set", -3, kWrite, 1, 1, 1, "string", "1.0.0",
     "key value [NX | XX] [GET] [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | "
     "KEEPTTL]",
     "Sets the value.", h::set, kNoteDeadline},
    {"setnx", 3, kWrite | kFast, 1, 1, 1, "string", "1.0.0", "key value", "Sets the value if the key is absent.", h::setnx},
    {"setex", 4, kWrite, 1, 1, 1, "string", "2.0.0", "key seconds value", "Sets the value and its time to live.", h::setex},
    {"psetex", 4, kWrite, 1, 1, 1, "string", "2.6.0", "key milliseconds value", "Sets the value and its time to live.",
     h::psetex},
    {"getset", 3, kWrite | kFast, 1, 1, 1, "string", "1.0.0", "key value", "Sets the value and returns the one before.",
     h::getset},
    {"getdel", 2, kWrite | kFast, 1, 1, 1, "string", "6.2.0", "key", "Returns the value and deletes the key.", h::getdel},
    {"getex", -2, kWrite | kFast, 1, 1, 1, "string", "6.2.0",
     "key [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | PERSIST]",
     "Returns the value and changes its expiry.", h::getex},
    {"mset", -3, kWrite, 1, -1, 2, "string", "1.0.1", "key value [key value ...]", "Sets several values at once.", h::mset,
     kNoteMulti},
    {"msetnx", -3, kWrite, 1, -1, 2, "string", "1.0.1", "key value [key value ...]",
     "Sets several values if none of the keys exists.", h::msetnx, kNoteMulti},
    {"append", 3, kWrite | kFast, 1, 1, 1, "string", "2.0.0", "key value", "Appends to the value.", h::append},
    {"setrange", 4, kWrite, 1, 1, 1, "string", "2.2.0", "key offset value", "Overwrites a part of the value.", h::setrange},
    {"incr", 2, kWrite | kFast, 1, 1, 1, "string", "1.0.0", "key", "Adds 1 to the integer.", h::incr},
    {"decr", 2, kWrite | kFast, 1, 1, 1, "string", "1.0.0", "key", "Takes 1 from the integer.", h::decr},
    {"incrby", 3, kWrite | kFast, 1, 1, 1, "string", "1.0.0", "key increment", "Adds to the integer.", h::incrby},
    {"decrby", 3, kWrite | kFast, 1, 1, 1, "string", "1.0.0", "key decrement", "Takes from the integer.", h::decrby},
    {"incrbyfloat", 3, kWrite | kFast, 1, 1, 1, "string", "2.6.0", "key increment", "Adds to the floating-point number.",
     h::incrbyfloat},

    // Rows.
    {"hget", 3, kRead, 1, 1, 1, "hash", "2.0.0", "key field", "The field's value.", h::hget},
    {"hmget", -3, kRead, 1, 1, 1, "hash", "2.0.0", "key field [field ...]", "The fields' values.", h::hmget},
    {"hgetall", 2, kReadonly | kPrefetch, 1, 1, 1, "hash", "2.0.0", "key", "Every field and its value.", h::hgetall,
     "In the order in which the fields came; of a row in that of its columns."},
    {"hexists", 3, kRead, 1, 1, 1, "hash", "2.0.0", "key field", "Whether there is such a field.", h::hexists},
    {"hlen", 2, kRead, 1, 1, 1, "hash", "2.0.0", "key", "How many fields there are.", h::hlen},
    {"hkeys", 2, kReadonly | kPrefetch, 1, 1, 1, "hash", "2.0.0", "key", "The names of the fields.", h::hkeys},
    {"hvals", 2, kReadonly | kPrefetch, 1, 1, 1, "hash", "2.0.0", "key", "The values of the fields.", h::hvals},
    {"hstrlen", 3, kRead, 1, 1, 1, "hash", "3.2.0", "key field", "The length of the field's value.", h::hstrlen},
    {"hrandfield", -2, kReadonly | kPrefetch, 1, 1, 1, "hash", "6.2.0", "key [count [WITHVALUES]]",
     "Fields drawn at random: distinct ones, or with repetition if the count is negative.", h::hrandfield,
     "With repetition at most 65,536."},
    {"hscan", -3, kReadonly | kPrefetch, 1, 1, 1, "hash", "2.8.0", "key cursor [MATCH pattern] [COUNT count]",
     "Walks over the fields.", h::hscan, "All fields come at once, as of Redis's small hashes."},
    {"hset", -4, kWrite | kFast, 1, 1, 1, "hash", "2.0.0", "key field value [field value ...]", "Sets fields.", h::hset,
     kNoteHashWrite},
    {"hsetnx", 4, kWrite | kFast, 1, 1, 1, "hash", "2.0.0", "key field value", "Sets the field if it is absent.", h::hsetnx,
     kNoteHashWrite},
    {"hmset", -4, kWrite | kFast, 1, 1, 1, "hash", "2.0.0", "key field value [field value ...]", "Sets fields, as HSET.",
     h::hmset, kNoteHashWrite},
    {"hdel", -3, kWrite | kFast, 1, 1, 1, "hash", "2.0.0", "key field [field ...]",
     "Removes fields; the key goes with the last.", h::hdel,
     "Of a row of a guarded collection it sets columns to NULL, and the row stays."},
    {"hincrby", 4, kWrite | kFast, 1, 1, 1, "hash", "2.0.0", "key field increment", "Adds to the integer in the field.",
     h::hincrby, kNoteHashWrite},
    {"hincrbyfloat", 4, kWrite | kFast, 1, 1, 1, "hash", "2.6.0", "key field increment", "Adds to the number in the field.",
     h::hincrbyfloat, kNoteHashWrite},

    // Transactions.
    {"multi", 1, kFast | kNotQueued, 0, 0, 0, "transactions", "1.2.0", "", "Queues the commands that follow, until EXEC.",
     h::multi, kNoteMultiExec},
    {"exec", 1, kNotQueued, 0, 0, 0, "transactions", "1.2.0", "",
     "Executes the queued commands as one transaction in the database.", h::exec, kNoteMultiExec},
    {"discard", 1, kFast | kNotQueued, 0, 0, 0, "transactions", "2.0.0", "", "Forgets the queued commands.", h::discard},
    {"watch", -2, kFast | kNotQueued, 1, -1, 1, "transactions", "2.2.0", "key [key ...]",
     "EXEC executes nothing if one of the keys has changed since.", h::watch,
     "Keys are compared by their versions; rows without a declared version column as a whole."},
    {"unwatch", 1, kFast, 0, 0, 0, "transactions", "2.2.0", "", "Forgets the watched keys.", h::unwatch},

    // Keys.
    {"del", -2, kWrite, 1, -1, 1, "generic", "1.0.0", "key [key ...]", "Deletes keys.", h::del, kNoteDelete},
    {"unlink", -2, kWrite | kFast, 1, -1, 1, "generic", "4.0.0", "key [key ...]", "Deletes keys, as DEL.", h::del,
     kNoteDelete},
    {"exists", -2, kRead, 1, -1, 1, "generic", "1.0.0", "key [key ...]", "How many of the keys exist.", h::exists},
    {"type", 2, kRead, 1, 1, 1, "generic", "1.0.0", "key", "The type of the value: string, hash (a row too), or none.",
     h::type, "A query's result is a string: its JSON."},
    {"touch", -2, kRead, 1, -1, 1, "generic", "3.2.1", "key [key ...]", "Reads the keys for the sake of eviction.",
     h::exists},
    {"scan", -2, kReadonly | kNoMulti, 0, 0, 0, "generic", "2.8.0", "cursor [MATCH pattern] [COUNT count] [TYPE type]",
     "Walks over the keys, some at a time.", h::scan,
     "The cursor is a position in the database: a key that is present throughout is returned, across restarts too. COUNT is "
     "cut "
     "to 10,000."},
    {"keys", 2, kReadonly | kNoMulti, 0, 0, 0, "generic", "1.0.0", "pattern", "Every key that matches.", h::keys,
     "Not of one moment: it walks over the database as SCAN does."},
    {"expire", -3, kWrite | kFast, 1, 1, 1, "generic", "1.0.0", "key seconds [NX | XX | GT | LT]", "Sets the time to live.",
     h::expire, kNoteDeadline},
    {"pexpire", -3, kWrite | kFast, 1, 1, 1, "generic", "2.6.0", "key milliseconds [NX | XX | GT | LT]",
     "Sets the time to live.", h::pexpire, kNoteDeadline},
    {"expireat", -3, kWrite | kFast, 1, 1, 1, "generic", "1.2.0", "key unix-time-seconds [NX | XX | GT | LT]",
     "Sets the deadline.", h::expireat, kNoteDeadline},
    {"pexpireat", -3, kWrite | kFast, 1, 1, 1, "generic", "2.6.0", "key unix-time-milliseconds [NX | XX | GT | LT]",
     "Sets the deadline.", h::pexpireat, kNoteDeadline},
    {"ttl", 2, kRead, 1, 1, 1, "generic", "1.0.0", "key", "The time to live in seconds.", h::ttl},
    {"pttl", 2, kRead, 1, 1, 1, "generic", "2.6.0", "key", "The time to live in milliseconds.", h::pttl},
    {"expiretime", 2, kRead, 1, 1, 1, "generic", "7.0.0", "key", "The deadline in seconds since 1970.", h::expiretime},
    {"pexpiretime", 2, kRead, 1, 1, 1, "generic", "7.0.0", "key", "The deadline in milliseconds since 1970.",
     h::pexpiretime},
    {"persist", 2, kWrite | kFast, 1, 1, 1, "generic", "2.2.0", "key", "Takes the expiry away.", h::persist},

    // Beyond Redis.
    {"freshet.get", -2, kRead, 1, 1, 1, "freshet", "0.1.0", "key [LEVEL level]",
     "The value with its version (rows and queries: the position in the database's log), its age in milliseconds, and where "
     "it came from (memory or storage), as a map.",
     h::freshet_get, "A row is JSON in RESP2 and a map of typed columns in RESP3, NULLs included."},
    {"freshet.with", -4, kReadonly | kNoMulti, 0, 0, 0, "freshet", "0.1.0", "LEVEL level command [argument ...]",
     "Executes one command that reads keys, at that level.", h::freshet_with},
    {"freshet.level", -1, kFast, 0, 0, 0, "freshet", "0.1.0", "[level]",
     "Sets the level of the connection's reads, or tells it. SESSION without a token begins at what has been acknowledged "
     "until now. RESET goes back to the default.",
     h::freshet_level},
    {"freshet.token", 1, kNoMulti, 0, 0, 0, "freshet", "0.1.0", "",
     "A session token that includes every write acknowledged until now.", h::freshet_token},
    {"freshet.wait", 3, kNoMulti, 0, 0, 0, "freshet", "0.1.0", "token milliseconds",
     "Waits until reads of every level include what the token names.", h::freshet_wait},
    {"freshet.set", -5, kWrite | kFast | kNoMulti, 1, 1, 1, "freshet", "0.1.0",
     "key value VERSION version [EX seconds | PX milliseconds | EXAT unix-time-seconds | PXAT unix-time-milliseconds | "
     "KEEPTTL]",
     "Sets the value if the key is at that version (0: absent), and returns the new version; else -VERSIONMISMATCH names "
     "the "
     "one it is at.",
     h::freshet_set},
    {"freshet.evict", -2, kAdmin, 0, 0, 0, "freshet", "0.1.0",
     "KEY key [key ...] | PATTERN pattern | COLLECTION name | argument",
     "Drops cached data, never the database's, and returns how many entries left memory.", h::freshet_evict,
     "A single argument is a pattern if it holds one of `*?[\\`, else a key."},
    {"freshet.explain", 2, 0, 1, 1, 1, "freshet", "0.1.0", "key", "Where the key comes from, whether it is cached, and why.",
     h::freshet_explain},
    {"freshet.guard", -2, kWrite | kNoMulti, 1, -1, 1, "freshet", "0.1.0", "key [key ...]",
     "Guards rows for an SQL transaction of your own.", h::freshet_guard, kNoteGuard},
    {"freshet.unguard", 3, kFast | kNoMulti, 0, 0, 0, "freshet", "0.1.0", "id COMMITTED | ROLLEDBACK | UNKNOWN",
     "Tells how a guarded SQL transaction ended.", h::freshet_unguard},
    {"freshet.reload", 1, kAdmin | kNoMulti, 0, 0, 0, "freshet", "0.1.0", "",
     "Reads the configuration's collections anew and changes to them, all or none; answers with a sentence for each that is "
     "another now.", h::freshet_reload,
     "What a block says may change, its `writes` too (docs/WRITING-ROWS.md, \"Moving a table\"); blocks come and leave "
     "with a restart. SIGHUP does the same."},
    {"freshet.record", -1, kAdmin | kNoMulti, 0, 0, 0, "freshet", "0.1.0", "[SAMPLE rate]",
     "Records: from its OK on the connection is sent every access of every other connection, in batches, until it closes or "
     "RESET.",
     h::freshet_record, kNoteRecord},
    {"freshet.stats", -1, 0, 0, 0, 0, "freshet", "0.1.0", "[EVICTION]",
     "The cache's and the server's counters, as a map; or the eviction policy in office, what it has learnt if it is one "
     "that learns, and with `auto` the miss ratios that it estimates of each policy, at this and other sizes.",
     h::freshet_stats},
};

}  // namespace

const CommandTable& command_table() {
  static const CommandTable table(kCommands, unknown_command_text);
  return table;
}

}  // namespace freshet::server
