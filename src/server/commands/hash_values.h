// Writes of the hash family on keys of the key-value table: a hash is read, changed and written whole, with its key's lock
// held. What the same commands do to rows is hash_writes.cc. May use server.
#pragma once

#include "server/command.h"

namespace freshet::server::hash_values {

void hset(Context&);
void hmset(Context&);
void hsetnx(Context&);
void hdel(Context&);
void hincrby(Context&);
void hincrbyfloat(Context&);

}  // namespace freshet::server::hash_values
