// What waits for the commit thread: writes, guards and forgotten tombstones, in one order.
// May use storage's interface.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "storage/storage.h"

namespace freshet::storage::embedded {

struct WriteCall {
  WriteRequest request;
  Callback<WriteReply> done;
  Result<WriteReply> reply = WriteReply{};
};

struct GuardCall {
  base::SlotRange range;
  Token token;
  Callback<void> done;
  Result<void> reply;
};

struct ForgetCall {
  std::vector<Tombstone> tombstones;
};

// A call on its way. Everything but `done` belongs to whoever holds the ticket; `done` belongs to the committer's mutex, so
// that of an answer and a passed deadline exactly one is told.
struct Ticket {
  std::variant<WriteCall, GuardCall, ForgetCall> call;
  base::Nanoseconds deadline = base::kForever;
  std::size_t bytes = 0;  // Counted against the queue's limit.

  WriteCall* write() { return std::get_if<WriteCall>(&call); }
  GuardCall* guard() { return std::get_if<GuardCall>(&call); }
  ForgetCall* forget() { return std::get_if<ForgetCall>(&call); }

  // Sets the reply; a forget has none.
  void refuse(const Error& error) {
    if (auto* w = write()) w->reply = error;
    if (auto* g = guard()) g->reply = error;
  }
  // Takes the callback out, bound to the reply, or to `error` if given. Empty if it was taken before or there is none.
  std::function<void()> take_answer() {
    if (auto* w = write(); w != nullptr && w->done) return bound(std::exchange(w->done, nullptr), std::move(w->reply));
    if (auto* g = guard(); g != nullptr && g->done) return bound(std::exchange(g->done, nullptr), std::move(g->reply));
    return nullptr;
  }
  std::function<void()> take_answer(const Error& error) {
    if (auto* w = write(); w != nullptr && w->done) return bound(std::exchange(w->done, nullptr), Result<WriteReply>(error));
    if (auto* g = guard(); g != nullptr && g->done) return bound(std::exchange(g->done, nullptr), Result<void>(error));
    return nullptr;
  }

 private:
  template <typename T>
  static std::function<void()> bound(Callback<T> done, Result<T> reply) {
    auto answer = std::make_shared<std::pair<Callback<T>, Result<T>>>(std::move(done), std::move(reply));
    return [answer] { answer->first(std::move(answer->second)); };
  }
};

using Tickets = std::vector<std::unique_ptr<Ticket>>;

}  // namespace freshet::storage::embedded
