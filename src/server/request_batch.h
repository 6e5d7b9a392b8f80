// Commands that were parsed ahead of their execution: what they read is on its way from memory while the ones before them
// are executed. The arguments are views into the connection's input, which stays where it is meanwhile. Nothing is allocated
// once the vectors have grown. May use nothing of the server but its commands.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "server/command.h"

namespace freshet::server {

class RequestBatch {
 public:
  // Enough that memory is not waited for, and few enough that what was fetched is still there when its turn comes.
  static constexpr std::size_t kCommandsMax = 16;
  // Keys of one batch, at the most so many less one and those of its last command.
  static constexpr std::size_t kKeysMax = 32;
  // Whether the keys of a command of these words are fetched with its batch. It sees to more than so many by itself.
  static bool fetches_for(std::span<const std::string_view> args) { return args.size() <= kKeysMax; }

  explicit RequestBatch(const CommandTable& commands) : commands_(commands) {}

  struct Item {
    const Command* command = nullptr;  // Null: unknown, or no words at all.
    std::size_t first_argument = 0;
    std::size_t arguments = 0;         // 0: no words, nothing to answer.
    std::size_t bytes = 0;             // Of the input.
  };

  void clear() {
    items_.clear(), arguments_.clear(), keys_.clear();
    if (arguments_.capacity() > kArgumentsKept) std::vector<std::string_view>().swap(arguments_);
  }
  std::size_t size() const { return items_.size(); }
  const Item& operator[](std::size_t i) const { return items_[i]; }
  std::span<const std::string_view> arguments(const Item& item) const {
    return std::span(arguments_).subspan(item.first_argument, item.arguments);
  }
  // What the reads among them ask for.
  std::span<const std::string_view> keys() const { return keys_; }

  // A command of these words (none: one to be passed over) that takes up so many bytes of the input. False: it is the
  // batch's last one. A write waits for storage, and what follows it would be parsed twice.
  bool add(std::span<const std::string_view> args, std::size_t bytes) {
    const Command* const command = args.empty() ? nullptr : command_of(args[0]);
    items_.push_back({command, arguments_.size(), args.size(), bytes});
    arguments_.insert(arguments_.end(), args.begin(), args.end());
    if (!fetches_for(args)) return false;
    if (!command) return true;
    command->for_each_key_ahead(args, [this](std::string_view key) {
      keys_.push_back(key);
      return true;
    });
    return !command->has(kWrite) && keys_.size() < kKeysMax;
  }

 private:
  // Pipelines repeat themselves.
  const Command* command_of(std::string_view name) const {
    if (!items_.empty() && items_.back().arguments > 0 && arguments_[items_.back().first_argument] == name) {
      return items_.back().command;
    }
    return commands_.find(name);
  }

  // More than this is given back: one command may have had a million words.
  static constexpr std::size_t kArgumentsKept = 1024;

  const CommandTable& commands_;
  std::vector<Item> items_;
  std::vector<std::string_view> arguments_;
  std::vector<std::string_view> keys_;
};

}  // namespace freshet::server
