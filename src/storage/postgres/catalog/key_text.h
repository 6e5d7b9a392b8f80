// The canonical text of key parts: which column types may make a key, and how their texts are brought to one form. Two equal
// values of such a type have one canonical text. May use libpq's Oid.
#pragma once

#include <libpq-fe.h>

#include <cstdint>
#include <optional>
#include <string_view>

namespace freshet::storage::postgres {

// What is left to do after the type's output function.
enum class KeyForm : std::uint8_t {
  as_is,
  trim_scale,      // numeric without a scale: 1.50 equals 1.5.
  positive_zero,   // float4, float8: -0 equals 0.
  trim_blanks,     // bpchar without a length: 'a ' equals 'a'.
};

// A type by its base type (below domains), that one's modifier, and pg_type.typtype. Nullopt: its values have several texts,
// or it is not known here.
std::optional<KeyForm> key_form_of(Oid base_type, std::int32_t modifier, char base_kind);

// The canonical text, of what the output function wrote.
std::string_view canonical(KeyForm form, std::string_view text);
// Whether `text` surely is the canonical spelling of a value. False: the server must say.
bool is_plainly_canonical(Oid base_type, std::string_view text);
// Whether values of the type have the same text in every session, whatever its settings are.
bool has_one_text(Oid plain_type);

}  // namespace freshet::storage::postgres
