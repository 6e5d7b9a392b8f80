// docs/CONFIGURATION.md, written from the table of settings. A test compares the two.
#include <fmt/format.h>

#include "base/config_schema.h"

namespace freshet::base {
namespace {

constexpr std::string_view kOpening = R"(# Configuration

<!-- Printed by `freshet config reference` from the table in src/base/config_schema.cc; a test compares. Do not edit. -->

`freshet serve` reads a TOML file if one is named with `--config FILE`; flags stand over the file. `freshet serve
--check-config` reads both, says what is wrong (file, line, what was expected, the nearest valid name) and stops;
if all is well it prints the result.

- A size is a number and `KiB`, `MiB`, `GiB` (or `kB`, `MB`, `GB`), a duration a number and `ms`, `s`, `min` (or `us`, `h`).
- What is marked *at run time* can also be changed by `CONFIG SET` while the server runs; `CONFIG GET *` shows everything
  but the secrets.

```toml
# A whole file. Every setting may be left out.
[server]
listen = "0.0.0.0:6380"
password = "a long one"

[storage]
url = "postgres://freshet@db.internal/shop?sslmode=verify-full"

[cache]
memory = "4GiB"

[[collection]]
name = "users"
table = "app.users"
```
)";

constexpr std::string_view kCollections = R"(
## [[collection]]

A prefix of keys, and what stands behind it in PostgreSQL. One `[[collection]]` for each; in the file only, and read at the
next start. Anybody may write to the tables of observed collections, and clients of Freshet read them; guarded ones are
written by clients of Freshet, and hits on them cost nothing but a look into memory (docs/WRITING-ROWS.md).

```toml
[[collection]]
name = "users"               # users:42 is the row whose primary key is 42.
table = "app.users"

[[collection]]
name = "profiles"            # Some of the columns, under other names.
table = "app.users"
columns = { id = "id", full_name = "name" }
read_level = "bounded 50ms"

[[collection]]
name = "orders-by-customer"  # orders-by-customer:17 is the result for $1 = 17.
query = "SELECT id, total FROM app.orders WHERE customer_id = $1 ORDER BY id"

[[collection]]
name = "accounts"            # HSET accounts:7 balance 100 is an UPDATE, or an INSERT.
table = "app.accounts"
writes = "guarded"
```

- `name`: letters, digits, `_`, `.` and `-`; no two are the same, and `kv` is the key-value table's. A key belongs to the
  collection whose name stands before its first `:`.
- `table`: a table, as SQL writes its name. The rest of the key is its primary key; the parts of a composite one are
  joined by `:`, and inside of them `\` stands before `:` and `\`.
- `columns`: which of the table's columns to show, as an array of names, or as a table of column = "name for clients".
  Default: all of them, under their own names.
- `query`: instead of a table, one SELECT with parameters $1, $2, …, which are the parts of the key.
- `depends_on`: declares what the catalog cannot show about a query: an array of tables on which the result depends, beside
  those that it names. With it, even as `[]`, functions that are not immutable, row-level security and views that cannot be
  looked through are your word; without it such a query is refused.
- `read_level`: what a read of the collection promises when its command and its connection do not say: `"linearizable"`,
  `"bounded 50ms"` (any duration from 1ms to 24h) or `"any"`. Default: `"linearizable"`.
- `writes`: `"observed"`: anybody writes to the table with SQL, and Freshet follows its change stream; `"guarded"`: every
  write goes through Freshet, which seals the table, so that it refuses all others. Default: `"observed"`.
- `exclusive_writer`: guarded: `true`: the table is not sealed; it is your word that nobody but Freshet writes to it.
  Default: `false`.
- `follow`: guarded: `true`: the table's change stream is watched as well (`wal_level = logical`, and one replication slot
  more). A write that got past Freshet is logged and counted, and what it touched is dropped from memory. Default: `false`.
- `version_column`: guarded: a column of type bigint, which a sealed table draws anew with every change. Compare-and-set
  needs it, and it makes more of the lost answers of writes known. Default: none; rows are compared.
- `expires_column`: guarded: a column of type timestamp with time zone, at which the row expires. EXPIRE and its kin need it.
  Default: none.
)";

std::string entry(const Config& defaults, const Setting& setting) {
  const std::string text = text_of(defaults, setting);
  return fmt::format("\n### `{}` · `--{}`\n\n{}\n\n- Takes {}.\n- Default: {}. Changes {}.\n", setting.key, setting.flag,
                     setting.meaning, expectation_of(setting), text.empty() ? "empty" : fmt::format("`{}`", text),
                     setting.changeable == Changeable::at_run_time ? "*at run time*" : "at the next start");
}

}  // namespace

std::string config_reference() {
  std::string page(kOpening);
  const Config defaults;
  std::string_view section;
  for (const Setting& setting : settings()) {
    if (setting.section() != section) {
      section = setting.section();
      page += fmt::format("\n## [{}]\n", section);
    }
    page += entry(defaults, setting);
  }
  page += kCollections;
  return page;
}

}  // namespace freshet::base
