// Training by XGBoost's library: gradient-boosted regression trees on squared error. The only file that knows the library.
// See eviction/gl_cache/learner.h.
#include <xgboost/c_api.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>

#include <fmt/format.h>

#include "base/random.h"
#include "eviction/gl_cache/learner.h"

namespace freshet::eviction::gl_cache {
namespace {

constexpr std::uint32_t kRoundsMax = 20;
constexpr std::uint32_t kCalmRoundsMax = 3;  // Rounds in a row that change the error by little, before it stops.
constexpr float kLittle = 0.01F;             // Of the error.
constexpr std::size_t kValidationPart = 10;  // One row in so many validates.

// The first call of the library that failed ends it all.
class Booster {
 public:
  Booster() = default;
  Booster(const Booster&) = delete;
  Booster& operator=(const Booster&) = delete;
  ~Booster() {
    if (booster_ != nullptr) XGBoosterFree(booster_);
    for (const DMatrixHandle matrix : {learns_, validates_}) {
      if (matrix != nullptr) XGDMatrixFree(matrix);
    }
  }

  Result<Training> train(const Lesson& lesson);

 private:
  void call(int outcome, const char* what) {
    if (outcome != 0 && fault_.empty()) fault_ = fmt::format("{}: {}", what, XGBGetLastError());
  }
  bool ok() const { return fault_.empty(); }
  Error error() const {
    return Error::of(ErrorCode::internal, fmt::format("XGBoost could not train: {}", fault_),
                     "GL-Cache goes on with the model that it had");
  }

  DMatrixHandle matrix_of(const Lesson& lesson, bool validation) {
    std::vector<float> values, labels;
    for (std::size_t i = 0; i < lesson.rows.size(); ++i) {
      if (validates(lesson, i) != validation) continue;
      values.insert(values.end(), lesson.rows[i].begin(), lesson.rows[i].end());
      labels.push_back(lesson.labels[i]);
    }
    DMatrixHandle matrix = nullptr;
    call(XGDMatrixCreateFromMat(values.data(), labels.size(), kFeatures, std::nanf(""), &matrix), "rows");
    if (ok()) call(XGDMatrixSetFloatInfo(matrix, "label", labels.data(), labels.size()), "labels");
    return matrix;
  }
  static bool validates(const Lesson& lesson, std::size_t row) {
    base::Random random(lesson.seed + row * 0x9e3779b97f4a7c15);
    return random.below(kValidationPart) == 0;
  }
  void configure(float base) {
    const std::string base_score = fmt::format("{}", base);
    const std::pair<const char*, const char*> parameters[] = {
        {"booster", "gbtree"}, {"objective", "reg:squarederror"}, {"eval_metric", "rmse"}, {"tree_method", "hist"},
        {"max_bin", "64"}, {"max_depth", "5"}, {"eta", "0.3"}, {"min_child_weight", "20"}, {"nthread", "1"},
        {"verbosity", "0"}, {"validate_parameters", "0"}, {"seed", "0"}, {"base_score", base_score.c_str()}};
    for (const auto& [name, value] : parameters) call(XGBoosterSetParam(booster_, name, value), name);
  }
  float evaluate(std::uint32_t round) {
    const char* name = "v";
    const char* words = nullptr;  // "[0]\tv-rmse:0.25"
    DMatrixHandle matrix = validates_;
    call(XGBoosterEvalOneIter(booster_, static_cast<int>(round), &matrix, &name, 1, &words), "validation");
    const char* number = ok() ? std::strrchr(words, ':') : nullptr;
    return number == nullptr ? std::nanf("") : std::strtof(number + 1, nullptr);
  }
  void boost(Training& training);
  Result<void> read_trees(Trees& trees);

  BoosterHandle booster_ = nullptr;
  DMatrixHandle learns_ = nullptr;
  DMatrixHandle validates_ = nullptr;
  std::string fault_;
};

void Booster::boost(Training& training) {
  float error = training.error_of_mean;
  std::uint32_t calm = 0;
  while (ok() && training.rounds < kRoundsMax && calm < kCalmRoundsMax) {
    call(XGBoosterUpdateOneIter(booster_, static_cast<int>(training.rounds), learns_), "a round");
    const float now = evaluate(training.rounds++);
    calm = error - now < kLittle * error ? calm + 1 : 0;
    error = now;
  }
  training.error = error;
}

Result<void> Booster::read_trees(Trees& trees) {
  bst_ulong count = 0;
  const char** texts = nullptr;
  call(XGBoosterDumpModelEx(booster_, "", 1, "text", &count, &texts), "the trees");
  if (!ok()) return error();
  for (bst_ulong i = 0; i < count; ++i) {
    if (auto added = trees.add(texts[i]); !added) return added;
  }
  return {};
}

Result<Training> Booster::train(const Lesson& lesson) {
  const auto begin = base::now();
  double sum = 0;
  for (const float label : lesson.labels) sum += label;
  const auto mean = static_cast<float>(sum / static_cast<double>(std::max<std::size_t>(1, lesson.labels.size())));
  double squares = 0, validating = 0;
  for (std::size_t i = 0; i < lesson.labels.size(); ++i) {
    if (!validates(lesson, i)) continue;
    squares += (lesson.labels[i] - mean) * (lesson.labels[i] - mean);
    ++validating;
  }
  if (validating == 0 || static_cast<std::size_t>(validating) == lesson.labels.size()) {
    fault_ = fmt::format("{} rows are too few", lesson.labels.size());
    return error();
  }
  Training training{.trees = Trees(mean), .rows = static_cast<std::uint32_t>(lesson.rows.size())};
  training.error_of_mean = static_cast<float>(std::sqrt(squares / validating));
  learns_ = matrix_of(lesson, false);
  validates_ = matrix_of(lesson, true);
  if (ok()) call(XGBoosterCreate(&learns_, 1, &booster_), "a booster");
  if (ok()) configure(mean);
  if (ok()) boost(training);
  if (!ok()) return error();
  if (auto read = read_trees(training.trees); !read) return read.error();
  training.spent = base::now() - begin;
  return training;
}

}  // namespace

Result<Training> train(const Lesson& lesson) { return Booster().train(lesson); }

}  // namespace freshet::eviction::gl_cache
