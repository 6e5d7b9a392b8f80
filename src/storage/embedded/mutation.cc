// Mutations on one key's state, as storage.h defines them.
#include "storage/embedded/mutation.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>

namespace freshet::storage::embedded {
namespace {

bool is_due(const KeyState& state, std::int64_t now_ms) {
  return state.present && state.expires_at_ms != 0 && state.expires_at_ms <= now_ms;
}

bool is_live(const KeyState& state, std::int64_t now_ms) { return state.present && !is_due(state, now_ms); }

bool condition_holds(const Mutation& mutation, const KeyState& current, bool live) {
  switch (mutation.condition) {
    case Condition::none: return true;
    case Condition::if_absent: return !live;
    case Condition::if_present: return live;
    case Condition::if_version: return mutation.version == 0 ? !live : live && current.version == mutation.version;
  }
  return false;
}

// A deadline is stored as a positive number, since 0 means "never": one at or before 1970 has passed in any case.
std::int64_t deadline_of(const Expiry& expiry, const KeyState& current, bool live, std::int64_t now_ms) {
  constexpr std::int64_t kEarliest = 1;
  switch (expiry.mode) {
    case Expiry::Mode::keep: return live ? current.expires_at_ms : 0;
    case Expiry::Mode::clear: return 0;
    case Expiry::Mode::at: return std::max(kEarliest, expiry.ms);
    case Expiry::Mode::after: {
      std::int64_t sum = 0;
      if (__builtin_add_overflow(now_ms, expiry.ms, &sum)) {
        sum = expiry.ms > 0 ? std::numeric_limits<std::int64_t>::max() : kEarliest;
      }
      return std::max(kEarliest, sum);
    }
  }
  return 0;
}

Result<std::string> incremented(const Mutation& mutation, const KeyState& current, bool live) {
  const auto start = live ? parse_integer(current.value) : std::optional<std::int64_t>(0);
  if (!start) {
    return Error::of(ErrorCode::wrong_type, "increment: the value is not an integer of 64 bits",
                     "Increment only keys whose value is a decimal integer.");
  }
  std::int64_t sum = 0;
  if (__builtin_add_overflow(*start, mutation.delta, &sum)) {
    return Error::of(ErrorCode::out_of_range, "increment: the result would leave the range of 64 bits");
  }
  return std::to_string(sum);
}

Result<std::string> appended(const Mutation& mutation, const KeyState& current, bool live) {
  const std::size_t start_bytes = live ? current.value.size() : 0;
  if (mutation.value.size() > kValueBytesMax - std::min(start_bytes, kValueBytesMax)) {
    return Error::of(ErrorCode::out_of_range,
                     "append: the value would be longer than " + std::to_string(kValueBytesMax) + " bytes");
  }
  std::string value;
  value.reserve(start_bytes + mutation.value.size());
  if (live) value = current.value;
  return value += mutation.value;
}

// The mutation is for strings, and what stands there is none.
bool meets_another_kind(const Mutation& mutation, const KeyState& current, bool live) {
  const bool for_strings = mutation.kind == MutationKind::increment || mutation.kind == MutationKind::append;
  return live && current.kind != ValueKind::string && (for_strings || mutation.want_before);
}

KeyState tombstone(OperationId operation) {
  KeyState state;
  state.operation = operation;
  return state;
}

}  // namespace

Result<Effect> effect_of(const Mutation& mutation, const KeyState& current, OperationId operation, std::int64_t now_ms) {
  const bool live = is_live(current, now_ms);
  if (meets_another_kind(mutation, current, live)) return wrong_kind();
  const auto unchanged = [&] { return Effect{false, current}; };
  if (!condition_holds(mutation, current, live)) return unchanged();
  Result<std::string> value = std::string();
  ValueKind value_kind = ValueKind::string;
  switch (mutation.kind) {
    case MutationKind::erase: return Effect{true, tombstone(operation)};
    case MutationKind::expire:
      return is_due(current, now_ms) ? Effect{true, tombstone(operation)} : unchanged();
    case MutationKind::put:
      value = mutation.value;
      value_kind = mutation.value_kind;
      break;
    case MutationKind::increment: value = incremented(mutation, current, live); break;
    case MutationKind::append: value = appended(mutation, current, live); break;
    case MutationKind::change:
      return Error::of(ErrorCode::wrong_type, "the embedded storage has no rows", "set the key to a value");
    case MutationKind::touch:
      if (!live) return unchanged();
      value = current.value;
      value_kind = current.kind;
      break;
  }
  if (!value) return std::move(value).error();
  const auto expires_at_ms = deadline_of(mutation.expiry, current, live, now_ms);
  return Effect{true, KeyState{true, *std::move(value), 0, operation, expires_at_ms, value_kind}};
}

bool needs_state(const Mutation& mutation) {
  if (mutation.condition != Condition::none || mutation.want_before) return true;
  if (mutation.kind == MutationKind::erase) return false;
  return mutation.kind != MutationKind::put || mutation.expiry.mode == Expiry::Mode::keep;
}

KeyState as_seen(const KeyState& state, std::int64_t now_ms) {
  if (!is_due(state, now_ms)) return state;
  return KeyState{false, {}, state.version, state.operation, 0};
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  if (text == "0") return 0;
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.empty() || digits[0] < '1' || digits[0] > '9') return std::nullopt;
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace freshet::storage::embedded
