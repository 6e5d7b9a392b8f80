#!/bin/sh
# redis-cli and redis-benchmark against Freshet.
#
#   redis_cli.sh HOST PORT
set -eu
host=$1
port=$2
prefix="redis-cli:$$"

cli() { redis-cli -h "$host" -p "$port" "$@"; }

expect() {
  expected=$1
  shift
  found=$(cli "$@" 2>&1)
  if [ "$found" != "$expected" ]; then
    echo "redis-cli $*: found '$found', expected '$expected'" >&2
    exit 1
  fi
}

expect PONG PING
expect OK SET "$prefix:a" "1 2"
expect "1 2" GET "$prefix:a"
expect "" GET "$prefix:absent"
expect 1 INCR "$prefix:n"
expect "string" TYPE "$prefix:a"
expect "3" -3 STRLEN "$prefix:a"
cli EVAL x 0 | grep -q 'scripts are not offered'
cli LPUSH "$prefix:l" x | grep -q 'unknown command'
cli -3 HELLO 3 | grep -q freshet
cli COMMAND DOCS get | grep -q summary
cli INFO server | grep -q redis_version
cli --scan --pattern "$prefix:*" | sort | tr '\n' ' ' | grep -q "^$prefix:a $prefix:n $"
printf 'SET %s:pipe x\r\nGET %s:pipe\r\n' "$prefix" "$prefix" | cli --pipe | grep -q 'errors: 0, replies: 2'
expect 3 DEL "$prefix:a" "$prefix:n" "$prefix:pipe"
echo "ok redis-cli"

# Every test that redis-benchmark has for what is offered; it stops at the first error reply.
redis-benchmark -h "$host" -p "$port" -n 2000 -c 20 -q -t ping_inline,ping_mbulk,set,get,incr,mset
redis-benchmark -h "$host" -p "$port" -n 20000 -c 20 -P 64 -q -t get
redis-benchmark -h "$host" -p "$port" -n 2000 -c 20 -q -d 100000 -t get,set
redis-benchmark -h "$host" -p "$port" -n 2000 -c 20 -q -3 -t get
echo "ok redis-benchmark"
