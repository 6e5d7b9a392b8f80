// Loading, sampling, sizes, deletes, faults and reports, on small traces.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "simulator/curve.h"
#include "simulator/key_numbers.h"
#include "simulator/report.h"
#include "simulator/simulation.h"
#include "trace/synthetic.h"
#include "trace/writer.h"

namespace freshet::simulator {
namespace {

using testing::HasSubstr;
using testing::Not;

class Simulator : public testing::Test {
 protected:
  Simulator() : folder_(std::filesystem::temp_directory_path() / fmt::format("freshet-simulator-{}", ::getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~Simulator() override { std::filesystem::remove_all(folder_); }

  Result<Workload> load(const std::string& name, const std::string& text, const LoadOptions& options = {}) const {
    std::ofstream(folder_ / name, std::ios::binary) << text;
    return Workload::load((folder_ / name).string(), options);
  }
  Workload synthetic(const trace::SyntheticOptions& options, const LoadOptions& load_options = {}) const {
    const std::string path = (folder_ / "synthetic.oracleGeneral").string();
    auto writer = trace::Writer::create(path);
    for (trace::Synthetic requests(options); !requests.done();) EXPECT_TRUE((*writer)->write(requests.next()));
    EXPECT_TRUE((*writer)->finish());
    return *Workload::load(path, load_options);
  }
  static std::vector<Outcome> run(Workload& workload, std::initializer_list<const char*> policies,
                                  std::initializer_list<const char*> sizes, int threads = 1) {
    SimulationOptions options;
    for (const char* name : policies) options.policies.push_back(*policy_named(name));
    for (const char* size : sizes) options.sizes.push_back(*parse_cache_size(size));
    options.threads = threads;
    return simulate(workload, options).value();
  }

  const std::filesystem::path folder_;
};

TEST_F(Simulator, CountsByHand) {
  // Room for two objects of 10. LRU: a miss, b miss, a hit, c evicts b, b misses.
  auto workload = load("hand.csv", "id,size\na,10\nb,10\na,10\nc,10\nb,10\n");
  ASSERT_TRUE(workload);
  EXPECT_EQ(workload->objects(), 3u);
  EXPECT_EQ(workload->bytes_of_objects(), 30u);
  const auto outcomes = run(*workload, {"lru", "belady", "none", "read"}, {"20"});
  EXPECT_DOUBLE_EQ(outcomes[0].object_miss_ratio, 4.0 / 5);
  EXPECT_DOUBLE_EQ(outcomes[1].object_miss_ratio, 3.0 / 5);
  EXPECT_DOUBLE_EQ(outcomes[2].object_miss_ratio, 1);
  EXPECT_DOUBLE_EQ(outcomes[3].object_miss_ratio, 1);
  EXPECT_EQ(outcomes[0].peak_bytes, 20u);
}

TEST_F(Simulator, SizesAsTheReferenceHasThem) {
  // An object keeps the size that it came in with; one larger than the cache does not come in.
  auto workload = load("sizes.csv", "id,size\na,10\na,90\nb,10\nc,21\na,10\n");
  const auto outcome = run(*workload, {"fifo"}, {"20"}).at(0);
  EXPECT_DOUBLE_EQ(outcome.object_miss_ratio, 3.0 / 5);
  EXPECT_DOUBLE_EQ(outcome.byte_miss_ratio, (10.0 + 10 + 21) / (10 + 90 + 10 + 21 + 10));
  EXPECT_EQ(workload->bytes_of_objects(), 41u);
}

TEST_F(Simulator, DeletesEraseAndAreNoRequests) {
  auto workload = load("deletes", "1,k,1,9,1,get,0\n2,k,1,0,1,delete,0\n3,k,1,9,1,get,0\n4,x,1,0,1,delete,0\n"
                                  "5,k,1,9,1,get,0\n");
  ASSERT_TRUE(workload);
  EXPECT_EQ(workload->lookups(), 3u);
  for (const auto& outcome : run(*workload, {"fifo", "lru", "s3fifo", "arc", "lirs", "lhd", "gdsf", "belady"}, {"100"})) {
    EXPECT_DOUBLE_EQ(outcome.object_miss_ratio, 2.0 / 3) << outcome.policy->name;
  }
}

TEST_F(Simulator, StoresBringInAndResizeAndAreNoRequests) {
  // a is there when it is asked for, b was erased by being stored too large, a leaves when it grows, d was never stored.
  auto workload = load("stores.csv", "id,size,op\na,10,store\na,10,read\nb,10,store\nb,90,store\nb,90,read\n"
                                     "c,10,store\na,20,store\nc,10,read\nd,40,read\nd,40,store\nd,40,read\n");
  ASSERT_TRUE(workload);
  EXPECT_EQ(workload->lookups(), 5u);
  EXPECT_EQ(workload->bytes_of_objects(), 10u + 10 + 10 + 40);
  const auto outcomes = run(*workload, {"fifo", "lru", "none", "read"}, {"25"});
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_DOUBLE_EQ(outcomes[i].object_miss_ratio, 3.0 / 5) << outcomes[i].policy->name;  // b and twice d, too large.
    EXPECT_EQ(outcomes[i].requests, 5u);
    EXPECT_EQ(outcomes[i].peak_bytes, 20u);
  }
  for (std::size_t i = 2; i < 4; ++i) {
    EXPECT_DOUBLE_EQ(outcomes[i].object_miss_ratio, 1);
    EXPECT_DOUBLE_EQ(outcomes[i].byte_miss_ratio, 1);
  }
  const auto whole = run(*workload, {"fifo", "s3fifo", "arc", "lirs", "lhd", "gdsf", "belady"}, {"1000"});
  for (const auto& outcome : whole) EXPECT_DOUBLE_EQ(outcome.object_miss_ratio, 1.0 / 5) << outcome.policy->name;
  workload->find_next();
  std::vector<std::uint32_t> next;
  for (const Request& request : workload->blocks()[0].requests) next.push_back(request.next);
  const auto never = Request::kNever;
  EXPECT_EQ(next, (std::vector<std::uint32_t>{0, never, 1, 1, never, 2, never, never, 4, 4, never}));
}

TEST_F(Simulator, TheFutureIsCountedInLookups) {
  auto workload = load("future", "1,a,1,0,1,get,0\n2,b,1,0,1,get,0\n3,b,1,0,1,delete,0\n4,a,1,0,1,get,0\n5,b,1,0,1,get,0\n");
  workload->find_next();
  std::vector<std::uint32_t> next;
  for (const Request& request : workload->blocks()[0].requests) next.push_back(request.next);
  EXPECT_EQ(next, (std::vector<std::uint32_t>{2, Request::kNever, 3, Request::kNever, Request::kNever}));
}

TEST_F(Simulator, ACutTraceIsReportedAsFarAsItWasRead) {
  auto workload = load("cut.csv", "id,size\na,10\nb,10\na,ten\nc,10\n");
  ASSERT_TRUE(workload);
  ASSERT_TRUE(workload->fault());
  EXPECT_EQ(workload->fault()->what, "record 3: \"ten\" is not a size");
  EXPECT_EQ(workload->lookups(), 2u);
  const auto nothing = load("nothing.csv", "id,size\na,ten\n");
  ASSERT_FALSE(nothing);
  EXPECT_EQ(nothing.error().what, "record 1: \"ten\" is not a size");
}

// What a pipe gives cannot be read again: a trace in it that is too large ends there.
TEST_F(Simulator, MemoryIsBounded) {
  trace::SyntheticOptions options;
  options.requests = 3 * Block::kRequests;
  (void)synthetic(options);
  LoadOptions load_options;
  load_options.memory_bytes_max = 2 * Block::kRequests * sizeof(Request);
  load_options.read.format = trace::Format::oracle_general;
  const std::string path = (folder_ / "synthetic.oracleGeneral").string();
  FILE* const pipe = ::popen(fmt::format("cat '{}' 2>/dev/null", path).c_str(), "r");
  const auto workload = Workload::load(fmt::format("/proc/self/fd/{}", ::fileno(pipe)), load_options);
  ASSERT_TRUE(workload) << workload.error().what;
  ::pclose(pipe);
  ASSERT_TRUE(workload->fault());
  EXPECT_THAT(workload->fault()->what, HasSubstr(fmt::format("record {}: ", 2 * Block::kRequests + 1)));
  EXPECT_EQ(workload->lookups(), 2 * Block::kRequests);
  EXPECT_FALSE(workload->in_passes());
}

// Reads, stores and deletes of objects whose sizes change, as CSV.
std::string mixed_csv(std::uint64_t requests) {
  trace::SyntheticOptions options;
  options.requests = requests;
  options.habits[0].objects = 20'000;
  std::string text = "time,id,size,op\n";
  base::Random random(9);
  for (trace::Synthetic each(options); !each.done();) {
    const auto record = each.next();
    const auto draw = random.below(20);
    text += fmt::format("{},{},{},{}\n", record.time_s, record.key, record.size + draw,
                        draw == 0 ? "delete" : draw < 5 ? "store" : "read");
  }
  return text;
}

LoadOptions in_passes() {
  LoadOptions options;
  options.memory_bytes_max = 1 << 20;
  return options;
}

void expect_equal(const std::vector<Outcome>& some, const std::vector<Outcome>& others) {
  ASSERT_EQ(some.size(), others.size());
  for (std::size_t i = 0; i < some.size(); ++i) {
    SCOPED_TRACE(some[i].policy->name);
    EXPECT_EQ(some[i].policy, others[i].policy);
    EXPECT_EQ(some[i].size_bytes, others[i].size_bytes);
    EXPECT_EQ(some[i].requests, others[i].requests);
    EXPECT_EQ(some[i].object_miss_ratio, others[i].object_miss_ratio);
    EXPECT_EQ(some[i].byte_miss_ratio, others[i].byte_miss_ratio);
    EXPECT_EQ(some[i].peak_bytes, others[i].peak_bytes);
    EXPECT_EQ(some[i].overhead_bytes, others[i].overhead_bytes);
  }
}

TEST_F(Simulator, PassesGiveWhatMemoryGives) {
  const std::string text = mixed_csv(300'000);  // Four blocks, in windows of one.
  for (const double rate : {1.0, 0.3}) {
    LoadOptions options;
    options.sample_rate = rate;
    auto held = load("held.csv", text, options);
    options.memory_bytes_max = 1 << 20;
    auto passing = load("passing.csv", text, options);
    ASSERT_TRUE(held && passing);
    EXPECT_FALSE(held->in_passes());
    ASSERT_TRUE(passing->in_passes());
    EXPECT_TRUE(passing->blocks().empty());
    EXPECT_EQ(held->lookups(), passing->lookups());
    EXPECT_EQ(held->objects(), passing->objects());
    EXPECT_EQ(held->bytes_of_objects(), passing->bytes_of_objects());
    const auto replay = [rate](Workload& workload, int threads) {
      if (rate < 1) return run(workload, {"read", "s3fifo", "gdsf"}, {"10%"}, threads);
      return run(workload, {"read", "none", "fifo", "lru", "clock", "sieve", "s3fifo", "wtinylfu", "arc", "lirs", "lhd",
                            "gdsf", "glcache"}, {"1%", "4MiB"}, threads);
    };
    const auto outcomes = replay(*held, 2);
    expect_equal(replay(*passing, 1), outcomes);
    expect_equal(replay(*passing, 3), outcomes);
  }
}

TEST_F(Simulator, PassesOverACutTraceEndWhereItDoes) {
  const std::string text = mixed_csv(100'000) + "1,2,three,read\n1,2,3,read\n";
  auto held = load("held.csv", text);
  auto passing = load("passing.csv", text, in_passes());
  ASSERT_TRUE(held && passing && held->fault() && passing->fault());
  EXPECT_EQ(passing->fault()->what, "record 100001: \"three\" is not a size");
  EXPECT_EQ(passing->records_read(), 100'000u);
  expect_equal(run(*passing, {"lru", "lhd"}, {"10%"}), run(*held, {"lru", "lhd"}, {"10%"}));
}

TEST_F(Simulator, PassesHaveLimits) {
  auto workload = load("trace.csv", mixed_csv(100'000), in_passes());
  SimulationOptions options;
  options.policies = {*policy_named("lru"), *policy_named("belady")};
  options.sizes = {{.bytes = 0, .fraction = 0.1}};
  const auto future = simulate(*workload, options);
  ASSERT_FALSE(future);
  EXPECT_THAT(future.error().what, HasSubstr("Belady looks into the future"));
  options.policies.pop_back();
  EXPECT_TRUE(simulate(*workload, options));
  for (const std::string& text : {mixed_csv(99'999), "time,id,size,op\n1,never-seen,3,read\n" + mixed_csv(100'000)}) {
    std::ofstream(folder_ / "trace.csv", std::ios::binary) << text;
    const auto changed = simulate(*workload, options);
    ASSERT_FALSE(changed);
    EXPECT_THAT(changed.error().what, HasSubstr("changed while it was read"));
  }
}

TEST_F(Simulator, SizesOfCaches) {
  EXPECT_EQ(parse_cache_size("64MiB")->bytes, 64u << 20);
  EXPECT_DOUBLE_EQ(parse_cache_size("0.1%")->fraction, 0.001);
  for (const char* wrong : {"", "%", "0%", "101%", "-1%", "1%x", "0", "ten", "nan%"}) {
    EXPECT_FALSE(parse_cache_size(wrong)) << wrong;
  }
  EXPECT_EQ((*policy_named("S3-FIFO"))->name, "s3fifo");
  EXPECT_EQ(policy_named("sive").error().remedy, "did you mean \"sieve\"?");
}

// A tenth of the keys gives nearly the curve of all of them, at the sizes of all of them.
TEST_F(Simulator, SamplingKeepsTheMissRatio) {
  trace::SyntheticOptions options;
  options.requests = 400'000;
  options.habits[0].objects = 50'000;
  options.habits[0].skew = 0.8;
  auto whole = synthetic(options);
  LoadOptions sampling;
  sampling.sample_rate = 0.1;
  auto sampled = synthetic(options, sampling);
  EXPECT_NEAR(sampled.objects(), 0.1 * whole.objects(), 0.01 * whole.objects());
  EXPECT_EQ(sampled.records_read(), options.requests);
  const auto full = run(whole, {"lru", "s3fifo"}, {"10%", "16MiB"});
  const auto part = run(sampled, {"lru", "s3fifo"}, {"10%", "16MiB"});
  for (std::size_t i = 0; i < full.size(); ++i) {
    EXPECT_NEAR(part[i].object_miss_ratio, full[i].object_miss_ratio, 0.03) << i;
    EXPECT_NEAR(static_cast<double>(part[i].size_bytes) / static_cast<double>(full[i].size_bytes), 1, 0.1) << i;
    EXPECT_LE(part[i].peak_bytes, 0.11 * static_cast<double>(full[i].size_bytes));
  }
}

TEST_F(Simulator, RepeatsExactlyOnAnyNumberOfThreads) {
  trace::SyntheticOptions options;
  options.requests = 100'000;
  options.habits[0].scan_share = 0.2;
  auto workload = synthetic(options);
  std::vector<double> ratios[2];
  for (const int threads : {1, 4}) {
    for (const auto& outcome : run(workload, {"lhd", "wtinylfu", "gdsf", "lirs"}, {"1%", "10%"}, threads)) {
      ratios[threads == 1 ? 0 : 1].push_back(outcome.object_miss_ratio);
    }
  }
  EXPECT_EQ(ratios[0], ratios[1]);
}

// What every policy worth its name does: better than FIFO on a skewed load with scans, never better than the bound.
TEST_F(Simulator, PoliciesAreWorthTheirNames) {
  trace::SyntheticOptions options;
  options.requests = 400'000;
  options.size_sigma = 0;
  options.habits[0].objects = 40'000;
  options.habits[0].scan_share = 0.2;
  auto workload = synthetic(options);
  const auto bound = run(workload, {"belady"}, {"5%"}).at(0).object_miss_ratio;
  const auto fifo = run(workload, {"fifo"}, {"5%"}).at(0).object_miss_ratio;
  const auto outcomes = run(workload, {"lru", "clock", "sieve", "s3fifo", "wtinylfu", "arc", "lirs", "lhd", "gdsf"}, {"5%"});
  for (const auto& outcome : outcomes) {
    EXPECT_GT(outcome.object_miss_ratio, bound) << outcome.policy->name;
    EXPECT_LT(outcome.object_miss_ratio, fifo) << outcome.policy->name;
  }
  EXPECT_EQ(run(workload, {"beladysize"}, {"5%"}).at(0).object_miss_ratio, bound);  // All sizes are equal.
}

TEST_F(Simulator, Reports) {
  auto workload = load("r<&>.csv", "id,size\na,10\nb,10\na,10\n");
  const auto outcomes = run(*workload, {"lru", "fifo"}, {"50%", "100%"});
  const std::string json = json_of(*workload, outcomes);
  EXPECT_EQ(std::count(json.begin(), json.end(), '\n'), 4);
  EXPECT_THAT(json, HasSubstr("\"policy\":\"lru\",\"size_bytes\":20,\"requests\":3,\"object_miss_ratio\":0.666667,"
                              "\"byte_miss_ratio\":0.666667,\"requests_per_s\":"));
  EXPECT_THAT(json, HasSubstr(",\"peak_bytes\":20}\n"));
  EXPECT_THAT(table_of(*workload, outcomes), HasSubstr("3 requests, 2 objects, 20 B in all"));
  for (const std::string& picture : {curve_svg(*workload, outcomes), curve_html(*workload, outcomes)}) {
    EXPECT_THAT(picture, HasSubstr("<polyline"));
    EXPECT_THAT(picture, HasSubstr("r&lt;&amp;&gt;.csv"));
    EXPECT_THAT(picture, Not(HasSubstr("r<&>")));
    EXPECT_THAT(picture, Not(HasSubstr("<script")));
    EXPECT_THAT(picture, Not(HasSubstr("nan")));
  }
}

TEST(KeyNumbers, CountKeysInOrder) {
  KeyNumbers numbers;
  for (std::uint64_t round = 0; round < 2; ++round) {
    for (std::uint64_t i = 0; i < 100'000; ++i) ASSERT_EQ(numbers.number_of(trace::mix(i)), i);
  }
  EXPECT_EQ(numbers.count(), 100'000u);
}

}  // namespace
}  // namespace freshet::simulator
