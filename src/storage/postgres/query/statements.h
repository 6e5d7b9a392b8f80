// The statements by which a query is analysed: see query_analysis.h. Their columns are read by place. Internal.
#pragma once

#include <fmt/format.h>

#include <string>

#include "storage/postgres/catalog/dark_partition.h"

namespace freshet::storage::postgres::statements {

inline constexpr const char* kBegin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

// $1: oids of types. How a function's parameters are declared.
inline constexpr const char* kTypeNames = R"(
SELECT coalesce(string_agg(format_type(p.type, NULL), ', ' ORDER BY p.place), '')
FROM unnest($1::oid[]) WITH ORDINALITY AS p(type, place))";

inline constexpr const char* kTree = R"(
SELECT p.prosqlbody::text FROM pg_proc p
WHERE p.pronamespace = pg_my_temp_schema() AND p.proname = 'freshet_query')";

// $1: names as SQL writes them.
inline constexpr const char* kNames = R"(
SELECT n.name, coalesce(to_regclass(n.name)::oid, 0) FROM unnest($1::text[]) WITH ORDINALITY AS n(name, place)
ORDER BY n.place)";

// $1: oids.
inline std::string relations_sql() {
  return fmt::format(R"(
SELECT c.oid, format('%I.%I', n.nspname, c.relname), c.relkind, c.relrowsecurity, c.relpersistence = 'p', c.oid < 16384,
       coalesce(CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::oid END, 0),
       (SELECT coalesce(string_agg(i.inhrelid::text, ' '), '') FROM pg_inherits i
         WHERE i.inhparent = c.oid AND c.relkind = 'r'),
       coalesce((SELECT r.ev_action::text FROM pg_rewrite r
                  WHERE r.ev_class = c.oid AND r.rulename = '_RETURN' AND c.relkind = 'v'), ''), {}
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = ANY ($1::oid[]) ORDER BY c.oid)", kDarkPartitionSql);
}

// $1: functions, $2: operators, $3: types whose input functions are called. $4: functions that may
// do so, by name. Those that depend on more than their arguments; of an aggregate the functions that it is made of.
inline constexpr const char* kNotImmutable = R"(
SELECT p.oid::regprocedure::text FROM pg_proc p
WHERE p.provolatile <> 'i'
  AND (p.oid = ANY ($1::oid[])
       OR p.oid IN (SELECT o.oprcode FROM pg_operator o WHERE o.oid = ANY ($2::oid[]))
       OR p.oid IN (SELECT t.typinput FROM pg_type t WHERE t.oid = ANY ($3::oid[]))
       OR p.oid IN (SELECT unnest(ARRAY[g.aggtransfn, g.aggfinalfn, g.aggmtransfn, g.aggminvtransfn, g.aggmfinalfn]::oid[])
                      FROM pg_aggregate g WHERE g.aggfnoid = ANY ($1::oid[]) AND g.aggfnoid::oid >= 16384))
  AND NOT EXISTS (SELECT FROM unnest($4::text[]) AS s(name) WHERE to_regprocedure('pg_catalog.' || s.name) = p.oid)
ORDER BY 1)";

// $1: types that are written as texts, $2: types that are if one of the $3: functions is one of $4: those that depend on
// settings. These types, and those that they are made of: whether its text depends on more than the value (names of things,
// which change; a type's own functions that are not immutable), and what can change the text: an enum, a composite type.
inline constexpr const char* kTexts = R"(
WITH RECURSIVE written(type) AS (
  SELECT unnest($1::oid[] || CASE WHEN EXISTS (SELECT FROM unnest($4::text[]) AS s(name)
    WHERE to_regprocedure('pg_catalog.' || s.name)::oid = ANY ($3::oid[])) THEN $2::oid[] ELSE '{}' END)
  UNION
  SELECT part.type FROM written w JOIN pg_type t ON t.oid = w.type CROSS JOIN LATERAL (
    SELECT t.typbasetype WHERE t.typtype = 'd'
    UNION ALL SELECT t.typelem WHERE t.typelem <> 0
    UNION ALL SELECT a.atttypid FROM pg_attribute a
      WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL SELECT r.rngsubtype FROM pg_range r WHERE t.oid IN (r.rngtypid, r.rngmultitypid)) AS part(type))
SELECT format_type(t.oid, NULL),
  t.oid = ANY ('{regproc,regprocedure,regoper,regoperator,regclass,regtype,regconfig,regdictionary,regnamespace,regrole,
                 regcollation,aclitem}'::regtype[]::oid[])
  OR (t.oid >= 16384 AND t.typtype = 'b' AND t.typcategory <> 'A'
      AND EXISTS (SELECT FROM pg_proc p WHERE p.oid = t.typoutput AND p.provolatile <> 'i'))
  OR (t.oid >= 16384 AND EXISTS (SELECT FROM pg_cast k JOIN pg_proc p ON p.oid = k.castfunc
      WHERE k.castsource = t.oid AND k.casttarget = 'json'::regtype AND p.provolatile <> 'i')),
  CASE WHEN t.typtype = 'e' THEN t.oid ELSE 0 END, CASE WHEN t.typtype = 'c' THEN t.typrelid ELSE 0 END
FROM written w JOIN pg_type t ON t.oid = w.type ORDER BY t.oid)";

// $1: tables, $2: attributes, $3: operators, $4: types, $5: collations. For each: the column, whether the stream carries it,
// whether the operator is the type's equality and tells different texts apart, and the type's kind.
inline constexpr const char* kEquality = R"(
SELECT a.attname, a.attgenerated = '',
       EXISTS (SELECT FROM pg_opclass c JOIN pg_am m ON m.oid = c.opcmethod AND m.amname = 'btree'
               JOIN pg_amop o ON o.amopfamily = c.opcfamily AND o.amopstrategy = 3
                AND o.amoplefttype = c.opcintype AND o.amoprighttype = c.opcintype
               WHERE c.opcdefault AND o.amopopr = e.operation
                 AND c.opcintype = CASE t.typtype WHEN 'e' THEN 'anyenum'::regtype::oid ELSE t.oid END),
       coalesce((SELECT l.collisdeterministic FROM pg_collation l WHERE l.oid = e.collation_oid), true), t.typtype
FROM unnest($1::oid[], $2::int2[], $3::oid[], $4::oid[], $5::oid[])
       WITH ORDINALITY AS e(relation, attribute, operation, type, collation_oid, place)
JOIN pg_attribute a ON a.attrelid = e.relation AND a.attnum = e.attribute
JOIN pg_type t ON t.oid = e.type
ORDER BY e.place)";

// $1: tables, $2: columns that old images must have. For each table without partitions and each leaf: whether old images are
// sent at all, and which of the columns they lack. (A deferrable primary key is no replica identity.)
inline constexpr const char* kIdentities = R"(
SELECT format('%I.%I', n.nspname, c.relname), c.relreplident = 'f' OR i.indexrelid IS NOT NULL,
       (SELECT coalesce(string_agg(quote_ident(w.name), ', '), '') FROM unnest($2::text[]) AS w(name)
         WHERE c.relreplident <> 'f' AND NOT EXISTS (
           SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = w.name
              AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])))
FROM (SELECT coalesce(l.relid::oid, t.oid) AS leaf
        FROM unnest($1::oid[]) AS t(oid)
        LEFT JOIN LATERAL pg_partition_tree(t.oid) l ON true
       WHERE l.relid IS NULL OR l.isleaf) AS x
JOIN pg_class c ON c.oid = x.leaf AND c.relkind = 'r'
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indimmediate AND i.indisvalid
  AND CASE c.relreplident WHEN 'd' THEN i.indisprimary WHEN 'i' THEN i.indisreplident ELSE false END
ORDER BY 1)";

inline constexpr const char* kRollback = "ROLLBACK";

}  // namespace freshet::storage::postgres::statements
