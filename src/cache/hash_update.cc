// Reading a hash, changing it, and what to write then. See cache/hash_update.h.
#include "cache/hash_update.h"

namespace freshet::cache {
namespace {

Result<std::optional<Mutation>> decide_on_fields(const ChangeFields& change, const storage::Expiry& expiry,
                                                 const KeyState& current) {
  if (current.present && current.kind != ValueKind::hash) return storage::wrong_kind();
  auto fields = current.present ? storage::HashFields::read(current.value) : storage::HashFields();
  if (!fields) return std::move(fields).error();
  const auto changed = change(*fields);
  if (!changed) return changed.error();
  if (!*changed) return std::optional<Mutation>();
  Mutation mutation;
  mutation.expiry = expiry;
  if (fields->size() == 0) {
    mutation.kind = storage::MutationKind::erase;
    return std::optional(std::move(mutation));
  }
  auto bytes = fields->write();
  if (!bytes) return std::move(bytes).error();
  mutation.value = *std::move(bytes);
  mutation.value_kind = ValueKind::hash;
  return std::optional(std::move(mutation));
}

}  // namespace

Decide deciding_on_fields(ChangeFields change, storage::Expiry expiry) {
  return [change = std::move(change), expiry](const KeyState& current, std::int64_t) {
    return decide_on_fields(change, expiry, current);
  };
}

}  // namespace freshet::cache
