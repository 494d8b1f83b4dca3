// The network: packs weights once, then runs batches. No Python here.
#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "../products/pack.hpp"
#include "../products/products.hpp"
#include "../products/patches.hpp"
#include "../threads/pool.hpp"

namespace gmixer {

// Letters as in config.py: N patches, C channels. Hidden widths count after the gate.
struct Architecture {
  PatchGrid grid;
  std::size_t channels, blocks, token_hidden, channel_hidden, num_classes;
  bool gated;  // swiglu; else gelu
};

struct StageSeconds {
  double stem, token_mlp, channel_mlp, head;  // a norm counts where it is taken: norm1 at the end of the stage before
};

struct Outputs {           // caller-owned, row-major; a null one is not wanted
  float* features;         // [B][C]
  float* logits;           // [B][num_classes]
  float* tokens;           // [B][N][C], after the last norm
  float* stages;           // [1 + blocks][B][N][C], the residual stream after the stem and after each block
  StageSeconds* seconds = nullptr;  // added to; else no clock is read
};

class Model {
 public:
  // Allocates the packed weights. channels must be a multiple of 16.
  Model(const Architecture& architecture, const Kernels& kernels, std::size_t threads);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  // The tensor's element count, by its name in the checkpoint; throws std::out_of_range for an unknown name.
  std::size_t tensor_size(const std::string& name) const { return slots_.at(name).size; }
  // Packs one tensor, row-major, on all threads; not while a forward runs. Returns false, and packs nothing, if it
  // holds NaN or infinity.
  bool set_tensor(const std::string& name, const float* values);

  // images: [B][in_chans][image_px][image_px]. Calls from several threads take turns. Allocates only when a batch is
  // larger than any before it, and in a process forked since: there it starts threads too (std::system_error).
  void forward(const float* images, std::size_t batch, const Outputs& outputs);

  const Architecture& architecture() const { return architecture_; }
  const Kernels& kernels() const { return kernels_; }
  std::size_t threads() const { return threads_; }

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

  // All that a forward changes, and its threads. A child of fork has none of these threads, and one of its parent's may
  // have held the lock or been half-way through a buffer: it makes its own workspace, and leaks its parent's untouched.
  struct Workspace {
    Workspace(std::size_t threads, std::size_t operand_floats, std::size_t hidden_floats);

    const unsigned made_after = forks();
    ThreadPool pool;
    std::mutex one_forward;
    std::size_t reserved_images = 0;
    Buffer x;             // [images][N][C], the residual stream
    Buffer panels;        // [images][C / P][N][P], normalised, for token mixing
    Buffer pooled_tiles;  // features of the pass, for the head
    std::vector<Buffer> scratch_a, scratch_b;  // a thread's operand and hidden tiles or panel
  };

  Workspace& workspace();  // this process's
  void name_linear(const std::string& name, PackedLinear& linear);
  void name_norm(const std::string& name, Norm& norm);
  void reserve(Workspace& w, std::size_t images);
  void forward_pass(Workspace& w, const float* images, std::size_t batch, std::size_t first, std::size_t count,
                    const Outputs& outputs);
  void stem(Workspace& w, const float* images, std::size_t count);
  void mix_tokens(Workspace& w, const Block& block, std::size_t count);
  void mix_channels(Workspace& w, const Block& block, const Norm* next_norm1, std::size_t count);
  void head(Workspace& w, std::size_t count, float* features, float* logits);
  template <class Body>
  void for_row_blocks(Workspace& w, std::size_t rows, const Body& body);

  Architecture architecture_;
  const Kernels& kernels_;
  std::size_t threads_;

  PackedLinear stem_, head_;
  Norm norm_;
  std::vector<Block> blocks_;
  std::unordered_map<std::string, Slot> slots_;

  std::size_t block_tiles_;                     // row tiles that a thread takes at once
  std::size_t operand_floats_, hidden_floats_;  // of a thread's scratch
  std::atomic<Workspace*> workspace_{nullptr};
};

}  // namespace gmixer
