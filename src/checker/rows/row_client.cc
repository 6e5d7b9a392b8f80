// The mix of commands on rows.
#include "checker/rows/row_client.h"

#include <fmt/format.h>

namespace freshet::checker {
namespace {

// Every second client mostly reads, so that a slow database leaves moments in which rows are cached and hit.
constexpr std::uint64_t kReaderReadsPercent = 95;
constexpr std::uint64_t kWriterReadsPercent = 35;
constexpr std::uint64_t kTogetherPercent = 12;
constexpr std::uint64_t kReadsTogetherPercent = 40;

std::vector<std::string_view> views_of(const Command& command) { return {command.begin(), command.end()}; }

}  // namespace

RowClient::RowClient(ClientOptions options, RowLoad& load)
    : options_(std::move(options)),
      load_(load),
      mix_(load, options_.number, options_.seed),
      connection_(options_.target, options_.password, options_.call_deadline) {}

void RowClient::run() {
  while (!load_.findings.stop.requested()) {
    if (connection_.ensure(load_.findings)) step();
  }
}

void RowClient::step() {
  if (load_.together() && mix_.chance_percent(kTogetherPercent)) {
    return perform(mix_.draw_several(Via::transaction, kReadsTogetherPercent), true);
  }
  const bool reader = options_.number % 2 == 1;
  std::vector<Part> parts;
  parts.push_back(mix_.draw(Via::command, reader ? kReaderReadsPercent : kWriterReadsPercent));
  const bool together = parts.front().operation.via == Via::transaction;
  perform(std::move(parts), together);
}

void RowClient::perform(std::vector<Part> parts, bool together) {
  std::vector<Command> commands;
  for (const Part& part : parts) {
    for (const std::string& row : part.rows) {
      for (Command& command : row_commands_of(part.operation, row, part.manner)) commands.push_back(std::move(command));
    }
  }
  mix_.begin(parts);
  const Answers answers = together ? send_together(commands) : send(commands);
  const base::Nanoseconds returned_ns = base::now();
  if (answers.replies.empty()) return mix_.finish_all(parts, answers.sent ? Outcome::unknown : Outcome::failed);
  interpret(parts, answers);
  if (together && !answers.for_all) load_.tally.count(RowEvent::transactions);
  mix_.finish(parts, returned_ns);
}

RowClient::Answers RowClient::lost(const Error& error, bool sent) {
  load_.findings.count_error("CONNECTION " + error.what);
  return {{}, sent, true};
}

RowClient::Answers RowClient::send(const std::vector<Command>& commands) {
  auto reply = connection_->call(views_of(commands.front()), base::now() + options_.call_deadline);
  if (!reply) return lost(reply.error(), reply.error().code == ErrorCode::unknown_outcome);
  return {{std::move(*reply)}, true, false};
}

RowClient::Answers RowClient::send_together(const std::vector<Command>& commands) {
  const base::Nanoseconds deadline = base::now() + options_.call_deadline;
  // Without the whole EXEC nothing is executed.
  const auto failed = [&](const Error& error) { return lost(error, connection_->unsent() == 0); };
  if (auto queued = connection_->queue({"MULTI"}); !queued) return lost(queued.error(), false);
  for (const Command& command : commands) {
    if (auto queued = connection_->queue(views_of(command)); !queued) return lost(queued.error(), false);
  }
  if (auto queued = connection_->queue({"EXEC"}); !queued) return lost(queued.error(), false);
  if (auto flushed = connection_->flush(deadline); !flushed) return failed(flushed.error());
  for (std::size_t behind = commands.size() + 1; behind > 0; --behind) {
    if (auto queued = connection_->read(deadline); !queued) return failed(queued.error());
  }
  auto reply = connection_->read(deadline);
  if (!reply) return failed(reply.error());
  if (reply->is(protocol::ReplyType::array) && reply->items.size() == commands.size()) {
    return {std::move(reply->items), true, false};
  }
  return {{std::move(*reply)}, true, true};
}

void RowClient::interpret(std::vector<Part>& parts, const Answers& answers) {
  std::span<const client::Reply> rest = answers.replies;
  if (answers.for_all) load_.findings.count_error(rest[0].is_error() ? rest[0].text : "MISFIT EXEC " + rest[0].to_text());
  for (Part& part : parts) {
    if (answers.for_all) {
      part.operation.outcome = is_read(part.operation) ? Outcome::failed : Outcome::unknown;
      if (rest[0].is_error()) interpret_row_error(rest[0], part.operation);
      continue;
    }
    const std::size_t count = part.rows.size() * row_commands_of(part.operation, part.rows[0], part.manner).size();
    const auto replies = rest.first(count);
    rest = rest.subspan(count);
    mix_.note(interpret_rows(replies, part.rows.size(), part.manner, part.operation), part);
    const bool wrote = part.operation.outcome == Outcome::ok && !is_read(part.operation);
    if (wrote && part.operation.via == Via::command) load_.tally.count(RowEvent::command_writes);
    if (part.operation.outcome != Outcome::ok && replies[0].is_error()) load_.findings.count_error(replies[0].text);
  }
}

}  // namespace freshet::checker
