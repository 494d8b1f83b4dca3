// The network: packs weights once, then runs batches. No Python, no ISA and no element type of an operand here.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
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
  double stem, token_mlp, channel_mlp, head;  // norm1 is computed at the end of the stage before, and counts there
};

// Owned by the caller, row-major. A null one is not computed.
struct Outputs {
  float* features;  // [B][C]
  float* logits;    // [B][num_classes]
  float* tokens;    // [B][N][C], after the last norm
  float* stages;    // [1 + blocks][B][N][C], the residual stream after the stem and after each block

  StageSeconds* seconds = nullptr;  // times are added; if null, no clock is read
};

class Model {
 public:
  // Allocates the packed weights. channels must be a multiple of kChannelMultiple.
  Model(const Architecture& architecture, ProductRows rows, std::size_t threads);
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  // The element count of a tensor, by its name in the checkpoint. Throws std::out_of_range for an unknown name.
  std::size_t tensor_size(const std::string& name) const { return slots_.at(name).size; }
  // Packs one tensor, row-major, on all threads. No forward may run meanwhile. Returns false, and packs nothing, if the
  // tensor holds NaN or infinity.
  bool set_tensor(const std::string& name, const float* values);

  // The same for the weight of a linear layer that is quantised already (products/int8/quantize.hpp), with a scale for
  // each of its rows. Returns false, and packs nothing, if a scale is not finite, or negative, or if a value is -128.
  // Throws std::invalid_argument if the layer does not compute in int8.
  bool set_quantized(const std::string& name, const std::int8_t* values, const float* scales);
  // Rows of the weight of that name; 0 if it is no weight of a linear layer.
  std::size_t weight_rows(const std::string& name) const;

  // images: [B][in_chans][image_px][image_px]. Calls from several threads take turns. Allocates only when a batch is
  // larger than any before it, and after a fork. There it also starts threads (std::system_error).
  void forward(const float* images, std::size_t batch, const Outputs& outputs);

  const Architecture& architecture() const { return architecture_; }
  ProductRows rows() const { return rows_; }
  std::size_t threads() const { return threads_; }

 private:
  struct Norm {
    Buffer<float> gamma, beta;
  };
  struct Block {
    Norm norm1, norm2;
    PackedLinear token_fc1, token_fc2, channel_fc1, channel_fc2;
  };
  enum class Part { weight, bias, vector };
  struct Slot {
    Part part;
    PackedLinear* linear;
    Buffer<float>* vector;
    std::size_t size;
  };

  // All that a forward changes, and its threads. A child of fork has none of these threads. A thread of the parent may
  // have held the lock or been half-way through a buffer. So the child makes a workspace of its own, and leaks the
  // parent's untouched.
  struct Workspace {
    Workspace(std::size_t threads, std::size_t operand_bytes, std::size_t hidden_bytes);

    const unsigned made_after = forks();
    ThreadPool pool;
    std::mutex one_forward;
    std::size_t reserved_images = 0;
    Buffer<float> x;                 // the residual stream, [images][N][C]
    Buffer<std::byte> panels;        // the operand of token mixing: normalised, [images][C / P] panels, N deep
    Buffer<std::byte> pooled_tiles;  // the operand of the head: features of the pass
    std::vector<Buffer<std::byte>> operand, hidden;  // of each thread: tiles of an input; output of fc1
  };

  Workspace& workspace();  // this process's
  void pack_weight(PackedLinear& linear, const float* values);
  void pack_quantized(PackedLinear& linear, const std::int8_t* values, const float* scales);
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
  void for_row_blocks(Workspace& w, std::size_t tile_rows, std::size_t rows, const Body& body);
  // Bytes of the panels of one image.
  std::size_t image_panel_bytes() const;

  Architecture architecture_;
  ProductRows rows_;
  std::size_t threads_;

  PackedLinear stem_, head_;
  Norm norm_;
  std::vector<Block> blocks_;
  std::unordered_map<std::string, Slot> slots_;

  std::size_t block_tiles_;                   // row tiles that a thread takes at once
  std::size_t operand_bytes_, hidden_bytes_;  // of each thread's scratch
  std::atomic<Workspace*> workspace_{nullptr};
};

}  // namespace gmixer
