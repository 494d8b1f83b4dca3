// Makes the row of an ISA. Included by each pixels/<isa>.cpp. The flags of that file choose the width of the sums.
#pragma once

#include "passes.hpp"
#include "pixel_kernels.hpp"

namespace gmixer {
namespace {

struct ThisFile;  // makes every instantiation private to the file that was compiled with its flags

constexpr PixelKernels pixel_row(const char* isa) {
  return {
      .isa = isa,
      .lanes = Sums<ThisFile>::lanes,
      .resize_height = resize_height<ThisFile>,
      .resize_width = resize_width<ThisFile>,
  };
}

}  // namespace
}  // namespace gmixer
