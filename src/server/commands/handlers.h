// The handlers of every command, by family; table.cc puts them into the table. May use server.
#pragma once

#include "server/command.h"

namespace freshet::server::handlers {

// connection.cc
void ping(Context&);
void echo(Context&);
void hello(Context&);
void auth(Context&);
void select(Context&);
void reset(Context&);
void quit(Context&);

// clients.cc
void client_id(Context&);
void client_info(Context&);
void client_list(Context&);
void client_setname(Context&);
void client_getname(Context&);
void client_setinfo(Context&);
void client_no_evict(Context&);
void client_no_touch(Context&);

// client_tracking.cc
void client_tracking(Context&);
void client_caching(Context&);
void client_trackinginfo(Context&);
void client_getredir(Context&);
void subscribe(Context&);
void unsubscribe(Context&);

// introspection.cc
void container_help(Context&);
void command(Context&);
void command_count(Context&);
void command_info(Context&);
void command_docs(Context&);
void config_get(Context&);
void config_set(Context&);
void config_resetstat(Context&);

// info.cc
void info(Context&);
void time(Context&);

// strings.cc
void get(Context&);
void mget(Context&);
void strlen(Context&);
void getrange(Context&);
void set(Context&);
void setnx(Context&);
void setex(Context&);
void psetex(Context&);
void getset(Context&);
void getdel(Context&);
void getex(Context&);
void mset(Context&);
void msetnx(Context&);
void append(Context&);
void setrange(Context&);

// numbers.cc
void incr(Context&);
void decr(Context&);
void incrby(Context&);
void decrby(Context&);
void incrbyfloat(Context&);

// hashes.cc
void hget(Context&);
void hmget(Context&);
void hgetall(Context&);
void hexists(Context&);
void hlen(Context&);
void hkeys(Context&);
void hvals(Context&);
void hstrlen(Context&);

// hash_walks.cc
void hrandfield(Context&);
void hscan(Context&);

// hash_writes.cc
void hset(Context&);
void hmset(Context&);
void hsetnx(Context&);
void hdel(Context&);
void hincrby(Context&);
void hincrbyfloat(Context&);

// transactions.cc
void multi(Context&);
void exec(Context&);
void discard(Context&);
void watch(Context&);
void unwatch(Context&);

// guards.cc
void freshet_guard(Context&);
void freshet_reload(Context&);
void freshet_unguard(Context&);

// keys.cc
void del(Context&);
void exists(Context&);
void type(Context&);
void scan(Context&);
void keys(Context&);
void dbsize(Context&);
void flush_refused(Context&);

// expiry.cc
void expire(Context&);
void pexpire(Context&);
void expireat(Context&);
void pexpireat(Context&);
void ttl(Context&);
void pttl(Context&);
void expiretime(Context&);
void pexpiretime(Context&);
void persist(Context&);

// freshness.cc
void freshet_get(Context&);
void freshet_with(Context&);
void freshet_level(Context&);
void freshet_token(Context&);
void freshet_wait(Context&);

// record.cc
void freshet_record(Context&);

// freshet.cc
void freshet_set(Context&);
void freshet_evict(Context&);
void freshet_explain(Context&);
void freshet_stats(Context&);

}  // namespace freshet::server::handlers
