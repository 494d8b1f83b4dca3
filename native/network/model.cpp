#include "model.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "../products/int8/quantize.hpp"

namespace gmixer {
namespace {

// One pass holds the residual stream and its normalised copy in this much memory. A large batch takes several passes.
// The speed is the same from 4 to 32 MiB (README.md).
constexpr std::size_t kPassBytes = std::size_t{8} << 20;
// The operand and hidden tiles of a thread stay in the second-level cache (1 MiB on the smallest machines we target).
constexpr std::size_t kScratchBytes = std::size_t{512} << 10;
constexpr std::size_t kHeadPanels = 4;  // panels of classes that a thread takes at once

// NaN and infinity have every exponent bit set. This tests bits, because a sum of floats would be one long chain.
bool all_finite(const float* values, std::size_t count) {
  constexpr std::uint32_t exponent = 0x7f800000;
  std::uint32_t bad = 0;
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    bad |= (bits & exponent) == exponent;
  }
  return bad == 0;
}

}  // namespace

Model::Model(const Architecture& architecture, ProductRows rows, std::size_t threads)
    : architecture_(architecture), rows_(rows), threads_(threads) {
  const auto& a = architecture_;
  const Products &blocks = rows_.blocks, &ends = rows_.ends;
  const std::size_t N = a.grid.patches(), C = a.channels, gate = a.gated ? 2 : 1;

  stem_ = PackedLinear(Form::panels, ends, C, a.grid.patch_floats(), false);
  name_linear("stem.proj", stem_);
  blocks_.resize(a.blocks);
  for (std::size_t i = 0; i < a.blocks; ++i) {
    Block& block = blocks_[i];
    const std::string name = "blocks." + std::to_string(i);
    name_norm(name + ".norm1", block.norm1);
    name_norm(name + ".norm2", block.norm2);
    block.token_fc1 = PackedLinear(Form::tiles, blocks, a.token_hidden * gate, N, a.gated);
    block.token_fc2 = PackedLinear(Form::tiles, blocks, N, a.token_hidden, false);
    block.channel_fc1 = PackedLinear(Form::panels, blocks, a.channel_hidden * gate, C, a.gated);
    block.channel_fc2 = PackedLinear(Form::panels, blocks, C, a.channel_hidden, false);
    name_linear(name + ".mlp_tokens.fc1", block.token_fc1);
    name_linear(name + ".mlp_tokens.fc2", block.token_fc2);
    name_linear(name + ".mlp_channels.fc1", block.channel_fc1);
    name_linear(name + ".mlp_channels.fc2", block.channel_fc2);
  }
  name_norm("norm", norm_);
  if (a.num_classes) {
    head_ = PackedLinear(Form::panels, ends, a.num_classes, C, false);
    head_.cut_sums(48);  // no later stage averages the error of the head out, and the head takes little time
    name_linear("head", head_);
  }

  const std::size_t operand_tile = std::max(blocks.tile_bytes(C), ends.tile_bytes(a.grid.patch_floats()));
  const std::size_t hidden_tile = blocks.hidden_tile_bytes(C, a.channel_hidden);
  block_tiles_ = std::max<std::size_t>(1, kScratchBytes / (operand_tile + hidden_tile));
  operand_bytes_ = block_tiles_ * operand_tile;
  hidden_bytes_ = std::max(block_tiles_ * hidden_tile, blocks.hidden_panel_bytes(N, a.token_hidden));
  workspace_ = new Workspace(threads, operand_bytes_, hidden_bytes_);  // last: nothing after it throws
}

Model::~Model() {
  Workspace* w = workspace_;
  if (w->made_after == forks()) delete w;  // else leaked: this process has no threads of it to join
}

Model::Workspace::Workspace(std::size_t threads, std::size_t operand_bytes, std::size_t hidden_bytes) : pool(threads) {
  for (std::size_t thread = 0; thread < threads; ++thread) {
    operand.emplace_back(operand_bytes);
    hidden.emplace_back(hidden_bytes);
  }
}

Model::Workspace& Model::workspace() {
  Workspace* w = workspace_.load(std::memory_order_acquire);
  if (w->made_after == forks()) return *w;
  Workspace* fresh = new Workspace(threads_, operand_bytes_, hidden_bytes_);
  if (workspace_.compare_exchange_strong(w, fresh, std::memory_order_acq_rel)) return *fresh;
  delete fresh;  // another thread of this process was faster
  return *w;
}

void Model::name_linear(const std::string& name, PackedLinear& linear) {
  slots_[name + ".weight"] = {Part::weight, &linear, nullptr, linear.out * linear.depth};
  slots_[name + ".bias"] = {Part::bias, &linear, nullptr, linear.out};
}

void Model::name_norm(const std::string& name, Norm& norm) {
  norm.gamma = Buffer<float>(architecture_.channels);
  norm.beta = Buffer<float>(architecture_.channels);
  slots_[name + ".weight"] = {Part::vector, nullptr, &norm.gamma, architecture_.channels};
  slots_[name + ".bias"] = {Part::vector, nullptr, &norm.beta, architecture_.channels};
}

bool Model::set_tensor(const std::string& name, const float* values) {
  const Slot& slot = slots_.at(name);
  if (!all_finite(values, slot.size)) return false;
  switch (slot.part) {
    case Part::weight: pack_weight(*slot.linear, values); break;
    case Part::bias: slot.linear->pack_bias(values); break;
    case Part::vector: std::memcpy(slot.vector->data(), values, slot.size * sizeof(float)); break;
  }
  return true;
}

void Model::pack_weight(PackedLinear& linear, const float* values) {
  if (linear.row->pack_quantized) {
    std::vector<std::int8_t> quantized(linear.out * linear.depth);
    std::vector<float> scales(linear.out);
    workspace().pool.run(linear.out, [&](std::size_t row, std::size_t) {
      scales[row] = quantize_row(values + row * linear.depth, linear.depth, quantized.data() + row * linear.depth);
    });
    return pack_quantized(linear, quantized.data(), scales.data());
  }
  workspace().pool.run(linear.parts, [&](std::size_t part, std::size_t) { linear.pack_weight(part, values); });
}

void Model::pack_quantized(PackedLinear& linear, const std::int8_t* values, const float* scales) {
  workspace().pool.run(linear.parts,
                       [&](std::size_t part, std::size_t) { linear.pack_quantized(part, values, scales); });
}

std::size_t Model::weight_rows(const std::string& name) const {
  const Slot& slot = slots_.at(name);
  return slot.part == Part::weight ? slot.linear->out : 0;
}

bool Model::set_quantized(const std::string& name, const std::int8_t* values, const float* scales) {
  const Slot& slot = slots_.at(name);
  if (slot.part != Part::weight || !slot.linear->row->pack_quantized)
    throw std::invalid_argument(name + " is not computed in int8");
  if (!all_finite(scales, slot.linear->out)) return false;
  if (std::any_of(scales, scales + slot.linear->out, [](float scale) { return scale < 0; })) return false;
  if (std::find(values, values + slot.size, std::int8_t{-128}) != values + slot.size) return false;
  pack_quantized(*slot.linear, values, scales);
  return true;
}

std::size_t Model::image_panel_bytes() const {
  return ceil_div(architecture_.channels, rows_.blocks.panel_columns) *
         rows_.blocks.panel_bytes(architecture_.grid.patches());
}

void Model::reserve(Workspace& w, std::size_t images) {
  if (images <= w.reserved_images) return;
  const std::size_t N = architecture_.grid.patches(), C = architecture_.channels;
  w.x = Buffer<float>(images * N * C);
  w.panels = Buffer<std::byte>(images * image_panel_bytes());
  w.pooled_tiles = Buffer<std::byte>(ceil_div(images, rows_.ends.tile_rows) * rows_.ends.tile_bytes(C));
  w.reserved_images = images;
}

void Model::forward(const float* images, std::size_t batch, const Outputs& outputs) {
  Workspace& w = workspace();
  const std::lock_guard<std::mutex> lock(w.one_forward);
  const std::size_t residual_bytes = architecture_.grid.patches() * architecture_.channels * sizeof(float);
  const std::size_t max_images = std::max<std::size_t>(1, kPassBytes / (residual_bytes + image_panel_bytes()));
  const std::size_t passes = ceil_div(batch, max_images);
  for (std::size_t pass = 0; pass < passes; ++pass) {  // passes of nearly equal size
    const std::size_t first = batch * pass / passes, end = batch * (pass + 1) / passes;
    forward_pass(w, images, batch, first, end - first, outputs);
  }
}

void Model::forward_pass(Workspace& w, const float* images, std::size_t batch, std::size_t first, std::size_t count,
                         const Outputs& outputs) {
  reserve(w, count);
  const std::size_t image_tokens = architecture_.grid.patches() * architecture_.channels;
  const auto keep_stage = [&](std::size_t stage) {
    if (outputs.stages)
      std::memcpy(outputs.stages + (stage * batch + first) * image_tokens, w.x.data(),
                  count * image_tokens * sizeof(float));
  };

  const auto timed = [&](double StageSeconds::*stage, const auto& run) {
    using Clock = std::chrono::steady_clock;
    if (!outputs.seconds) return run();
    const Clock::time_point begin = Clock::now();
    run();
    outputs.seconds->*stage += std::chrono::duration<double>(Clock::now() - begin).count();
  };

  timed(&StageSeconds::stem, [&] { stem(w, images + first * architecture_.grid.image_floats(), count); });
  keep_stage(0);
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const Norm* next_norm1 = i + 1 < blocks_.size() ? &blocks_[i + 1].norm1 : nullptr;
    timed(&StageSeconds::token_mlp, [&] { mix_tokens(w, blocks_[i], count); });
    timed(&StageSeconds::channel_mlp, [&] { mix_channels(w, blocks_[i], next_norm1, count); });
    keep_stage(i + 1);
  }
  timed(&StageSeconds::head, [&] {
    head(w, count, outputs.features + first * architecture_.channels,
         outputs.logits ? outputs.logits + first * architecture_.num_classes : nullptr);
  });
  if (outputs.tokens)
    std::memcpy(outputs.tokens + first * image_tokens, w.x.data(), count * image_tokens * sizeof(float));
}

// Cuts rows into whole tiles for the threads. Calls body(first row, rows, thread).
template <class Body>
void Model::for_row_blocks(Workspace& w, std::size_t tile_rows, std::size_t rows, const Body& body) {
  const std::size_t tiles = ceil_div(rows, tile_rows);
  // A multiple of the threads, so no thread waits for the last block of another.
  const std::size_t items = std::min(tiles, round_up(ceil_div(tiles, block_tiles_), threads_));
  w.pool.run(items, [&](std::size_t item, std::size_t thread) {
    const std::size_t first = tiles * item / items * tile_rows;
    const std::size_t end = std::min(rows, tiles * (item + 1) / items * tile_rows);
    body(first, end - first, thread);
  });
}

// x = patches · Wᵀ + b, and its first norm1 while the rows are in cache.
void Model::stem(Workspace& w, const float* images, std::size_t count) {
  const Products &blocks = rows_.blocks, &ends = rows_.ends;
  const std::size_t N = architecture_.grid.patches(), C = architecture_.channels;
  const std::size_t image_panels = image_panel_bytes();
  for_row_blocks(w, ends.tile_rows, count * N, [&](std::size_t row, std::size_t rows, std::size_t thread) {
    std::byte* patches = w.operand[thread].data();
    float* x = w.x.data() + row * C;
    patches_to_tiles(architecture_.grid, images, row, rows, ends.tile_rows, patches);
    ends.rows_store(stem_, 0, stem_.parts, patches, rows, x, C);
    const Norm& norm1 = blocks_.front().norm1;
    blocks.norm_to_panels(x, rows, C, norm1.gamma.data(), norm1.beta.data(),
                          w.panels.data() + row / N * image_panels, row % N, N);
  });
}

// x += W2 · act(W1 · norm1(x)), a panel of channels at a time. Nothing is transposed, and fc2 needs no other panel.
void Model::mix_tokens(Workspace& w, const Block& block, std::size_t count) {
  const Products& blocks = rows_.blocks;
  const std::size_t N = architecture_.grid.patches(), C = architecture_.channels, P = blocks.panel_columns;
  const std::size_t image_panels = ceil_div(C, P), panel_bytes = blocks.panel_bytes(N);
  const auto fc1 = architecture_.gated ? blocks.columns_swiglu : blocks.columns_gelu;
  w.pool.run(count * image_panels, [&](std::size_t item, std::size_t thread) {
    const std::size_t image = item / image_panels, column = item % image_panels * P;
    std::byte* hidden = w.hidden[thread].data();
    fc1(block.token_fc1, w.panels.data() + item * panel_bytes, hidden);
    blocks.columns_add(block.token_fc2, hidden, w.x.data() + image * N * C + column, C, std::min(P, C - column));
  });
}

// x += act(norm2(x) · W1ᵀ) · W2ᵀ, a block of rows at a time, then norm1 of the next block (null after the last).
void Model::mix_channels(Workspace& w, const Block& block, const Norm* next_norm1, std::size_t count) {
  const Products& blocks = rows_.blocks;
  const std::size_t N = architecture_.grid.patches(), C = architecture_.channels;
  const std::size_t image_panels = image_panel_bytes();
  const auto fc1 = architecture_.gated ? blocks.rows_swiglu : blocks.rows_gelu;
  for_row_blocks(w, blocks.tile_rows, count * N, [&](std::size_t row, std::size_t rows, std::size_t thread) {
    std::byte* normed = w.operand[thread].data();
    std::byte* hidden = w.hidden[thread].data();
    float* x = w.x.data() + row * C;
    blocks.norm_to_tiles(x, rows, C, block.norm2.gamma.data(), block.norm2.beta.data(), normed);
    fc1(block.channel_fc1, normed, rows, hidden);
    blocks.rows_add(block.channel_fc2, 0, block.channel_fc2.parts, hidden, rows, x, C);
    if (next_norm1)
      blocks.norm_to_panels(x, rows, C, next_norm1->gamma.data(), next_norm1->beta.data(),
                            w.panels.data() + row / N * image_panels, row % N, N);
  });
}

// x becomes the normalised tokens. Features are the mean of the tokens, logits = features · Wᵀ + b.
void Model::head(Workspace& w, std::size_t count, float* features, float* logits) {
  const Products& ends = rows_.ends;
  const std::size_t N = architecture_.grid.patches(), C = architecture_.channels;
  w.pool.run(count, [&](std::size_t image, std::size_t) {
    float* x = w.x.data() + image * N * C;
    ends.norm_to_rows(x, N, C, norm_.gamma.data(), norm_.beta.data(), x);
    ends.mean_rows(x, N, C, features + image * C);
  });
  if (!logits) return;
  ends.rows_to_tiles(features, count, C, w.pooled_tiles.data());
  w.pool.run(ceil_div(head_.parts, kHeadPanels), [&](std::size_t item, std::size_t) {
    const std::size_t begin = item * kHeadPanels, end = std::min(head_.parts, begin + kHeadPanels);
    ends.rows_store(head_, begin, end, w.pooled_tiles.data(), count, logits, architecture_.num_classes);
  });
}

}  // namespace gmixer
