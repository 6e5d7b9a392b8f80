// See net/descriptor_watch.h.
#include "net/descriptor_watch.h"

#include <utility>

namespace freshet::net {

struct DescriptorWatch::Handle {
  uv_poll_t poll;
  Ready ready;  // Its own: the watch may be destroyed while it runs.
};

int DescriptorWatch::watch(int descriptor, int events) {
  if (handle_ != nullptr && events_ == events) return 0;
  if (handle_ == nullptr) {
    handle_ = new Handle{{}, ready_};
    if (const int status = uv_poll_init(loop_.uv(), &handle_->poll, descriptor); status < 0) {
      delete std::exchange(handle_, nullptr);
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
  uv_poll_stop(&handle_->poll);
  uv_close(reinterpret_cast<uv_handle_t*>(&std::exchange(handle_, nullptr)->poll),
           [](uv_handle_t* handle) { delete static_cast<Handle*>(handle->data); });
  events_ = 0;
}

}  // namespace freshet::net
