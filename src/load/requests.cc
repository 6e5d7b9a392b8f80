// GET, SET and MGET, straight into the output: nothing is formatted but the keys' and values' lengths.
#include "load/requests.h"

#include "base/random.h"
#include "protocol/reply_writer.h"

namespace freshet::load {
namespace {

void write_get(protocol::Buffer& out, std::string_view key) {
  out.append("*2\r\n$3\r\nGET\r\n");
  protocol::ReplyWriter(out).bulk(key);
}

void write_set(protocol::Buffer& out, std::string_view key, std::string_view value) {
  out.append("*3\r\n$3\r\nSET\r\n");
  protocol::ReplyWriter writer(out);
  writer.bulk(key);
  writer.bulk(value);
}

class MixedRequests final : public RequestSource {
 public:
  MixedRequests(std::shared_ptr<KeySet> keys, std::shared_ptr<const Values> values, Mix mix, std::uint64_t seed)
      : keys_(std::move(keys)), values_(std::move(values)), mix_(mix), random_(seed), draws_(keys_->draws(random_())) {}

  bool next(protocol::Buffer& out) override {
    if (mix_.writes > 0 && random_.chance(mix_.writes)) {
      const auto key = draws_->next();
      write_set(out, key, values_->of(key));
    } else if (mix_.batch == 1) {
      write_get(out, draws_->next());
    } else {
      protocol::ReplyWriter writer(out);
      writer.array(mix_.batch + 1);
      writer.bulk("MGET");
      for (std::uint32_t i = 0; i < mix_.batch; ++i) writer.bulk(draws_->next());
    }
    return true;
  }

 private:
  const std::shared_ptr<KeySet> keys_;
  const std::shared_ptr<const Values> values_;
  const Mix mix_;
  base::Random random_;
  const std::unique_ptr<KeySource> draws_;
};

// Each key of a thread's part once: written, or read if there are no values.
class EachOnce final : public RequestSource {
 public:
  EachOnce(std::shared_ptr<KeySet> keys, std::shared_ptr<const Values> values, int thread, int threads)
      : keys_(std::move(keys)), values_(std::move(values)), each_(part_of(*keys_, thread, threads)) {}

  bool next(protocol::Buffer& out) override {
    const auto key = each_->next();
    if (key.empty()) return false;
    if (values_) write_set(out, key, values_->of(key));
    else write_get(out, key);
    return true;
  }

 private:
  static std::unique_ptr<KeySource> part_of(KeySet& keys, int thread, int threads) {
    const auto count = static_cast<std::uint64_t>(threads), number = static_cast<std::uint64_t>(thread);
    return keys.each(keys.size() * number / count, keys.size() * (number + 1) / count);
  }

  const std::shared_ptr<KeySet> keys_;
  const std::shared_ptr<const Values> values_;
  const std::unique_ptr<KeySource> each_;
};

}  // namespace

MakeRequests mixed_requests(std::shared_ptr<KeySet> keys, std::shared_ptr<const Values> values, Mix mix,
                            std::uint64_t seed) {
  return [=](int thread, int) {
    base::Random random(seed + static_cast<std::uint64_t>(thread));
    return std::make_unique<MixedRequests>(keys, values, mix, random());
  };
}

MakeRequests filling_requests(std::shared_ptr<KeySet> keys, std::shared_ptr<const Values> values) {
  return [=](int thread, int threads) { return std::make_unique<EachOnce>(keys, values, thread, threads); };
}

MakeRequests touching_requests(std::shared_ptr<KeySet> keys) {
  return [=](int thread, int threads) { return std::make_unique<EachOnce>(keys, nullptr, thread, threads); };
}

}  // namespace freshet::load
