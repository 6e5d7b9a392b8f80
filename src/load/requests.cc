// GET, SET and MGET, straight into the output: nothing is formatted but the keys' and values' lengths. Both protocols draw
// keys in the same order.
#include "load/requests.h"

#include "base/random.h"
#include "load/memcached.h"
#include "protocol/reply_writer.h"

namespace freshet::load {
namespace {

void write_get(Protocol protocol, protocol::Buffer& out, std::string_view key) {
  if (protocol == Protocol::memcached) return memcached::write_get(out, key);
  out.append("*2\r\n$3\r\nGET\r\n");
  protocol::ReplyWriter(out).bulk(key);
}

void write_set(Protocol protocol, protocol::Buffer& out, std::string_view key, std::string_view value) {
  if (protocol == Protocol::memcached) return memcached::write_set(out, key, value);
  out.append("*3\r\n$3\r\nSET\r\n");
  protocol::ReplyWriter writer(out);
  writer.bulk(key);
  writer.bulk(value);
}

void write_get_many(Protocol protocol, protocol::Buffer& out, KeySource& keys, std::uint32_t count) {
  if (protocol == Protocol::memcached) {
    memcached::begin_get_many(out);
    for (std::uint32_t i = 0; i < count; ++i) memcached::add_key(out, keys.next());
    return memcached::end_line(out);
  }
  protocol::ReplyWriter writer(out);
  writer.array(count + 1);
  writer.bulk("MGET");
  for (std::uint32_t i = 0; i < count; ++i) writer.bulk(keys.next());
}

class MixedRequests final : public RequestSource {
 public:
  MixedRequests(Protocol protocol, std::shared_ptr<KeySet> keys, std::shared_ptr<const Values> values, Mix mix,
                std::uint64_t seed)
      : protocol_(protocol),
        keys_(std::move(keys)),
        values_(std::move(values)),
        mix_(mix),
        random_(seed),
        draws_(keys_->draws(random_())) {}

  bool next(protocol::Buffer& out) override {
    if (mix_.writes > 0 && random_.chance(mix_.writes)) {
      const auto key = draws_->next();
      write_set(protocol_, out, key, values_->of(key));
    } else if (mix_.batch == 1) {
      write_get(protocol_, out, draws_->next());
    } else {
      write_get_many(protocol_, out, *draws_, mix_.batch);
    }
    return true;
  }

 private:
  const Protocol protocol_;
  const std::shared_ptr<KeySet> keys_;
  const std::shared_ptr<const Values> values_;
  const Mix mix_;
  base::Random random_;
  const std::unique_ptr<KeySource> draws_;
};

// Each key of a thread's part once: written, or read if there are no values.
class EachOnce final : public RequestSource {
 public:
  EachOnce(Protocol protocol, std::shared_ptr<KeySet> keys, std::shared_ptr<const Values> values, int thread, int threads)
      : protocol_(protocol), keys_(std::move(keys)), values_(std::move(values)), each_(part_of(*keys_, thread, threads)) {}

  bool next(protocol::Buffer& out) override {
    const auto key = each_->next();
    if (key.empty()) return false;
    if (values_) write_set(protocol_, out, key, values_->of(key));
    else write_get(protocol_, out, key);
    return true;
  }

 private:
  static std::unique_ptr<KeySource> part_of(KeySet& keys, int thread, int threads) {
    const auto count = static_cast<std::uint64_t>(threads), number = static_cast<std::uint64_t>(thread);
    return keys.each(keys.size() * number / count, keys.size() * (number + 1) / count);
  }

  const Protocol protocol_;
  const std::shared_ptr<KeySet> keys_;
  const std::shared_ptr<const Values> values_;
  const std::unique_ptr<KeySource> each_;
};

}  // namespace

MakeRequests mixed_requests(std::shared_ptr<KeySet> keys, std::shared_ptr<const Values> values, Mix mix,
                            std::uint64_t seed) {
  return [=](Protocol protocol, int thread, int) {
    base::Random random(seed + static_cast<std::uint64_t>(thread));
    return std::make_unique<MixedRequests>(protocol, keys, values, mix, random());
  };
}

MakeRequests filling_requests(std::shared_ptr<KeySet> keys, std::shared_ptr<const Values> values) {
  return [=](Protocol protocol, int thread, int threads) {
    return std::make_unique<EachOnce>(protocol, keys, values, thread, threads);
  };
}

MakeRequests touching_requests(std::shared_ptr<KeySet> keys) {
  return [=](Protocol protocol, int thread, int threads) {
    return std::make_unique<EachOnce>(protocol, keys, nullptr, thread, threads);
  };
}

}  // namespace freshet::load
