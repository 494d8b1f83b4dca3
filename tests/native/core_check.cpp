// Runs the whole network on every row of products that this CPU supports, without Python. Compares with the same
// formulas in double precision and with the scalar row. Batch size, order and threads must not change a bit.
//
// B images, N patches, C channels, H hidden width after the gate, K depth of a product, M its outputs.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "every_row.hpp"
#include "network/model.hpp"

namespace {

using gmixer::Architecture;
using gmixer::Model;
using Floats = std::vector<float>;
using Tensors = std::map<std::string, Floats>;

std::atomic<long> failures{0};

void fail(const std::string& what) {
  if (++failures <= 20) std::fprintf(stderr, "core_check: %s\n", what.c_str());
}

// Odd widths: tiles have 4, 6, 12 or 14 rows, panels 2 to 32 columns. A sum is cut at 128, in the head at 48. Cases are
// small, for emulators and sanitizers. A case with one long dimension keeps the others short.
struct Case {
  const char* what;
  Architecture architecture;  // {in_chans, image_px, patch_px}, C, blocks, token H, channel H, classes, gated
  std::size_t images;         // the largest batch
  std::vector<std::size_t> threads = {1, 2, 3};
  // bf16 and int8 share the network with fp32. A few cases show that their kernels keep its promise about bits.
  bool bits_of_every_precision = false;
  float outlier = 1;  // the stem gives channel 5 so many times the magnitude of the others
};
const Case kCases[] = {
    {"one patch, one class", {{3, 8, 8}, 16, 2, 3, 21, 1, true}, 7},
    {"one patch, gelu", {{1, 4, 4}, 16, 2, 5, 1, 3, false}, 7},
    {"25 patches, half a panel over", {{1, 40, 8}, 48, 2, 37, 40, 33, true}, 4, {1, 2, 3}, true},
    {"9 patches narrower than a run, gelu", {{4, 12, 4}, 80, 2, 13, 50, 42, false}, 7, {1, 2, 3}, true},
    {"no classes", {{3, 16, 4}, 32, 2, 8, 64, 0, true}, 3},
    {"144 patches, long sums", {{1, 24, 2}, 16, 2, 131, 5, 3, true}, 2},
    {"144 patches, long sums, gelu", {{1, 24, 2}, 16, 2, 131, 5, 3, false}, 2},
    {"144 channels, long sums", {{3, 21, 7}, 144, 2, 3, 133, 101, true}, 3},
    {"272 channels, longer sums, gelu", {{3, 14, 7}, 272, 2, 3, 133, 101, false}, 3},
    {"one channel of 1000 times the rest", {{3, 12, 4}, 48, 2, 19, 40, 9, true}, 3, {2}, false, 1000},
    {"one channel of 1000 times the rest, gelu", {{3, 12, 4}, 48, 2, 19, 40, 9, false}, 3, {2}, false, 1000},
    {"a batch larger than one pass, gelu", {{1, 16, 1}, 256, 1, 1, 1, 5, false}, 17, {2}},
};

// Weights N(0, 1/K), biases and β N(0, 0.2), γ U(0.5, 1.5): no part of the network is near zero.
Tensors draw_tensors(const Architecture& a, float outlier, std::mt19937& random) {
  Tensors tensors;
  const auto normal = [&](std::size_t count, float sigma) {
    Floats values(count);
    std::normal_distribution<float> draw(0, sigma);
    for (float& value : values) value = draw(random);
    return values;
  };
  const auto linear = [&](const std::string& name, std::size_t M, std::size_t K) {
    tensors[name + ".weight"] = normal(M * K, 1 / std::sqrt(static_cast<float>(K)));
    tensors[name + ".bias"] = normal(M, 0.2f);
  };
  const auto norm = [&](const std::string& name) {
    Floats& gamma = tensors[name + ".weight"] = Floats(a.channels);
    for (float& value : gamma) value = std::uniform_real_distribution<float>(0.5f, 1.5f)(random);
    tensors[name + ".bias"] = normal(a.channels, 0.2f);
  };
  const std::size_t N = a.grid.patches(), C = a.channels, gate = a.gated ? 2 : 1;
  linear("stem.proj", C, a.grid.patch_floats());
  const std::size_t K = a.grid.patch_floats();
  for (std::size_t k = 0; k < K; ++k) tensors["stem.proj.weight"][5 * K + k] *= outlier;
  tensors["stem.proj.bias"][5] *= outlier;
  for (std::size_t i = 0; i < a.blocks; ++i) {
    const std::string block = "blocks." + std::to_string(i);
    norm(block + ".norm1");
    linear(block + ".mlp_tokens.fc1", a.token_hidden * gate, N);
    linear(block + ".mlp_tokens.fc2", N, a.token_hidden);
    norm(block + ".norm2");
    linear(block + ".mlp_channels.fc1", a.channel_hidden * gate, C);
    linear(block + ".mlp_channels.fc2", C, a.channel_hidden);
  }
  norm("norm");
  if (a.num_classes) linear("head", a.num_classes, C);
  return tensors;
}

// ---- The reference: plain loops in double. Beside every value stands the error that float32 arithmetic may have.
//
// A sum of K products and a bias may be off by sqrt(K + 1) · eps · (|bias| + Σ|w·x|) of its own. It also carries the
// errors of its inputs. Errors count as independent: they add as squares, to first order. The margin is in the first
// term: an operation rounds by at most eps / 2.

constexpr double kEps = std::numeric_limits<float>::epsilon();

struct Value {
  double value = 0, error = 0;
};
using Values = std::vector<Value>;

double square(double x) { return x * x; }

Value plus(Value a, Value b) {
  const double sum = a.value + b.value;
  return {sum, std::hypot(a.error, b.error, kEps * sum)};
}

Value times(Value a, Value b) {
  const double product = a.value * b.value;
  return {product, std::hypot(a.error * b.value, b.error * a.value, kEps * product)};
}

// What a precision does to an operand of the blocks' products. It takes the nearest of numbers that lie a step apart:
// int8 a scale, a 127th of the largest magnitude of the row; bf16 2^-7 of the power of two. The error is at most half a
// step. Spread evenly, it has a deviation of step / √12. It counts as two steps, 7 deviations: sums of such errors are
// nearly normal, and no test draws one beyond 7 deviations.
struct Rounding {
  const std::string precision;

  double step(double x, double largest) const {
    if (precision == "int8") return largest / 127;
    if (precision == "bf16") return std::ldexp(1.0, std::max(std::ilogb(x), -126) - 7);
    return 0;
  }
  // The row as the core stores weights. They are known, so no error stands beside them.
  std::vector<double> weights(const float* row, std::size_t K) const {
    std::vector<double> rounded(row, row + K);
    double largest = 0;
    for (const double w : rounded) largest = std::max(largest, std::abs(w));
    for (double& w : rounded) {
      const double step_w = step(w, largest);
      if (step_w > 0) w = std::nearbyint(w / step_w) * step_w;
    }
    return rounded;
  }
  // K activations a stride apart, side by side.
  Values operand(const Value* x, std::size_t K, std::size_t stride) const {
    Values rounded(K);
    double largest = 0;
    for (std::size_t k = 0; k < K; ++k) largest = std::max(largest, std::abs(x[k * stride].value));
    for (std::size_t k = 0; k < K; ++k) {
      const Value& x_k = x[k * stride];
      rounded[k] = {x_k.value, std::hypot(x_k.error, 2 * step(x_k.value, largest))};
    }
    return rounded;
  }
  // Relative, of the core's silu beyond x. fp32: about 1 ulp of e^x, half an ulp of the sum and of the quotient. The
  // others: a quick one (products/activation.hpp).
  double of_silu() const { return precision == "fp32" ? 2 * kEps : 0x1p-12; }
};

// bias + sum over k of w[k] · x[k · stride].
template <class Weight>
Value dot(const Weight* w, const Value* x, std::size_t K, std::size_t stride, double bias) {
  double sum = bias, size = std::abs(bias), carried = 0;
  for (std::size_t k = 0; k < K; ++k) {
    const Value& x_k = x[k * stride];
    sum += w[k] * x_k.value;
    size += std::abs(w[k] * x_k.value);
    carried += square(w[k] * x_k.error);
  }
  return {sum, std::hypot(std::sqrt(carried), std::sqrt(static_cast<double>(K + 1)) * kEps * size)};
}

Value mean(const Value* x, std::size_t count, std::size_t stride) {
  const Floats ones(count, 1);
  const Value sum = dot(ones.data(), x, count, stride, 0);
  return {sum.value / static_cast<double>(count), sum.error / static_cast<double>(count)};
}

// x / (1 + e^-x), off by so much of its value.
Value silu(Value x, double relative_error) {
  const double sigmoid = 1 / (1 + std::exp(-x.value)), value = x.value * sigmoid;
  const double slope = sigmoid * (1 + x.value * (1 - sigmoid));
  return {value, std::hypot(slope * x.error, relative_error * value)};
}

// x · Φ(x). Its error: 4e-8 of the polynomial (products/activation.hpp), and the rounding of x - x·e.
Value gelu(Value x) {
  const double phi = std::erfc(-x.value / std::sqrt(2.0)) / 2;
  const double slope = phi + x.value * std::exp(-square(x.value) / 2) / std::sqrt(2 * 3.14159265358979323846);
  return {x.value * phi, std::hypot(slope * x.error, 4e-8 + 2 * kEps * std::abs(x.value))};
}

struct Reference {
  const Architecture& a;
  const Tensors& tensors;
  const Rounding rounding;
  const std::size_t N = a.grid.patches(), C = a.channels;
  std::map<std::string, std::vector<double>> mlp_weights = {};  // of the blocks' layers, rounded

  Reference(const Architecture& a, const Tensors& tensors, const std::string& precision)
      : a(a), tensors(tensors), rounding{precision} {
    for (const auto& [name, values] : tensors) {
      if (name.find(".mlp_") == std::string::npos || !name.ends_with(".weight")) continue;
      const std::string layer = name.substr(0, name.rfind('.'));
      const std::size_t M = tensors.at(layer + ".bias").size(), K = values.size() / M;
      for (std::size_t m = 0; m < M; ++m)
        for (const double w : rounding.weights(&values[m * K], K)) mlp_weights[layer].push_back(w);
    }
  }

  const float* weight(const std::string& name) const { return tensors.at(name + ".weight").data(); }
  const float* bias(const std::string& name) const { return tensors.at(name + ".bias").data(); }

  // LayerNorm over the channels of each row.
  Values norm(const Values& x_NC, const std::string& name) const {
    Values y_NC(N * C);
    for (std::size_t n = 0; n < N; ++n) {
      const Value* x = &x_NC[n * C];
      const Value middle = mean(x, C, 1);
      Values distance(C), squares(C);
      for (std::size_t c = 0; c < C; ++c) {
        distance[c] = plus(x[c], {-middle.value, middle.error});
        const double d = distance[c].value;
        squares[c] = {d * d, 2 * d * distance[c].error};
      }
      const Value variance = mean(squares.data(), C, 1);
      const double scale = 1 / std::sqrt(variance.value + 1e-6);
      const double relative = std::hypot(variance.error / 2 * square(scale), 2 * kEps);
      for (std::size_t c = 0; c < C; ++c) {
        const Value scaled = times(times(distance[c], {scale, scale * relative}), {weight(name)[c], 0});
        y_NC[n * C + c] = plus(scaled, {bias(name)[c], 0});
      }
    }
    return y_NC;
  }

  // act(fc1(x)), then fc2. x: K values a stride apart; returns M of them.
  Values mlp(const Value* x, std::size_t K, std::size_t stride, std::size_t H, std::size_t M,
             const std::string& name) const {
    const float *b1 = bias(name + ".fc1"), *b2 = bias(name + ".fc2");
    const std::vector<double> &w1 = mlp_weights.at(name + ".fc1"), &w2 = mlp_weights.at(name + ".fc2");
    const Values in = rounding.operand(x, K, stride);
    Values hidden(H), y(M);
    for (std::size_t h = 0; h < H; ++h) {
      hidden[h] = dot(&w1[h * K], in.data(), K, 1, b1[h]);
      hidden[h] = a.gated ? times(hidden[h], silu(dot(&w1[(H + h) * K], in.data(), K, 1, b1[H + h]), rounding.of_silu()))
                          : gelu(hidden[h]);
    }
    hidden = rounding.operand(hidden.data(), H, 1);
    for (std::size_t m = 0; m < M; ++m) y[m] = dot(&w2[m * H], hidden.data(), H, 1, b2[m]);
    return y;
  }

  Values stem(const Floats& image) const {
    const auto [chans, image_px, px] = a.grid;
    const std::size_t side = a.grid.per_side(), K = a.grid.patch_floats();
    Values x_NC(N * C), patch(K);
    for (std::size_t n = 0; n < N; ++n) {
      for (std::size_t k = 0; k < K; ++k) {
        const std::size_t channel = k / (px * px), y = n / side * px + k / px % px, x = n % side * px + k % px;
        patch[k] = {image[(channel * image_px + y) * image_px + x], 0};
      }
      for (std::size_t c = 0; c < C; ++c)
        x_NC[n * C + c] = dot(weight("stem.proj") + c * K, patch.data(), K, 1, bias("stem.proj")[c]);
    }
    return x_NC;
  }

  void mix(Values& x_NC, const std::string& block) const {
    const Values tokens_in = norm(x_NC, block + ".norm1");
    for (std::size_t c = 0; c < C; ++c) {
      const Values y_N = mlp(&tokens_in[c], N, C, a.token_hidden, N, block + ".mlp_tokens");
      for (std::size_t n = 0; n < N; ++n) x_NC[n * C + c] = plus(x_NC[n * C + c], y_N[n]);
    }
    const Values channels_in = norm(x_NC, block + ".norm2");
    for (std::size_t n = 0; n < N; ++n) {
      const Values y_C = mlp(&channels_in[n * C], C, 1, a.channel_hidden, C, block + ".mlp_channels");
      for (std::size_t c = 0; c < C; ++c) x_NC[n * C + c] = plus(x_NC[n * C + c], y_C[c]);
    }
  }

  // Every stage of one image, end to end: stem, blocks, tokens, features, logits.
  Values operator()(const Floats& image) const {
    Values all, x_NC = stem(image), features(C);
    const auto keep = [&all](const Values& stage) { all.insert(all.end(), stage.begin(), stage.end()); };
    keep(x_NC);
    for (std::size_t i = 0; i < a.blocks; ++i) {
      mix(x_NC, "blocks." + std::to_string(i));
      keep(x_NC);
    }
    x_NC = norm(x_NC, "norm");
    keep(x_NC);
    for (std::size_t c = 0; c < C; ++c) features[c] = mean(&x_NC[c], N, C);
    keep(features);
    for (std::size_t k = 0; k < a.num_classes; ++k)
      all.push_back(dot(weight("head") + k * C, features.data(), C, 1, bias("head")[k]));
    return all;
  }
};

// ---- The core.

// Runs the chosen images as one batch. Returns every stage of each image in the reference's layout, or only features
// and logits.
std::vector<Floats> forward(Model& model, const std::vector<Floats>& images, const std::vector<std::size_t>& chosen,
                            bool every_stage) {
  const Architecture& a = model.architecture();
  const std::size_t B = chosen.size(), NC = a.grid.patches() * a.channels, residuals = every_stage ? 1 + a.blocks : 0;
  Floats batch;
  for (const std::size_t image : chosen) batch.insert(batch.end(), images[image].begin(), images[image].end());
  batch.shrink_to_fit();  // no room behind the last pixel, so a sanitizer sees a read past it
  Floats features(B * a.channels), logits(B * a.num_classes), stages(B * residuals * NC);
  Floats tokens(every_stage ? B * NC : 0);
  model.forward(batch.data(), B,
                {features.data(), a.num_classes ? logits.data() : nullptr, every_stage ? tokens.data() : nullptr,
                 every_stage ? stages.data() : nullptr});
  std::vector<Floats> outputs(B);
  for (std::size_t b = 0; b < B; ++b) {
    const auto keep = [&](const Floats& of_batch, std::size_t place, std::size_t count) {
      const float* from = of_batch.data() + place * count;
      outputs[b].insert(outputs[b].end(), from, from + count);
    };
    for (std::size_t stage = 0; stage < residuals; ++stage) keep(stages, stage * B + b, NC);
    if (every_stage) keep(tokens, b, NC);
    keep(features, b, a.channels);
    keep(logits, b, a.num_classes);
  }
  return outputs;
}

std::string stage_of(const Architecture& a, std::size_t place) {
  const std::size_t NC = a.grid.patches() * a.channels, stage = place / NC;
  if (stage == 0) return "stem";
  if (stage <= a.blocks) return "block_" + std::to_string(stage - 1);
  if (stage == a.blocks + 1) return "tokens";
  return place - (a.blocks + 2) * NC < a.channels ? "features" : "logits";
}

struct Tally {
  long values = 0, runs = 0;
  double largest = 0;  // error / bound
  std::string where;
};

// Expects |got - wanted| <= bound_factor · the reference's error, for every value.
template <class Wanted>
void expect_close(const Floats& got, const Values& reference, const Wanted& wanted, double bound_factor,
                  const Architecture& a, const std::string& where, Tally& tally) {
  if (got.size() != reference.size()) return fail(where + ": another number of values");
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double ratio = std::abs(got[i] - wanted(i)) / (bound_factor * reference[i].error);
    ++tally.values;
    if (!(ratio <= 1))  // NaN too
      fail(where + ", " + stage_of(a, i) + ": " + std::to_string(got[i]) + ", wanted " + std::to_string(wanted(i)) +
           ", off by " + std::to_string(ratio) + " times the bound");
    if (ratio > tally.largest) {
      tally.largest = ratio;
      tally.where = where + ", " + stage_of(a, i);
    }
  }
}

// got: the end of `alone`, or all of it.
void expect_same_bits(const Floats& got, const Floats& alone, const std::string& where, Tally& tally) {
  ++tally.runs;
  const float* end = alone.data() + alone.size() - got.size();
  if (got.empty() || got.size() > alone.size() || std::memcmp(got.data(), end, got.size() * sizeof(float)) != 0)
    fail(where + ": other bits than alone");
}

void load(Model& model, const Tensors& tensors, const std::string& where) {
  for (const auto& [name, values] : tensors)
    if (model.tensor_size(name) != values.size() || !model.set_tensor(name, values.data()))
      fail(where + ": " + name + " not taken");
  Floats poisoned = tensors.at("norm.bias");
  for (const float poison : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    poisoned.back() = poison;
    if (model.set_tensor("norm.bias", poisoned.data())) fail(where + ": took NaN or infinity");
  }
}

void check_bits(const Case& test, gmixer::ProductRows rows, const Tensors& tensors,
                const std::vector<Floats>& images, const std::vector<Floats>& alone, const std::string& where,
                Tally& tally) {
  std::vector<std::size_t> shuffled(test.images);
  std::iota(shuffled.begin(), shuffled.end(), 0);
  const std::vector<std::size_t> ordered = shuffled;
  std::shuffle(shuffled.begin(), shuffled.end(), std::mt19937(3));
  for (const std::size_t threads : test.threads) {
    Model model(test.architecture, rows, threads);
    load(model, tensors, where);
    const auto check = [&](const std::vector<std::size_t>& chosen, bool every_stage, Tally& counts) {
      const std::vector<Floats> outputs = forward(model, images, chosen, every_stage);
      for (std::size_t i = 0; i < chosen.size(); ++i)
        expect_same_bits(outputs[i], alone[chosen[i]],
                         where + ", batch " + std::to_string(chosen.size()) + ", threads " + std::to_string(threads),
                         counts);
    };
    for (const std::size_t batch : {std::size_t{1}, std::size_t{2}, test.images - 1, test.images}) {
      check({ordered.begin(), ordered.begin() + batch}, true, tally);
      check({shuffled.begin(), shuffled.begin() + batch}, false, tally);
    }
    if (threads == 3) {  // callers take turns
      Tally of_caller[3];
      std::vector<std::thread> callers;
      for (Tally& counts : of_caller) callers.emplace_back([&] { check(shuffled, true, counts); });
      for (std::thread& caller : callers) caller.join();
      for (const Tally& counts : of_caller) tally.runs += counts.runs;
    }
  }
}

// Expects the same of every row of a precision. Scalar, the last row, comes first.
void check_rows(const Case& test, const std::string& precision, const Tensors& tensors,
                const std::vector<Floats>& images, Tally& tally) {
  const Architecture& a = test.architecture;
  // The reference is slow, and images do not affect each other. So it checks one image or two; bits check the rest.
  const bool fp32 = precision == "fp32", bits = fp32 || test.bits_of_every_precision;
  const Reference reference(a, tensors, precision);
  std::vector<Values> exact;
  for (std::size_t i = 0; i < (fp32 ? 2 : 1); ++i) exact.push_back(reference(images[i]));

  std::vector<Floats> scalar;
  std::vector<Row> rows = rows_of(precision);
  std::reverse(rows.begin(), rows.end());
  for (const Row& row : rows) {
    const std::string where = row.name() + ", " + test.what;
    Model model(a, row.rows(), 1);
    load(model, tensors, where);
    std::vector<Floats> alone;
    for (std::size_t i = 0; i < (bits ? test.images : exact.size()); ++i)
      alone.push_back(forward(model, images, {i}, true)[0]);
    if (row.isa == "scalar") scalar = alone;
    for (std::size_t i = 0; i < exact.size(); ++i) {
      const auto wanted = [&](std::size_t place) { return exact[i][place].value; };
      const auto other = [&](std::size_t place) { return scalar[i][place]; };
      expect_close(alone[i], exact[i], wanted, 1, a, where, tally);
      if (row.isa != "scalar")
        expect_close(alone[i], exact[i], other, std::sqrt(2), a, where + " against scalar", tally);
    }
    if (bits) check_bits(test, row.rows(), tensors, images, alone, where, tally);
  }
}

void check_case(const Case& test, std::map<std::string, Tally>& tallies) {
  const Architecture& a = test.architecture;
  std::mt19937 random(1);
  const Tensors tensors = draw_tensors(a, test.outlier, random);
  std::vector<Floats> images(test.images, Floats(a.grid.image_floats()));
  std::normal_distribution<float> draw;
  for (Floats& image : images)
    for (float& pixel : image) pixel = draw(random);
  for (const char* precision : kPrecisions)
    if (precision == std::string("fp32") || a.grid.patches() < 256)  // the largest case is about passes
      check_rows(test, precision, tensors, images, tallies[precision]);
}

}  // namespace

int main(int count, char** arguments) {
  const std::string mlp = count == 2 ? arguments[1] : "";
  if (mlp != "swiglu" && mlp != "gelu") {
    std::fprintf(stderr, "usage: core_check swiglu|gelu\n");
    return 2;
  }
  std::map<std::string, Tally> tallies;
  for (const Case& test : kCases)
    if (test.architecture.gated == (mlp == "swiglu")) check_case(test, tallies);
  for (const char* precision : kPrecisions) {
    const Tally& tally = tallies.at(precision);
    std::printf("core_check %s: %s; %ld values, %ld images bit for bit; largest error %.2f of its bound (%s)\n",
                mlp.c_str(), listed(rows_of(precision)).c_str(), tally.values, tally.runs, tally.largest,
                tally.where.c_str());
  }
  if (failures) std::fprintf(stderr, "core_check: %ld failures\n", failures.load());
  return failures != 0;
}
