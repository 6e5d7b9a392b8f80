// Fills: parameters, and the answer's rows. Columns are FillColumn's, in binary form.
#include "storage/postgres/observed/fill.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "storage/postgres/text_array.h"

namespace freshet::storage::postgres {
namespace {


const StatementRef& snapshot_only() {
  static const StatementRef statement = std::make_shared<OwnedStatement>(
      "snapshot",
      "SELECT 0, NULL::pg_catalog.int8, pg_catalog.pg_current_snapshot()::pg_catalog.text, "
      "pg_catalog.pg_current_wal_insert_lsn(), NULL, NULL, NULL, NULL, NULL", std::vector<Oid>());
  return statement;
}

void append_count(std::string& to, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) to += static_cast<char>(value >> shift);
}

bool is_about_values(const std::string& state) { return state.starts_with("22") || state == "23514"; }
bool is_about_schema(const std::string& state) { return state.starts_with("42") || state.starts_with("3F"); }

Error wrong_key(const std::string& what, std::string remedy = {}) {
  return Error::of(ErrorCode::invalid_argument, what, std::move(remedy));
}

// The same texts, in the form of keys, without the collection's name.
std::string key_of(const CollectionPlan& plan, const RowView& texts) {
  std::vector<std::string_view> parts;
  for (std::size_t i = 0; i < texts.size(); ++i) parts.push_back(canonical(plan.text.parts[i].form, texts[i].value_or("")));
  return join_key(plan.spec.name, parts);
}

Error not_canonical(const std::string& given, const std::string& spelling) {
  return wrong_key(fmt::format("{} is not the canonical spelling of this key", given), fmt::format("Use {}.", spelling));
}

}  // namespace

void Fill::run(CollectionKeys keys) {
  reply_.values.resize(keys.size());
  for (std::size_t i = 0; i < keys.size(); ++i) admit(i, keys[i].first, keys[i].second);
  read();
}

void Fill::admit(std::size_t place, CollectionId collection, const std::string& key) {
  const auto& plan = catalog_->collections[collection];
  auto& value = reply_.values[place];
  const auto& name = plan.spec.name;
  if (key.size() > kKeyBytesMax || !key.starts_with(name) || key.size() <= name.size() || key[name.size()] != ':') {
    value.error = wrong_key(fmt::format("{} is no key of {}", key, name));
    return;
  }
  const auto count = plan.text.parts.size();
  auto parts = split_key(std::string_view(key).substr(name.size() + 1), count);
  if (!parts) {
    std::string shape;
    for (const auto& part : plan.text.parts) shape += ":" + part.name;
    value.error = wrong_key(fmt::format("{} does not have the form {}{}", key, name, shape),
                            count > 1 ? "Write \\ before : and \\ inside of a part." : "");
    return;
  }
  keys_.push_back({&plan, key, std::move(*parts), place});
}

void Fill::read() {
  groups_.clear();
  std::map<const CollectionPlan*, std::size_t> group_of;
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    const auto group = group_of.try_emplace(keys_[i].plan, groups_.size()).first->second;
    if (group == groups_.size()) groups_.emplace_back();
    groups_[group].push_back(i);
  }
  row_counts_.assign(keys_.size(), 0);
  row_bytes_.assign(keys_.size(), {});
  Parameters parameters;
  std::string sql;
  for (std::size_t group = 0; group < groups_.size(); ++group) {
    const auto& plan = *keys_[groups_[group].front()].plan;
    if (groups_.size() > 1) {
      sql += (group > 0 ? " UNION ALL " : "") + fill_sql(plan.text, static_cast<int>(group), parameters.count() + 1);
    }
    for (std::size_t part = 0; part < std::max<std::size_t>(plan.text.parts.size(), 1); ++part) {
      ArrayBuilder texts(oid::kText);
      for (const auto key : groups_[group]) texts.add(plan.text.parts.empty() ? std::string() : keys_[key].parts[part]);
      parameters.add(texts.take());
    }
  }
  auto statement = groups_.empty() ? snapshot_only() : keys_[groups_.front().front()].plan->fill;
  if (groups_.size() > 1) {
    const std::vector<Oid> types(static_cast<std::size_t>(parameters.count()), kTextArray);
    // Any set of collections may be asked for together: too many to keep.
    statement = std::make_shared<OwnedStatement>("", std::move(sql), types);
  }
  send(std::move(statement), std::move(parameters),
       [self = shared_from_this()](const SessionCall& call, const Answer& answer) { self->on_rows(call, answer); });
}

bool Fill::send(StatementRef statement, Parameters parameters, std::function<void(const SessionCall&, Answer)> take) {
  const auto call = std::make_shared<SessionCall>();
  call->doing = "a fill";
  call->statement = &statement->get();
  call->keeps = std::move(statement);
  call->bytes = parameters.bytes();
  call->parameters = std::move(parameters);
  call->deadline = deadline_;
  call->on_loss = OnLoss::resend;
  if (!lane_.admit(*call)) {
    fail(Error::of(ErrorCode::busy, fmt::format("{} fills wait for PostgreSQL already", lane_.queue_max()),
                   "Try again, or allow more connections to the database."));
    return false;
  }
  // Not the call itself: it would own itself.
  call->done = [take = std::move(take), weak = std::weak_ptr<SessionCall>(call)](Answer answer) {
    take(*weak.lock(), std::move(answer));
  };
  lane_.submit(call);
  return true;
}

void Fill::on_rows(const SessionCall& call, const Answer& answer) {
  if (!answer.error) {
    const auto* rows = answer.rows.get();
    for (int row = 0; row < PQntuples(rows); ++row) take_row(rows, row);
    finish_rows();
    auto snapshot = Snapshot::parse(bytes_at(rows, 0, kFillSnapshot));
    if (!snapshot) return fail(snapshot.error());
    reply_.snapshot = std::move(*snapshot);
    for (int row = 0; row < PQntuples(rows); ++row) {
      reply_.position = std::max(reply_.position, static_cast<Lsn>(int8_at(rows, row, kFillPosition)));
    }
    reply_.position = without_page_header(reply_.position);
    reply_.identity = call.identity;
    return finish(std::move(reply_));
  }
  if (is_about_values(answer.state) && !validated_) return validate();
  if (is_about_schema(answer.state)) {
    on_schema_();
    reply_ = {};
    reply_.outdated =
        Error::of(ErrorCode::unavailable, answer.error->what, "The schema has changed: Freshet looks at it again.");
    return finish(std::move(reply_));
  }
  fail(*answer.error);
}

void Fill::take_row(const PGresult* rows, int row) {
  if (is_null(rows, row, kFillPlace)) return;
  const auto& group = groups_[static_cast<std::size_t>(int4_at(rows, row, kFillGroup))];
  const auto index = group[static_cast<std::size_t>(int8_at(rows, row, kFillPlace)) - 1];
  const auto& key = keys_[index];
  auto& value = reply_.values[key.place];
  if (value.error) return;
  const bool found = !is_null(rows, row, kFillFound);
  // By the row's own spelling if there is one: equal values may be stored in several.
  for (const int column : {kFillGiven, kFillStored}) {
    if (is_null(rows, row, column)) continue;
    const auto texts = read_text_array(bytes_at(rows, row, column));
    if (!texts) return void(value.error = texts.error());
    const auto spelling = key_of(*key.plan, *texts);
    if (spelling != key.text) return void(value.error = not_canonical(key.text, spelling));
  }
  value.present = found || key.plan->text.is_query();
  if (!found) return;
  const auto cells = read_text_array(bytes_at(rows, row, kFillRow));
  if (!cells) return void(value.error = cells.error());
  RowWriter writer;
  for (const auto& cell : *cells) cell ? writer.add(*cell) : writer.add_null();
  value.unsettled = bool_at(rows, row, kFillMarked);
  ++row_counts_[index];
  row_bytes_[index] += writer.take();
}

void Fill::finish_rows() {
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    auto& value = reply_.values[keys_[i].place];
    if (value.error || !value.present) continue;
    if (keys_[i].plan->text.is_query()) append_count(value.value, row_counts_[i]);
    value.value += row_bytes_[i];
  }
}

// All but the keys whose spelling shows that they are not to blame.
void Fill::validate() {
  validated_ = true;
  validations_ = 1;
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    const auto& key = keys_[i];
    const auto& parts = key.plan->text.parts;
    bool plain = true;
    for (std::size_t part = 0; part < parts.size(); ++part) {
      plain = plain && is_plainly_canonical(parts[part].plain_type, key.parts[part]);
    }
    if (plain) continue;
    Parameters parameters;
    for (const auto& part : key.parts) parameters.add(part);
    ++validations_;
    const bool sent = send(key.plan->validation, std::move(parameters),
                           [self = shared_from_this(), i](const SessionCall&, const Answer& answer) {
                             self->on_validated(i, answer);
                           });
    if (!sent) return;
  }
  if (--validations_ == 0) read_what_is_left();
}

void Fill::on_validated(std::size_t key, const Answer& answer) {
  if (done_ == nullptr) return;
  if (answer.error && !is_about_values(answer.state)) return fail(*answer.error);
  if (answer.error) {
    reply_.values[keys_[key].place].error =
        wrong_key(fmt::format("{} is no key of {}: {}", keys_[key].text, keys_[key].plan->spec.name, answer.error->what));
  }
  if (--validations_ == 0) read_what_is_left();
}

void Fill::read_what_is_left() {
  std::erase_if(keys_, [&](const Key& key) { return reply_.values[key.place].error.has_value(); });
  read();
}

void Fill::fail(Error error) { finish(std::move(error)); }

void Fill::finish(Result<FillReply> result) {
  if (const auto done = std::exchange(done_, nullptr)) done(std::move(result));
}

}  // namespace freshet::storage::postgres
