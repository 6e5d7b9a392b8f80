// Stable functions of PostgreSQL's that queries may call all the same: what they give depends on their arguments and on
// settings that are the same in every session that fills (output_settings_sql(): time zone, styles, lc_*), so that the same
// rows give the same result. Nothing here asks for the time, the user, a sequence, a file or another row.
#pragma once

#include <array>
#include <string_view>

namespace freshet::storage::postgres::analysis {

// As to_regprocedure() takes them; what a server does not have, it has not.
inline constexpr auto kSettledFunctions = std::to_array<std::string_view>({
    // They write their arguments as texts. Whether these texts are settled, their types say: see statements::kTexts.
    "concat(\"any\")", "concat_ws(text, \"any\")", "format(text)", "format(text, \"any\")", "textanycat(text, anynonarray)",
    "anytextcat(anynonarray, text)", "quote_literal(anyelement)", "quote_nullable(anyelement)",
    "array_to_string(anyarray, text)", "array_to_string(anyarray, text, text)",
    // The same as JSON; a cast from the type to json, which they use, must be immutable.
    "to_json(anyelement)", "to_jsonb(anyelement)", "row_to_json(record)", "row_to_json(record, boolean)",
    "array_to_json(anyarray)", "array_to_json(anyarray, boolean)", "json_build_array()", "json_build_array(\"any\")",
    "json_build_object()", "json_build_object(\"any\")", "jsonb_build_array()", "jsonb_build_array(\"any\")",
    "jsonb_build_object()", "jsonb_build_object(\"any\")", "json_agg(anyelement)", "jsonb_agg(anyelement)",
    "json_agg_strict(anyelement)", "jsonb_agg_strict(anyelement)", "json_object_agg(\"any\", \"any\")",
    "jsonb_object_agg(\"any\", \"any\")",
    // By lc_time, lc_numeric, lc_monetary and the time zone.
    "to_char(timestamp with time zone, text)", "to_char(timestamp without time zone, text)", "to_char(interval, text)",
    "to_char(numeric, text)", "to_char(integer, text)", "to_char(bigint, text)", "to_char(real, text)",
    "to_char(double precision, text)",
    // By the time zone. (age() of one argument asks for the date, and a text that becomes a time may be 'now'.)
    "date_trunc(text, timestamptz)", "date_trunc(text, timestamptz, text)", "date_part(text, timestamptz)",
    "extract(text, timestamptz)", "timestamptz(timestamp)", "timestamptz(date)", "timestamptz(date, time)",
    "timestamp(timestamptz)", "date(timestamptz)", "time(timestamptz)", "timetz(timestamptz)",
    "timestamptz_pl_interval(timestamptz, interval)", "timestamptz_mi_interval(timestamptz, interval)",
    "interval_pl_timestamptz(interval, timestamptz)", "generate_series(timestamptz, timestamptz, interval)",
    "make_timestamptz(integer, integer, integer, integer, integer, double precision)",
    "timestamptz_lt_timestamp(timestamptz, timestamp)", "timestamptz_le_timestamp(timestamptz, timestamp)",
    "timestamptz_eq_timestamp(timestamptz, timestamp)", "timestamptz_ne_timestamp(timestamptz, timestamp)",
    "timestamptz_ge_timestamp(timestamptz, timestamp)", "timestamptz_gt_timestamp(timestamptz, timestamp)",
    "timestamp_lt_timestamptz(timestamp, timestamptz)", "timestamp_le_timestamptz(timestamp, timestamptz)",
    "timestamp_eq_timestamptz(timestamp, timestamptz)", "timestamp_ne_timestamptz(timestamp, timestamptz)",
    "timestamp_ge_timestamptz(timestamp, timestamptz)", "timestamp_gt_timestamptz(timestamp, timestamptz)",
    "timestamptz_lt_date(timestamptz, date)", "timestamptz_le_date(timestamptz, date)",
    "timestamptz_eq_date(timestamptz, date)", "timestamptz_ne_date(timestamptz, date)",
    "timestamptz_ge_date(timestamptz, date)", "timestamptz_gt_date(timestamptz, date)",
    "date_lt_timestamptz(date, timestamptz)", "date_le_timestamptz(date, timestamptz)",
    "date_eq_timestamptz(date, timestamptz)", "date_ne_timestamptz(date, timestamptz)",
    "date_ge_timestamptz(date, timestamptz)", "date_gt_timestamptz(date, timestamptz)",
});

}  // namespace freshet::storage::postgres::analysis
