// See net/descriptor_watch.h.
#include "net/descriptor_watch.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace freshet::net {
namespace {

// Functions of their own by name: the thread sanitizer sees no descriptor made by fcntl, and is told so
// (tests/support/tsan.supp). dup() it would see, but that leaves a moment in which a fork inherits the descriptor.
int open_duplicate(int descriptor) { return fcntl(descriptor, F_DUPFD_CLOEXEC, 0); }
void close_duplicate(int own) { close(own); }

}  // namespace

struct DescriptorWatch::Handle {
  uv_poll_t poll;
  Ready ready;       // Its own: the watch may be destroyed while it runs.
  int own = -1;      // The descriptor's duplicate, which is what libuv sees.
};

int DescriptorWatch::watch(int descriptor, int events) {
  if (handle_ != nullptr && events_ == events) return 0;
  if (handle_ == nullptr) {
    const int own = open_duplicate(descriptor);
    if (own < 0) return uv_translate_sys_error(errno);
    handle_ = new Handle{{}, ready_, own};
    if (const int status = uv_poll_init(loop_.uv(), &handle_->poll, own); status < 0) {
      delete std::exchange(handle_, nullptr);
      close_duplicate(own);
      return status;
    }
    handle_->poll.data = handle_;
  }
  events_ = events;
  const auto call = [](uv_poll_t* poll, int status, int ready) {
    if (uv_is_closing(reinterpret_cast<uv_handle_t*>(poll)) == 0) static_cast<Handle*>(poll->data)->ready(status, ready);
  };
  const int status = events == 0 ? uv_poll_stop(&handle_->poll) : uv_poll_start(&handle_->poll, events, call);
  if (status < 0) stop();
  return status;
}

void DescriptorWatch::stop() {
  if (handle_ == nullptr) return;
  const int own = handle_->own;
  uv_poll_stop(&handle_->poll);
  uv_close(reinterpret_cast<uv_handle_t*>(&std::exchange(handle_, nullptr)->poll),
           [](uv_handle_t* handle) { delete static_cast<Handle*>(handle->data); });
  close_duplicate(own);
  events_ = 0;
}

}  // namespace freshet::net
