// The network: packs weights once, then runs batches. No Python here.
#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "gemm/pack.hpp"
#include "kernels.hpp"
#include "stem/patches.hpp"
#include "threads/pool.hpp"

namespace gmixer {

// Letters as in config.py: N patches, C channels. Hidden widths count after the gate.
struct Architecture {
  PatchGrid grid;
  std::size_t channels, blocks, token_hidden, channel_hidden, num_classes;
  bool gated;  // swiglu; else gelu
};

struct Outputs {           // caller-owned, row-major; a null one is not wanted
  float* features;         // [B][C]
  float* logits;           // [B][num_classes]
  float* tokens;           // [B][N][C], after the last norm
  float* stages;           // [1 + blocks][B][N][C], the residual stream after the stem and after each block
};

class Model {
 public:
  // Allocates the packed weights. channels must be a multiple of 16.
  Model(const Architecture& architecture, const Kernels& kernels, std::size_t threads);

  // The tensor's element count, by its name in the checkpoint; throws std::out_of_range for an unknown name.
  std::size_t tensor_size(const std::string& name) const { return slots_.at(name).size; }
  // Packs one tensor, row-major, on all threads; not while a forward runs. Returns false, and packs nothing, if it
  // holds NaN or infinity.
  bool set_tensor(const std::string& name, const float* values);

  // images: [B][in_chans][image_px][image_px]. Calls from several threads take turns. Allocates only when a batch is
  // larger than any before it.
  void forward(const float* images, std::size_t batch, const Outputs& outputs);

  const Architecture& architecture() const { return architecture_; }
  const Kernels& kernels() const { return kernels_; }
  std::size_t threads() const { return pool_.threads(); }

 private:
  struct Norm {
    Buffer gamma, beta;
  };
  struct Block {
    Norm norm1, norm2;
    PackedLinear token_fc1, token_fc2, channel_fc1, channel_fc2;
  };
  enum class Part { weight, bias, vector };
  struct Slot {
    Part part;
    PackedLinear* linear;
    Buffer* vector;
    std::size_t size;
  };

  void name_linear(const std::string& name, PackedLinear& linear);
  void name_norm(const std::string& name, Norm& norm);
  void reserve(std::size_t images);
  void forward_pass(const float* images, std::size_t batch, std::size_t first, std::size_t count,
                    const Outputs& outputs);
  void stem(const float* images, std::size_t count);
  void mix_tokens(const Block& block, std::size_t count);
  void mix_channels(const Block& block, const Norm* next_norm1, std::size_t count);
  void head(std::size_t count, float* features, float* logits);
  template <class Body>
  void for_row_blocks(std::size_t rows, const Body& body);

  Architecture architecture_;
  const Kernels& kernels_;
  ThreadPool pool_;
  std::mutex one_forward_;

  PackedLinear stem_, head_;
  Norm norm_;
  std::vector<Block> blocks_;
  std::unordered_map<std::string, Slot> slots_;

  // Workspace of one pass.
  std::size_t reserved_images_ = 0;
  std::size_t block_tiles_;   // row tiles that a thread takes at once
  Buffer x_;                  // [images][N][C], the residual stream
  Buffer panels_;             // [images][C / P][N][P], normalised, for token mixing
  Buffer pooled_tiles_;       // features of the pass, for the head
  std::vector<Buffer> scratch_a_, scratch_b_;  // a thread's operand and hidden tiles or panel
};

}  // namespace gmixer
