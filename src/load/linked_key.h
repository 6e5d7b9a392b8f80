// The keys by which the library is measured in process, here and by the programs in bench/: numbers, written out beforehand.
// May use the standard library only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace freshet::load {

// "key:" and sixteen hexadecimal digits, written without a call.
class LinkedKey {
 public:
  static constexpr std::size_t kBytes = 20;

  explicit LinkedKey(std::uint64_t number) {
    for (std::size_t i = 0; i < 16; ++i) text_[4 + i] = "0123456789abcdef"[number >> (60 - 4 * i) & 15];
  }
  std::string_view view() const { return {text_.data(), text_.size()}; }

 private:
  std::array<char, kBytes> text_ = {'k', 'e', 'y', ':'};
};

}  // namespace freshet::load
