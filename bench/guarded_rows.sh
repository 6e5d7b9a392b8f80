#!/bin/bash
# Runs guarded_rows_bench against a PostgreSQL and a `freshet serve` of its own; both end with it.
#
#   bench/guarded_rows.sh BUILD_DIRECTORY [clients [seconds [rounds [pair]]]]
set -euo pipefail

readonly HERE="$(cd "$(dirname "$0")/.." && pwd)"
readonly BUILD="${1:?usage: bench/guarded_rows.sh BUILD_DIRECTORY [clients [seconds [rounds [pair]]]]}"
shift
readonly PORT="${FRESHET_BENCH_PORT:-17391}"
work="$(mktemp -d)"
server=
stop() {
  [ -z "$server" ] || kill "$server" 2>/dev/null || true
  [ -z "$server" ] || wait "$server" 2>/dev/null || true
  "$HERE/tools/temporary-postgres" stop "$work/postgres" || true
  rm -rf "$work"
}
trap stop EXIT
chmod 755 "$work"
url="$("$HERE/tools/temporary-postgres" start "$work/postgres" --with $$ max_connections=400 shared_buffers=256MB)"
psql -q -v ON_ERROR_STOP=1 "$url" <<'SQL'
CREATE TABLE users (id integer PRIMARY KEY, name text NOT NULL, email text, visits integer NOT NULL DEFAULT 0);
INSERT INTO users SELECT i, 'user ' || i, 'user' || i || '@example.org' FROM generate_series(1, 10000) i;
CREATE TABLE plain_users (LIKE users INCLUDING ALL);
INSERT INTO plain_users SELECT * FROM users;
VACUUM ANALYZE users, plain_users;
SQL
cat > "$work/freshet.toml" <<TOML
[server]
listen = "127.0.0.1:$PORT"
[storage]
url = "$url"
[[collection]]
name = "users"
table = "users"
writes = "guarded"
TOML
"$BUILD/freshet" serve --config "$work/freshet.toml" > "$work/log" 2>&1 &
server=$!
postmaster="$(head -1 "$work/postgres/data/postmaster.pid")"
"$BUILD/bench/guarded_rows_bench" "$url" "127.0.0.1:$PORT" "$server" "$postmaster" "$@" || { cat "$work/log" >&2; exit 1; }
