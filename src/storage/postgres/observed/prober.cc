// See storage/postgres/observed/prober.h.
#include "storage/postgres/observed/prober.h"

#include <optional>
#include <utility>

#include "storage/postgres/observed/ask.h"
#include "storage/postgres/statements.h"

namespace freshet::storage::postgres {
namespace {

enum ProbeColumn : int { kSnapshot, kPosition, kFingerprint };

Result<ProbeReply> reply_of(const PGresult* rows, const Catalog& catalog, const Fingerprint& fingerprint,
                            const Identity& identity) {
  auto snapshot = Snapshot::parse(bytes_at(rows, 0, kSnapshot));
  if (!snapshot) return snapshot.error();
  const auto position = static_cast<Lsn>(int8_at(rows, 0, kPosition));
  return ProbeReply{std::move(*snapshot), catalog.insert_position ? without_page_header(position) : position, fingerprint,
                    identity};
}

}  // namespace

void Prober::probe(const CatalogRef& catalog, base::Nanoseconds deadline, Callback<ProbeReply> done) {
  if (last_.statement != catalog->probe) last_ = {}, calm_ = 0;
  if (calm_ < kCalmProbes) return send_full(catalog, deadline, std::move(done));
  send_short(catalog, deadline, std::move(done));
}

// Snapshots of two sessions may bear the same name: the server may have been restarted in between.
bool Prober::is_of_last_session(const SessionCall& call) const {
  return last_.process == call.process && last_.identity == call.identity;
}

void Prober::send_full(const CatalogRef& catalog, base::Nanoseconds deadline, Callback<ProbeReply> done) {
  const auto read = [this, catalog, asked = last_.snapshot](const PGresult* rows,
                                                            const SessionCall& call) -> Result<ProbeReply> {
    if (!is_null(rows, 0, kFingerprint)) {
      calm_ = 0;
      last_ = {catalog->probe, call.identity, call.process, std::string(bytes_at(rows, 0, kSnapshot)),
               Fingerprint(bytes_at(rows, 0, kFingerprint))};
    } else if (last_.statement != catalog->probe || last_.snapshot != asked || !is_of_last_session(call)) {
      last_ = {};
      return Error::of(ErrorCode::unavailable, "the session of the probes was lost");
    } else {
      ++calm_;
    }
    return reply_of(rows, *catalog, last_.fingerprint, call.identity);
  };
  Parameters parameters;
  parameters.add(last_.snapshot);
  ask<ProbeReply>(lane_, catalog->probe, "a probe", deadline, std::move(done), read, std::move(parameters));
}

void Prober::send_short(const CatalogRef& catalog, base::Nanoseconds deadline, Callback<ProbeReply> done) {
  // Nothing: it does not show what the catalog's rows were read with.
  using Short = std::optional<ProbeReply>;
  const auto read = [this, catalog](const PGresult* rows, const SessionCall& call) -> Result<Short> {
    const bool is_same = last_.statement == catalog->probe && last_.snapshot == bytes_at(rows, 0, kSnapshot) &&
                         is_of_last_session(call);
    if (!is_same) return Short();
    auto reply = reply_of(rows, *catalog, last_.fingerprint, call.identity);
    if (!reply) return reply.error();
    return Short(std::move(*reply));
  };
  auto answered = [this, catalog, deadline, done = std::move(done)](Result<Short> reply) {
    if (!reply) return done(std::move(reply).error());
    if (*reply) return done(std::move(**reply));
    calm_ = 0;
    send_full(catalog, deadline, done);
  };
  ask<Short>(lane_, catalog->short_probe, "a probe", deadline, std::move(answered), read);
}

}  // namespace freshet::storage::postgres
