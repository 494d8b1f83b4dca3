// Resizes drawn windows, and compares every byte with the whole image resized by the formulas of Pillow's Resample.c.
//
// tests/test_window.py compares with Pillow itself. Here every row that the CPU supports runs under the sanitizers, and
// plain C++ runs on arm64.
// Usage: resize_check CASES
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "dispatch.hpp"
#include "pixels/resize.hpp"

namespace {

using gmixer::Filter;
using gmixer::ResizeAxis;
using Bytes = std::vector<std::uint8_t>;

double weight_at(double x, Filter filter) {
  x = std::fabs(x);
  if (filter == Filter::bilinear) return x < 1 ? 1 - x : 0;
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

// from [before][in][after] → [before][out][after]
Bytes whole_axis(const Bytes& from, long before, long in, long out, long after, Filter filter) {
  if (in == out) return from;
  Bytes to(static_cast<std::size_t>(before * out * after));
  const double scale = static_cast<double>(in) / static_cast<double>(out), stretch = std::max(scale, 1.0);
  const double reach = (filter == Filter::bicubic ? 2 : 1) * stretch;
  for (long place = 0; place < out; ++place) {
    const double centre = (static_cast<double>(place) + 0.5) * scale;
    const long low = std::max(static_cast<long>(centre - reach + 0.5), 0L);
    const long high = std::min(static_cast<long>(centre + reach + 0.5), in);
    std::vector<double> weights;
    double sum = 0;
    for (long at = low; at < high; ++at) {
      weights.push_back(weight_at((static_cast<double>(at) - centre + 0.5) * (1.0 / stretch), filter));
      sum += weights.back();
    }
    for (long b = 0; b < before; ++b)
      for (long a = 0; a < after; ++a) {
        std::int64_t total = 1 << 21;
        for (long at = low; at < high; ++at) {
          const double whole = weights[static_cast<std::size_t>(at - low)] / sum * (1 << 22);
          const auto fixed = static_cast<std::int64_t>(whole < 0 ? whole - 0.5 : whole + 0.5);
          total += fixed * from[static_cast<std::size_t>((b * in + at) * after + a)];
        }
        to[static_cast<std::size_t>((b * out + place) * after + a)] =
            static_cast<std::uint8_t>(std::clamp<std::int64_t>(total >> 22, 0, 255));
      }
  }
  return to;
}

}  // namespace

int main(int argc, char** argv) {
  const long cases = argc > 1 ? std::atol(argv[1]) : 0;
  std::mt19937 random(1);
  const auto draw = [&](long from, long to) { return std::uniform_int_distribution<long>(from, to)(random); };
  for (long i = 0; i < cases; ++i) {
    const long most = i % 2 ? 12 : 90;
    const long height = draw(1, most), width = draw(1, most), to_height = draw(1, most), to_width = draw(1, most);
    const long channels = draw(1, 5), top = draw(0, to_height - 1), left = draw(0, to_width - 1);
    const long bottom = draw(top + 1, to_height), right = draw(left + 1, to_width);
    const Filter filter = draw(0, 1) ? Filter::bicubic : Filter::bilinear;
    const bool vertical_first = draw(0, 1);
    Bytes pixels(static_cast<std::size_t>(height * width * channels));
    const bool hard = draw(0, 1);  // black and white: bicubic sums go outside 0…255
    for (auto& byte : pixels) byte = static_cast<std::uint8_t>(hard ? 255 * draw(0, 1) : draw(0, 255));

    Bytes want;
    if (vertical_first) {
      want = whole_axis(pixels, 1, height, to_height, width * channels, filter);
      want = whole_axis(want, to_height, width, to_width, channels, filter);
    } else {
      want = whole_axis(pixels, height, width, to_width, channels, filter);
      want = whole_axis(want, 1, height, to_height, to_width * channels, filter);
    }
    const auto axis = [](long in, long out, long begin, long end) {
      return ResizeAxis{static_cast<std::size_t>(in), static_cast<std::size_t>(out), static_cast<std::size_t>(begin),
                        static_cast<std::size_t>(end)};
    };
    for (const std::string& isa : gmixer::available_isas("fp32")) {
      Bytes got(static_cast<std::size_t>((bottom - top) * (right - left) * channels));
      gmixer::resize_window(gmixer::find_pixels(isa), pixels.data(), axis(height, to_height, top, bottom),
                            axis(width, to_width, left, right), static_cast<std::size_t>(channels), filter,
                            vertical_first, got.data());
      const long row_bytes = (right - left) * channels;
      for (long y = top; y < bottom; ++y) {
        const auto* want_row = want.data() + (y * to_width + left) * channels;
        if (!std::equal(want_row, want_row + row_bytes, got.data() + (y - top) * row_bytes)) {
          std::printf("resize_check: %s, %ldx%ldx%ld to %ldx%ld differs in row %ld\n", isa.c_str(), height, width,
                      channels, to_height, to_width, y);
          return 1;
        }
      }
    }
  }
  std::printf("resize_check: %ld windows\n", cases);
  return cases > 0 ? 0 : 1;
}
