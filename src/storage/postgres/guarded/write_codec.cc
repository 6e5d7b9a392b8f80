// Encoding of writes. The commonest one, an unconditional put, has a function of its own in schema freshet.
#include "storage/postgres/guarded/write_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <unordered_set>

#include "storage/postgres/statements.h"

namespace freshet::storage::postgres {
namespace {

enum Outcome : std::int32_t { kApplied = 0, kNotApplied = 1, kNoInteger = 2, kOutOfRange = 3, kWrongKind = 4 };

// What a put holds beside its key and value: numbers, tokens and the call itself.
constexpr std::size_t kPutOverheadBytes = 256;

std::int64_t signed_of(std::uint64_t value) { return static_cast<std::int64_t>(value); }

bool is_plain_put(const Mutation& mutation) {
  return mutation.kind == MutationKind::put && mutation.condition == Condition::none && !mutation.want_before &&
         mutation.value_kind == ValueKind::string && mutation.key.size() <= kPlainKeyBytesMax &&
         mutation.expiry.mode != Expiry::Mode::keep;
}

bool is_plain_put(const WriteRequest& request) {
  return request.mutations.size() == 1 && is_plain_put(request.mutations.front());
}

// The parameters that freshet.put and freshet.put_for share.
void add_put(WriteCall& call, const PostgresOptions& options) {
  const auto& mutation = call.request.mutations.front();
  call.parameters = {};
  add_lock_class(call.parameters, options);
  call.parameters.add(options.fleet)
      .add(encoded(std::int32_t{base::slot_of(mutation.key)}))
      .add(encoded(mutation.token))
      .add(mutation.key)
      .add(encoded(signed_of(position_of(mutation.key))))
      .add(mutation.value)
      .add(encoded(call.request.operation));
}

template <typename Element>
std::string array_of(Oid element, const std::vector<Mutation>& mutations, Element get) {
  ArrayBuilder array(element);
  for (const auto& mutation : mutations) array.add(get(mutation));
  return array.take();
}

void encode_put_for(WriteCall& call, const PostgresOptions& options) {
  call.statement = &statements::kPutFor;
  add_put(call, options);
  call.parameters.add(encoded(expiry_ms_of(call.request.mutations.front().expiry)));
}

// Columns: present, value, version, operation, expires.
KeyState state_at(const PGresult* rows, int row, int column) {
  KeyState state;
  state.present = bool_at(rows, row, column);
  if (state.present) state.value = bytes_at(rows, row, column + 1);
  if (!is_null(rows, row, column + 2)) state.version = static_cast<Version>(int8_at(rows, row, column + 2));
  if (!is_null(rows, row, column + 3)) state.operation = uuid_at(rows, row, column + 3);
  if (!is_null(rows, row, column + 4)) state.expires_at_ms = int8_at(rows, row, column + 4);
  return state;
}

Result<MutationOutcome> outcome_at(const Mutation& mutation, const PGresult* rows, int row) {
  const auto outcome = int4_at(rows, row, 1);
  if (outcome == kWrongKind) return wrong_kind();
  if (outcome == kNoInteger) {
    return Error::of(ErrorCode::wrong_type, "the stored value is no 64-bit decimal integer", "Set the key to one first.");
  }
  if (outcome == kOutOfRange) {
    return Error::of(ErrorCode::out_of_range, mutation.kind == MutationKind::append
                                                  ? "the value would grow past its limit"
                                                  : "the sum would leave the range of a 64-bit integer");
  }
  MutationOutcome result;
  result.applied = outcome == kApplied;
  result.after = state_at(rows, row, 2);
  if (result.after.present) result.after.kind = static_cast<ValueKind>(int4_at(rows, row, 12));
  if (result.applied && mutation.kind == MutationKind::put) result.after.value = mutation.value;
  if (mutation.want_before) result.before = state_at(rows, row, 7);
  return result;
}

}  // namespace

// 0 would mean "never" to readers: the earliest deadline is the first millisecond.
std::int64_t expiry_ms_of(const Expiry& expiry) {
  return expiry.mode == Expiry::Mode::at ? std::max<std::int64_t>(expiry.ms, 1) : expiry.ms;
}

void add_lock_class(Parameters& parameters, const PostgresOptions& options) {
  if (options.dialect == GuardDialect::advisory) {
    parameters.add(encoded(options.advisory_lock_class));
  } else {
    parameters.add_null();
  }
}

Parameters encode_batch(const WriteRequest& request, const PostgresOptions& options) {
  const auto& all = request.mutations;
  Parameters parameters;
  const auto int4s = [&](auto get) {
    return array_of(oid::kInt4, all, [&](const Mutation& m) { return encoded(static_cast<std::int32_t>(get(m))); });
  };
  const auto int8s = [&](auto get) {
    return array_of(oid::kInt8, all, [&](const Mutation& m) { return encoded(static_cast<std::int64_t>(get(m))); });
  };
  add_lock_class(parameters, options);
  parameters.add(options.fleet)
      .add(encoded(request.all_or_nothing))
      .add(encoded(request.operation))
      .add(int4s([](const Mutation& m) { return base::slot_of(m.key); }))
      .add(array_of(oid::kUuid, all, [](const Mutation& m) { return encoded(m.token); }))
      .add(int4s([](const Mutation& m) { return m.kind; }))
      .add(array_of(oid::kBytea, all, [](const Mutation& m) { return std::string_view(m.key); }))
      .add(int8s([](const Mutation& m) { return position_of(m.key); }))
      .add(array_of(oid::kBytea, all, [](const Mutation& m) { return std::string_view(m.value); }))
      .add(int4s([](const Mutation& m) { return m.value_kind; }))
      .add(int8s([](const Mutation& m) { return m.delta; }))
      .add(int4s([](const Mutation& m) { return m.condition; }))
      .add(int8s([](const Mutation& m) { return m.version; }))
      .add(int4s([](const Mutation& m) { return m.expiry.mode; }))
      .add(int8s([](const Mutation& m) { return expiry_ms_of(m.expiry); }))
      .add(array_of(oid::kBool, all, [](const Mutation& m) { return encoded(m.want_before); }));
  return parameters;
}

std::optional<Error> fault_of(const WriteRequest& request, const std::function<bool(const Mutation&)>& may_repeat) {
  const auto invalid = [](std::string what) { return Error::of(ErrorCode::invalid_argument, std::move(what)); };
  if (request.mutations.empty()) return invalid("a write without a mutation");
  if (request.mutations.size() > kBatchKeysMax) {
    return invalid(fmt::format("a write of {} keys; the limit is {}", request.mutations.size(), kBatchKeysMax));
  }
  std::size_t bytes = 0;
  std::unordered_set<std::string_view> keys;
  for (const auto& mutation : request.mutations) {
    if (mutation.key.size() > kKeyBytesMax) {
      return invalid(fmt::format("a key of {} bytes; the limit is {}", mutation.key.size(), kKeyBytesMax));
    }
    if (mutation.value.size() > kValueBytesMax) {
      return invalid(fmt::format("a value of {} bytes; the limit is {}", mutation.value.size(), kValueBytesMax));
    }
    bytes += mutation.key.size() + mutation.value.size();
    const bool repeated = request.mutations.size() > 1 && !keys.insert(mutation.key).second;
    if (repeated && !may_repeat(mutation)) return invalid("a write names a key twice");
  }
  if (bytes > kWriteBytesMax) return invalid(fmt::format("a write of {} bytes; the limit is {}", bytes, kWriteBytesMax));
  return {};
}

std::size_t bytes_of(const WriteRequest& request) {
  std::size_t bytes = 0;
  for (const auto& mutation : request.mutations) {
    bytes += kPutOverheadBytes + mutation.key.size() + mutation.value.size();
    for (const auto& cell : mutation.cells) bytes += cell.column.size() + cell.text.size();
  }
  return bytes;
}

void prepare_write(WriteCall& call, const PostgresOptions& options) {
  const auto& mutation = call.request.mutations.front();
  if (!is_plain_put(call.request)) {
    call.statement = &statements::kWrite;
    call.parameters = encode_batch(call.request, options);
  } else if (mutation.expiry.mode == Expiry::Mode::after) {
    encode_put_for(call, options);
  } else {
    call.may_merge = true;
    call.bytes = mutation.key.size() + mutation.value.size() + kPutOverheadBytes;
    return;
  }
  call.bytes = call.parameters.bytes();
}

void encode_put(WriteCall& call, const PostgresOptions& options) {
  const auto& expiry = call.request.mutations.front().expiry;
  call.statement = &statements::kPut;
  add_put(call, options);
  if (expiry.mode == Expiry::Mode::clear) {
    call.parameters.add_null();
  } else {
    call.parameters.add(encoded(expiry_ms_of(expiry)));
  }
}

Parameters encode_puts(std::vector<WriteCallPointer>& calls, const PostgresOptions& options) {
  std::sort(calls.begin(), calls.end(), [](const auto& left, const auto& right) {
    return left->request.mutations.front().key < right->request.mutations.front().key;
  });
  std::vector<Put> puts;
  for (const auto& call : calls) puts.push_back({&call->request.mutations.front(), call->request.operation});
  return encode_puts(puts, options);
}

bool are_plain_puts(const std::vector<Mutation>& mutations) {
  return std::all_of(mutations.begin(), mutations.end(), [](const Mutation& mutation) {
    return is_plain_put(mutation) && mutation.expiry.mode != Expiry::Mode::after;
  });
}

Parameters encode_puts(const std::vector<Put>& puts, const PostgresOptions& options) {
  std::set<int> cells;
  ArrayBuilder cell_array(oid::kInt4), slots(oid::kInt4), tokens(oid::kUuid), keys(oid::kBytea), positions(oid::kInt8),
      values(oid::kBytea), operations(oid::kUuid), expiries(oid::kInt8);
  for (const auto& [put, operation] : puts) {
    const auto& mutation = *put;
    const auto position = position_of(mutation.key);
    const auto slot = static_cast<base::Slot>(position >> 48);
    cells.insert(base::cell_of(slot));
    slots.add(encoded(std::int32_t{slot}));
    tokens.add(encoded(mutation.token));
    keys.add(mutation.key);
    positions.add(encoded(signed_of(position)));
    values.add(mutation.value);
    operations.add(encoded(operation));
    expiries.add(encoded(mutation.expiry.mode == Expiry::Mode::clear ? 0 : expiry_ms_of(mutation.expiry)));
  }
  for (const auto cell : cells) cell_array.add(encoded(static_cast<std::int32_t>(cell)));
  Parameters parameters;
  add_lock_class(parameters, options);
  parameters.add(options.fleet).add(cell_array.take()).add(slots.take()).add(tokens.take()).add(keys.take());
  parameters.add(positions.take()).add(values.take()).add(operations.take()).add(expiries.take());
  return parameters;
}

WriteReply decode_write(const WriteCall& call, const PGresult* rows) {
  const auto& mutations = call.request.mutations;
  WriteReply reply;
  if (call.may_merge || call.statement == &statements::kPutFor) {
    const auto& expiry = mutations.front().expiry;
    MutationOutcome outcome;
    outcome.applied = true;
    const auto version = call.merged_version ? *call.merged_version : static_cast<Version>(int8_at(rows, 0, 0));
    outcome.after = {true, mutations.front().value, version, call.request.operation, 0};
    if (expiry.mode == Expiry::Mode::at) outcome.after.expires_at_ms = expiry_ms_of(expiry);
    if (expiry.mode == Expiry::Mode::after) outcome.after.expires_at_ms = int8_at(rows, 0, 1);
    reply.emplace_back(std::move(outcome));
    return reply;
  }
  return decode_batch(mutations, rows);
}

WriteReply decode_batch(const std::vector<Mutation>& mutations, const PGresult* rows) {
  WriteReply reply(mutations.size(), Error::of(ErrorCode::internal, "storage gave no outcome for this key"));
  for (int row = 0; row < PQntuples(rows); ++row) {
    const auto index = static_cast<std::size_t>(int4_at(rows, row, 0) - 1);
    if (index < mutations.size()) reply[index] = outcome_at(mutations[index], rows, row);
  }
  return reply;
}

}  // namespace freshet::storage::postgres
