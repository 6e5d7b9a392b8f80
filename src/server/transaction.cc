// Executing queued commands, and putting their replies together.
#include "server/transaction.h"

#include <fmt/format.h>

#include "server/errors.h"
#include "server/server.h"
#include "server/session.h"
#include "server/worker.h"

namespace freshet::server {
namespace {

// Steps that one command of a transaction may take: each is answered before the next.
constexpr int kStepsMax = 64;

// What keeps the whole from being written is EXEC's error; what a retry may mend keeps its own prefix.
void write_refusal(protocol::ReplyWriter& reply, const Error& error) {
  const bool is_its_own = error.code == ErrorCode::invalid_argument || error.code == ErrorCode::wrong_type ||
                          error.code == ErrorCode::unsupported || error.code == ErrorCode::out_of_range;
  if (!is_its_own) return write_error(reply, error);
  const auto text = error_text(error);
  reply.error("EXECABORT Transaction rolled back: " + text.substr(text.find(' ') + 1));
}

}  // namespace

WatchMark WatchMark::of(const cache::Reading& reading) {
  if (!reading.present) return {};
  // An observed row's position says where the log stood, not which change made it.
  const bool has_version = reading.version != 0 && reading.position == 0;
  return {true, has_version ? reading.version : 0, has_version ? std::string() : reading.value};
}

bool QueuedTransaction::add(const Command& command, std::span<const std::string_view> args) {
  for (const auto arg : args) bytes_ += arg.size() + sizeof(std::string);
  if (commands_.size() == kQueuedCommandsMax || bytes_ > kQueuedBytesMax) return false;
  commands_.push_back({&command, {args.begin(), args.end()}});
  return true;
}

TransactionRun::TransactionRun(std::vector<QueuedCommand> commands, std::shared_ptr<cache::Transaction> transaction,
                               cache::Engine& engine, std::map<std::string, cache::Reading, std::less<>> readings)
    : commands_(std::move(commands)), transaction_(std::move(transaction)), engine_(engine, std::move(readings)),
      pieces_(commands_.size()) {}

// Weakly: the run holds the engine, and that the callbacks of rows' writes.
void TransactionRun::Waiting::go_on(Step step) const {
  if (const auto there = run.lock()) there->pieces_[place].step = std::move(step);
}

void TransactionRun::execute(Session& session) {
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < commands_.size(); ++i) {
    execute_piece(session, i);
    bytes += pieces_[i].reply.size();
    if (bytes <= session.worker().server().options().output_buffer_bytes_max) continue;
    return session.reply().error("EXECABORT Transaction rolled back: its replies are larger than a client's output may be");
  }
  auto writes = engine_.take_writes();
  if (writes.empty()) return finish(session);
  auto done = [run = shared_from_this()](Session& resumed, Result<storage::WriteReply> reply) {
    if (!reply) {
      run->engine_.forget();
      return write_refusal(resumed.reply(), reply.error());
    }
    run->engine_.answer(*std::move(reply));
    run->finish(resumed);
  };
  transaction_->commit(std::move(writes), base::kForever, session.defer_result<storage::WriteReply>(std::move(done)));
}

void TransactionRun::execute_piece(Session& session, std::size_t index) {
  commands_[index].view(args_);
  // No more than a function holds without memory of its own.
  go_on(session, pieces_[index],
        [this, index](Session& executing) { executing.call_within(*commands_[index].command, args_); });
}

void TransactionRun::go_on(Session& session, Piece& piece, Step step) {
  current_ = static_cast<std::size_t>(&piece - pieces_.data());
  for (int taken = 0; step; ++taken) {
    piece.waits = session.run_within(shared_from_this(), piece.reply, step);
    step = piece.waits && taken < kStepsMax ? std::exchange(piece.step, nullptr) : nullptr;
  }
}

void TransactionRun::finish(Session& session) {
  for (auto& piece : pieces_) {
    if (!piece.waits) continue;
    if (piece.step) go_on(session, piece, std::exchange(piece.step, nullptr));
    if (!piece.waits) continue;
    protocol::ReplyWriter lost(piece.reply);
    lost.error("ERR internal: this command of the transaction was not answered");
  }
  session.reply().array(pieces_.size());
  for (const auto& piece : pieces_) session.reply().out().append(piece.reply.view());
  transaction_.reset();
}

}  // namespace freshet::server
