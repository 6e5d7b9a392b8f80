// The linked cache as an application meets it (include/freshet/cache.h): linearizable hits by one thread and by two, uniform
// over 1 M keys of 100 bytes, copied out; and the same keys in the process's own std::unordered_map, the run's yardstick.
//
// Run: linked_bench [seconds a figure, default 2]. Prints one line a figure: millions a second, and the ratio.
#include <fmt/format.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "freshet/cache.h"

namespace freshet {
namespace {

constexpr std::uint64_t kKeys = 1'000'000;
constexpr std::size_t kValueBytes = 100;
constexpr std::size_t kDraws = std::size_t{1} << 22;
constexpr std::uint64_t kLoadsInFlight = 1000;
constexpr int kCallsAClockReading = 4096;

// "key:" and sixteen hexadecimal digits, written without a call.
struct Key {
  explicit Key(std::uint64_t number) {
    for (int i = 0; i < 16; ++i) text[4 + i] = "0123456789abcdef"[number >> (60 - 4 * i) & 15];
  }
  std::string_view view() const { return {text.data(), text.size()}; }
  std::array<char, 20> text = {'k', 'e', 'y', ':'};
};

void load(Cache& cache) {
  const std::string value(kValueBytes, 'v');
  std::atomic<std::uint64_t> finished{0};
  for (std::uint64_t i = 0; i < kKeys; ++i) {
    while (i - finished.load() >= kLoadsInFlight) std::this_thread::yield();
    cache.put(Key(i).view(), value, {}, [&](Result<std::uint64_t> version) {
      if (!version) {
        fmt::print(stderr, "load: {}\n", version.error().what);
        std::exit(1);
      }
      ++finished;
    });
  }
  while (finished < kKeys) std::this_thread::yield();
}

// Calls `step(draw)` for about `seconds`; returns millions of calls a second.
template <typename Step>
double measure(double seconds, const std::vector<std::uint32_t>& draws, Step step) {
  const auto begin = base::now();
  const auto end = begin + static_cast<base::Nanoseconds>(seconds * base::kSecond);
  std::uint64_t calls = 0;
  auto now = begin;
  for (; now < end; now = base::now()) {
    for (int i = 0; i < kCallsAClockReading; ++i) step(draws[calls++ & (kDraws - 1)]);
  }
  return static_cast<double>(calls) / static_cast<double>(now - begin) * 1e3;
}

void run(double seconds) {
  const auto directory = std::filesystem::temp_directory_path() / fmt::format("freshet-bench-{}", base::entropy());
  Options options;
  options.data_directory = directory.string();
  options.relaxed_durability = true;
  auto opened = Cache::open(options);
  if (!opened) {
    fmt::print(stderr, "open: {}\n", opened.error().what);
    std::exit(1);
  }
  auto& cache = **opened;
  while (!cache.put("ready", "").get()) std::this_thread::yield();
  load(cache);
  std::unordered_map<std::string, std::string> map;
  map.reserve(kKeys);
  for (std::uint64_t i = 0; i < kKeys; ++i) map.emplace(std::string(Key(i).view()), std::string(kValueBytes, 'v'));
  base::Random random(1);
  std::vector<std::uint32_t> draws(kDraws);
  for (auto& draw : draws) draw = static_cast<std::uint32_t>(random.below(kKeys));

  std::array<char, kValueBytes> buffer;
  std::uint64_t misses = 0;
  const auto hit = [&](std::uint32_t draw) {
    misses += cache.try_get(Key(draw).view(), buffer).hit != Hit::present;
  };
  const double yardstick = measure(seconds, draws, [&](std::uint32_t draw) {
    const auto found = map.find(std::string(Key(draw).view()));
    std::copy(found->second.begin(), found->second.end(), buffer.begin());
  });
  fmt::print("std::unordered_map, one thread, no lock:   {:5.2f} M/s\n", yardstick);
  const double one = measure(seconds, draws, hit);
  fmt::print("linearizable hit, one thread:              {:5.2f} M/s   {:.2f} of the map\n", one, one / yardstick);
  std::array<double, 2> both{};
  std::vector<std::thread> threads;
  for (auto& result : both) {
    threads.emplace_back([&] {
      std::array<char, kValueBytes> own;
      result = measure(seconds, draws, [&](std::uint32_t draw) { cache.try_get(Key(draw ^ 1).view(), own); });
    });
  }
  for (auto& thread : threads) thread.join();
  fmt::print("linearizable hit, two threads:             {:5.2f} M/s   {:.2f} of one\n", both[0] + both[1],
             (both[0] + both[1]) / one);
  fmt::print("misses: {}\n", misses);
  opened->reset();
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace freshet

int main(int argc, char** argv) {
  freshet::run(argc > 1 ? std::atof(argv[1]) : 2);
  return 0;
}
