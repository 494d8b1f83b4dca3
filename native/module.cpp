// The Python module of the core: gmixer._native.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <stdexcept>

#include "dispatch.hpp"
#include "network/model.hpp"
#include "pixels/resize.hpp"
#include "products/bf16/bf16.hpp"
#include "products/ceiling.hpp"
#include "products/int8/quantize.hpp"
#include "products/linear.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using gmixer::Model;
using Input = nb::ndarray<const float, nb::c_contig, nb::device::cpu>;
using Output = nb::ndarray<float, nb::c_contig, nb::device::cpu>;
using Seconds = nb::ndarray<double, nb::shape<4>, nb::c_contig, nb::device::cpu>;
using Quantized = nb::ndarray<const std::int8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using QuantizedOut = nb::ndarray<std::int8_t, nb::ndim<2>, nb::c_contig, nb::device::cpu>;
using HalvesOut = nb::ndarray<std::uint16_t, nb::c_contig, nb::device::cpu>;
using Pixels = nb::ndarray<const std::uint8_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;
using PixelsOut = nb::ndarray<std::uint8_t, nb::ndim<3>, nb::c_contig, nb::device::cpu>;

// Python checks shapes and reports errors. This check only keeps a bug there from writing outside an array.
void require(bool sizes_fit) {
  if (!sizes_fit) throw std::invalid_argument("array sizes do not fit");
}

float* data_of(const std::optional<Output>& array, std::size_t floats) {
  if (!array) return nullptr;
  require(array->size() == floats);
  return array->data();
}

}  // namespace

NB_MODULE(_native, m) {
  m.doc() = "The native core: packed weights and the forward pass of an MLP-Mixer.";
  m.def("available_isas", &gmixer::available_isas, "precision"_a = "fp32",
        "Instruction sets (ISAs) that this CPU supports in that precision, best first.");
  m.def("available_extensions", &gmixer::available_extensions, "isa"_a, "precision"_a,
        "What the rows of that ISA and precision use of this CPU beyond the ISA, best first; '' for nothing. Model takes "
        "the first unless it is given another.");

  m.def(
      "ceiling",
      [](const std::string& isa, std::size_t threads, double seconds, const std::string& precision,
         const std::optional<std::string>& extension) {
        const gmixer::Products& products = gmixer::find_products(isa, precision, extension);
        require(threads > 0);
        const nb::gil_scoped_release release;
        return gmixer::ceiling(products, threads, seconds);
      },
      nb::kw_only(), "isa"_a, "threads"_a, "seconds"_a, "precision"_a = "fp32",
      "extension"_a = nb::none(),
      "Multiply-adds on registers alone, for that long. Returns the operations per second of all threads together.");
  m.def(
      "quantize",
      [](Input rows, QuantizedOut quantized, Output scales) {
        const std::size_t count = quantized.shape(0), depth = quantized.shape(1);
        require(rows.size() == count * depth && scales.size() == count);
        for (std::size_t i = 0; i < rows.size(); ++i)
          if (!std::isfinite(rows.data()[i])) throw std::invalid_argument("the rows hold NaN or infinity");
        const nb::gil_scoped_release release;
        for (std::size_t row = 0; row < count; ++row)
          scales.data()[row] =
              gmixer::quantize_row(rows.data() + row * depth, depth, quantized.data() + row * depth);
      },
      "rows"_a, "quantized"_a.noconvert(), "scales"_a.noconvert(),
      "Quantises float32 rows as an int8 model does its weights: int8 values, and a scale for each row. Raises ValueError "
      "for NaN and infinity.");
  m.def(
      "round_to_bf16",
      [](Input values, HalvesOut rounded) {
        require(rounded.size() == values.size());
        const nb::gil_scoped_release release;
        for (std::size_t i = 0; i < values.size(); ++i) rounded.data()[i] = gmixer::Bf16(values.data()[i]).bits;
      },
      "values"_a, "rounded"_a.noconvert(), "Rounds float32 to the bits of bfloat16, as a bf16 model does its weights.");
  m.def(
      "linear",
      [](Input x, const std::optional<Input>& weight, const std::optional<Quantized>& quantized,
         const std::optional<Input>& scales, Output c, bool columns, const std::string& isa,
         const std::string& precision, const std::optional<std::string>& extension) {
        const gmixer::Products& row = gmixer::find_products(isa, precision, extension);
        require(x.ndim() == 2 && c.ndim() == 2 && (row.pack_quantized ? quantized && scales : bool{weight}));
        const std::size_t depth = x.shape(columns ? 0 : 1), count = x.shape(columns ? 1 : 0);
        const std::size_t out = c.shape(columns ? 0 : 1);
        require(c.size() == out * count && depth > 0 && out > 0 && count > 0);
        require(row.pack_quantized ? quantized->size() == out * depth && scales->size() == out
                                   : weight->size() == out * depth);
        const gmixer::Linear linear{row, columns ? gmixer::Form::tiles : gmixer::Form::panels, out, depth,
                                    weight ? weight->data() : nullptr, quantized ? quantized->data() : nullptr,
                                    scales ? scales->data() : nullptr};
        const nb::gil_scoped_release release;
        linear(x.data(), count, c.data());
      },
      nb::kw_only(), "x"_a, "weight"_a = nb::none(), "quantized"_a = nb::none(), "scales"_a = nb::none(),
      "c"_a.noconvert(), "columns"_a, "isa"_a, "precision"_a, "extension"_a = nb::none(),
      "One product without a bias, for checks. Rows: x (count, in) to c (count, out). Columns: x (in, count) to c "
      "(out, count). An int8 row takes quantized (out, in) and scales (out,), another row takes weight (out, in).");
  m.def(
      "resize_window",
      [](Pixels pixels, std::size_t height, std::size_t width, std::size_t top, std::size_t left, bool bicubic,
         bool vertical_first, PixelsOut window, const std::string& isa) {
        const gmixer::PixelKernels& kernels = gmixer::find_pixels(isa);
        const gmixer::ResizeAxis vertical{pixels.shape(0), height, top, top + window.shape(0)};
        const gmixer::ResizeAxis horizontal{pixels.shape(1), width, left, left + window.shape(1)};
        for (const gmixer::ResizeAxis& axis : {vertical, horizontal})
          require(axis.in > 0 && axis.begin < axis.end && axis.end <= axis.out);
        require(pixels.shape(2) > 0 && pixels.shape(2) == window.shape(2));
        const nb::gil_scoped_release release;
        gmixer::resize_window(kernels, pixels.data(), vertical, horizontal, pixels.shape(2),
                              bicubic ? gmixer::Filter::bicubic : gmixer::Filter::bilinear, vertical_first,
                              window.data());
      },
      nb::kw_only(), "pixels"_a, "height"_a, "width"_a, "top"_a, "left"_a, "bicubic"_a, "vertical_first"_a,
      "window"_a.noconvert(), "isa"_a, "Pillow's resize to height x width. Computes only the pixels of the window.");
  m.def(
      "look_up",
      [](Pixels pixels, Input table, Output planes) {
        const std::size_t count = pixels.shape(0) * pixels.shape(1), channels = pixels.shape(2);
        require(table.size() == channels * 256 && planes.size() == channels * count);
        const nb::gil_scoped_release release;
        gmixer::look_up(pixels.data(), count, channels, table.data(), planes.data());
      },
      nb::kw_only(), "pixels"_a, "table"_a, "planes"_a.noconvert(),
      "Converts bytes (H, W, C) to floats (C, H, W), by a table.");

  nb::class_<Model>(m, "Model")
      .def(
          "__init__",
          [](Model* self, std::size_t image_px, std::size_t patch_px, std::size_t in_chans, std::size_t channels,
             std::size_t blocks, std::size_t token_hidden, std::size_t channel_hidden, bool gated,
             std::size_t num_classes, std::size_t threads, const std::string& isa, const std::string& precision,
             const std::optional<std::string>& extension) {
            const gmixer::Architecture architecture{{in_chans, image_px, patch_px}, channels,    blocks, token_hidden,
                                                    channel_hidden,                 num_classes, gated};
            const gmixer::ProductRows rows = gmixer::find_rows(isa, precision, extension);
            require(channels % gmixer::kChannelMultiple == 0 && blocks > 0 && threads > 0);
            new (self) Model(architecture, rows, threads);
          },
          nb::kw_only(), "image_px"_a, "patch_px"_a, "in_chans"_a, "channels"_a, "blocks"_a, "token_hidden"_a,
          "channel_hidden"_a, "gated"_a, "num_classes"_a, "threads"_a, "isa"_a, "precision"_a = "fp32",
          "extension"_a = nb::none())
      .def(
          "set_tensor",
          [](Model& self, const std::string& name, Input values) {
            require(values.size() == self.tensor_size(name));
            const nb::gil_scoped_release release;
            return self.set_tensor(name, values.data());
          },
          "name"_a, "values"_a, "Packs one float32 tensor. Returns False if it holds NaN or infinity.")
      .def(
          "set_quantized",
          [](Model& self, const std::string& name, Quantized values, Input scales) {
            require(values.size() == self.tensor_size(name) && scales.size() == self.weight_rows(name) &&
                    values.shape(0) == scales.size());
            const nb::gil_scoped_release release;
            return self.set_quantized(name, values.data(), scales.data());
          },
          "name"_a, "values"_a, "scales"_a,
          "Packs one weight of int8 values (out, in) and scales (out,). Returns False for a scale that is negative or "
          "not finite, and for a value of -128.")
      .def(
          "forward",
          [](Model& self, Input images, Output features, std::optional<Output> logits, std::optional<Output> tokens,
             std::optional<Output> stages, std::optional<Seconds> seconds) {
            const auto& a = self.architecture();
            require(images.size() % a.grid.image_floats() == 0);
            const std::size_t batch = images.size() / a.grid.image_floats();
            const std::size_t batch_tokens = batch * a.grid.patches() * a.channels;
            require(features.size() == batch * a.channels);
            gmixer::StageSeconds spent{};
            const gmixer::Outputs outputs{features.data(), data_of(logits, batch * a.num_classes),
                                          data_of(tokens, batch_tokens),
                                          data_of(stages, (1 + a.blocks) * batch_tokens), seconds ? &spent : nullptr};
            const nb::gil_scoped_release release;
            self.forward(images.data(), batch, outputs);
            if (!seconds) return;
            double* to = seconds->data();
            for (const double stage : {spent.stem, spent.token_mlp, spent.channel_mlp, spent.head}) *to++ = stage;
          },
          "images"_a, "features"_a, "logits"_a.none(), "tokens"_a.none(), "stages"_a.none(),
          "seconds"_a.none() = nb::none())
      .def_prop_ro("isa", [](const Model& self) { return std::string(self.rows().blocks.isa); })
      .def_prop_ro("extension", [](const Model& self) { return std::string(self.rows().blocks.extension); })
      .def_prop_ro("threads", &Model::threads);
}
