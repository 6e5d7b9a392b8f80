// The record codec: round trips, order of keys, and damage that must be seen.
#include "storage/embedded/record.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

namespace freshet::storage::embedded {
namespace {

KeyState sample(bool present, std::string value, std::int64_t expires_at_ms) {
  return {present, std::move(value), 0x0102030405060708, base::UniqueId{1, 2}, expires_at_ms};
}

RC_GTEST_PROP(Record, every_state_survives_its_encoding, (std::string value, bool present, std::int64_t expires_at_ms)) {
  KeyState state = present ? sample(true, value, expires_at_ms) : sample(false, "", 0);
  state.version = *rc::gen::inRange<Version>(1, UINT64_MAX);
  if (present && *rc::gen::arbitrary<bool>()) state.kind = ValueKind::hash;
  state.operation = {*rc::gen::arbitrary<std::uint64_t>(), *rc::gen::arbitrary<std::uint64_t>()};
  const auto decoded = decode_record(encode_record(state));
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(decoded->present == state.present);
  RC_ASSERT(decoded->value == state.value);
  RC_ASSERT(decoded->version == state.version);
  RC_ASSERT(decoded->operation == state.operation);
  RC_ASSERT(decoded->expires_at_ms == state.expires_at_ms);
  RC_ASSERT(decoded->kind == state.kind);
}

// Whatever the bytes, decoding ends with a state or with `corrupted`; and what is believed is canonical.
RC_GTEST_PROP(Record, arbitrary_bytes_never_crash_the_decoder, ()) {
  auto bytes = *rc::gen::container<std::string>(rc::gen::arbitrary<char>());
  if (*rc::gen::arbitrary<bool>()) bytes = std::string("\1", 1) + static_cast<char>(*rc::gen::inRange(0, 9)) + bytes;
  const auto decoded = decode_record(bytes);
  if (decoded) {
    RC_ASSERT(encode_record(*decoded) == bytes);
  } else {
    RC_ASSERT(decoded.error().code == ErrorCode::corrupted);
  }
}

RC_GTEST_PROP(Record, a_header_cut_off_is_corrupted, (std::string value)) {
  const auto bytes = encode_record(sample(true, value, 12345));
  const auto length = *rc::gen::inRange<std::size_t>(0, kRecordHeaderBytes + 8);
  const auto decoded = decode_record(std::string_view(bytes).substr(0, length));
  RC_ASSERT(!decoded.has_value());
  RC_ASSERT(decoded.error().code == ErrorCode::corrupted);
}

TEST(Record, each_kind_of_damage_is_named) {
  const auto good = encode_record(sample(true, "v", 0));
  const auto said = [](std::string bytes) {
    const auto decoded = decode_record(bytes);
    return decoded ? std::string() : decoded.error().what;
  };
  auto bytes = good;
  bytes[0] = 2;
  EXPECT_NE(said(bytes).find("unknown format 2"), std::string::npos);
  bytes = good;
  bytes[1] = 8;
  EXPECT_NE(said(bytes).find("unknown flags"), std::string::npos);
  bytes = good;
  bytes.replace(2, 8, 8, '\0');
  EXPECT_NE(said(bytes).find("version is 0"), std::string::npos);
  bytes = good;
  bytes[1] = 1;
  EXPECT_NE(said(bytes).find("tombstone carries data"), std::string::npos);
  bytes = good.substr(0, kRecordHeaderBytes);
  bytes[1] = 5;
  EXPECT_NE(said(bytes).find("tombstone carries data"), std::string::npos) << "a kind is data, too";
  EXPECT_NE(said("").find("empty"), std::string::npos);
}

TEST(Record, the_layout_is_the_documented_one) {
  const auto bytes = encode_record(sample(true, "v", 0x1112131415161718));
  EXPECT_EQ(bytes, std::string("\x01\x02\x01\x02\x03\x04\x05\x06\x07\x08", 10) + std::string(7, '\0') + "\x01" +
                       std::string(7, '\0') + "\x02" + "\x11\x12\x13\x14\x15\x16\x17\x18" + "v");
  EXPECT_EQ(encode_record(sample(false, "", 0)).size(), kRecordHeaderBytes);
  auto hash = sample(true, "v", 0);
  const auto string_bytes = encode_record(hash);
  hash.kind = ValueKind::hash;
  const auto hash_bytes = encode_record(hash);
  EXPECT_EQ(string_bytes.substr(0, 2), std::string("\x01\x00", 2));
  EXPECT_EQ(hash_bytes.substr(0, 2), std::string("\x01\x04", 2));
  EXPECT_EQ(hash_bytes.substr(2), string_bytes.substr(2));
}

RC_GTEST_PROP(Record, keys_sort_by_position_and_decode, (std::string left, std::string right)) {
  const auto stored = encode_key(left);
  const auto decoded = decode_key(stored);
  RC_ASSERT(decoded.has_value());
  RC_ASSERT(decoded->key == left);
  RC_ASSERT(decoded->position == position_of(left));
  if (position_of(left) < position_of(right)) RC_ASSERT(stored < encode_key(right));
  RC_ASSERT(encode_position(position_of(left)) <= stored);
  RC_ASSERT(stored < encode_position(position_of(left) + 1));
}

TEST(Record, a_key_at_a_foreign_position_is_corrupted) {
  auto stored = encode_key("k");
  EXPECT_TRUE(decode_key(stored));
  stored[0] = static_cast<char>(stored[0] ^ 1);
  ASSERT_FALSE(decode_key(stored));
  EXPECT_EQ(decode_key(stored).error().code, ErrorCode::corrupted);
  EXPECT_FALSE(decode_key("short"));
}

}  // namespace
}  // namespace freshet::storage::embedded
