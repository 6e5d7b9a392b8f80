// What is not offered: Redis's own error, and what to use instead of well-known commands.
#include "server/commands/table.h"

namespace freshet::server {
namespace {

// Redis shows so much of the name, and of the arguments.
constexpr std::size_t kShownBytes = 128;

struct Advice {
  std::string_view words;  // Commands, each between blanks.
  std::string_view text;
};

constexpr Advice kAdvice[] = {
    {" eval evalsha eval_ro evalsha_ro script fcall fcall_ro function ",
     "scripts are not offered: use INCRBY, APPEND, SET with NX, XX or GET, or FRESHET.SET key value VERSION n in a loop"},
    {" psubscribe punsubscribe ssubscribe sunsubscribe publish spublish pubsub ",
     "publish and subscribe are not offered: use the database's own notifications, or a message broker"},
    {" monitor ",
     "not offered: FRESHET.RECORD tells which keys are accessed, hashed, and freshet record writes that down as a trace"},
    {" lpush rpush lpop rpop lrange llen lindex linsert lrem lset ltrim lpushx rpushx lmove blmove blpop brpop "
     "rpoplpush brpoplpush lpos lmpop blmpop hscan hrandfield sadd srem smembers sismember smismember scard spop "
     "srandmember sinter sinterstore sintercard sunion sunionstore sdiff sdiffstore smove sscan zadd zrem zrange "
     "zrangestore zrangebyscore zrangebylex zrevrange zrevrangebyscore zrevrangebylex zrank zrevrank zscore zmscore zcard "
     "zcount zlexcount zincrby zpopmin zpopmax bzpopmin bzpopmax zmpop bzmpop zremrangebyrank zremrangebyscore "
     "zremrangebylex zunion zunionstore zinter zinterstore zintercard zdiff zdiffstore zscan zrandmember xadd "
     "xread xreadgroup xrange xrevrange xlen xdel xtrim xgroup xack xinfo xclaim xautoclaim xpending geoadd geopos "
     "geodist georadius geosearch pfadd pfcount pfmerge ",
     "values are strings, or rows of tables: store the structure serialised in one string, or keep it in the database's own "
     "tables"},
    {" setbit getbit bitcount bitpos bitop bitfield bitfield_ro ",
     "bit commands are not offered: use SETRANGE and GETRANGE, or FRESHET.SET key value VERSION n"},
    {" rename renamenx copy move swapdb restore dump migrate sort sort_ro object randomkey ",
     "not offered: read the key with FRESHET.GET, write it with FRESHET.SET, and DEL the old one; SCAN walks over the keys"},
    {" save bgsave bgrewriteaof lastsave replicaof slaveof psync sync failover wait waitaof ",
     "the database behind Freshet keeps and replicates the data: use its own tools"},
    {" cluster readonly readwrite asking ", "this node serves every slot by itself"},
    {" acl ", "there is one user, default, with one password: use AUTH"},
    {" shutdown debug slowlog latency memory module role lolwut ",
     "not offered: see INFO, FRESHET.STATS and the metrics; stop the server by a signal"},
    {" lcs ", "not offered: GET both values and compare them in the client"},
};

}  // namespace

std::string unknown_command_text(std::span<const std::string_view> args) {
  std::string text = "unknown command '" + std::string(args[0].substr(0, kShownBytes)) + "', with args beginning with: ";
  std::size_t shown = 0;
  for (const auto arg : args.subspan(1)) {
    if (shown >= kShownBytes) break;
    const std::string part = "'" + std::string(arg.substr(0, kShownBytes - shown)) + "' ";
    shown += part.size();
    text += part;
  }
  const std::string word = " " + to_lower(args[0].substr(0, kShownBytes)) + " ";
  for (const auto& advice : kAdvice) {
    if (word.find(' ', 1) == word.size() - 1 && advice.words.find(word) != advice.words.npos) {
      return text + "- " + std::string(advice.text);
    }
  }
  return text;
}

}  // namespace freshet::server
