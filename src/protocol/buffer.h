// A contiguous byte queue: bytes are added at its end and taken from its front. It backs the input and the output of a
// connection, and grows as bytes come, never by what a peer announces. May use nothing but the standard library.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

namespace freshet::protocol {

class Buffer {
 public:
  Buffer() = default;
  ~Buffer() { std::free(data_); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(begin_, other.begin_);
    std::swap(end_, other.end_);
    std::swap(capacity_, other.capacity_);
  }

  std::string_view view() const { return {data_ + begin_, end_ - begin_}; }
  std::size_t size() const { return end_ - begin_; }
  bool empty() const { return begin_ == end_; }
  std::size_t capacity() const { return capacity_; }

  // Room for `bytes` more at the end; what is written there counts once committed.
  char* reserve(std::size_t bytes) {
    if (capacity_ - end_ < bytes) make_room(bytes);
    return data_ + end_;
  }
  std::size_t free_space() const { return capacity_ - end_; }
  void commit(std::size_t bytes) {
    assert(bytes <= capacity_ - end_);
    end_ += bytes;
  }
  void append(std::string_view bytes) {
    char* to = reserve(bytes.size());
    if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
    end_ += bytes.size();
  }
  void append(char byte) {
    *reserve(1) = byte;
    ++end_;
  }
  void consume(std::size_t bytes) {
    assert(bytes <= size());
    begin_ += bytes;
    if (begin_ == end_) begin_ = end_ = 0;
  }
  // Forgets what was added after the queue held `bytes`.
  void truncate(std::size_t bytes) {
    assert(bytes <= size());
    end_ = begin_ + bytes;
  }
  void clear() { begin_ = end_ = 0; }
  // Gives the memory back.
  void release() { Buffer().swap(*this); }

 private:
  static constexpr std::size_t kFirstBytes = 256;

  void make_room(std::size_t bytes) {
    const std::size_t held = size();
    const bool fits = capacity_ - held >= bytes && begin_ >= held;  // Half is free in front: moving is cheap.
    if (begin_ > 0 && held) std::memmove(data_, data_ + begin_, held);
    begin_ = 0;
    end_ = held;
    if (fits) return;
    std::size_t capacity = capacity_ * 2 > kFirstBytes ? capacity_ * 2 : kFirstBytes;
    while (capacity < held + bytes) capacity *= 2;
    char* const grown = static_cast<char*>(std::realloc(data_, capacity));
    if (!grown) throw std::bad_alloc();
    data_ = grown;
    capacity_ = capacity;
  }

  char* data_ = nullptr;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace freshet::protocol
