#include "taps.hpp"

#include <algorithm>
#include <cmath>

namespace gmixer {
namespace {

double kernel(double x, Filter filter) {
  x = std::fabs(x);
  if (filter == Filter::bilinear) return x < 1.0 ? 1.0 - x : 0.0;
  constexpr double a = -0.5;
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

// Clamps a place to the source: 0 … in.
std::size_t clamped(double place, std::size_t in) {
  return place < 0.0 ? 0 : std::min(static_cast<std::size_t>(place), in);
}

std::int32_t fixed(double weight) {
  return static_cast<std::int32_t>(weight * (1 << kWeightBits) + (weight < 0 ? -0.5 : 0.5));
}

}  // namespace

// Source: Pillow's precompute_coeffs and normalize_coeffs_8bpc. The same operations in the same order.
Taps::Taps(ResizeAxis axis, Filter filter) {
  if (axis.in == axis.out) {
    identity = true;
    begin = axis.begin;
    end = axis.end;
    return;
  }
  const double scale = static_cast<double>(static_cast<float>(axis.in)) / static_cast<double>(axis.out);
  const double stretch = std::max(scale, 1.0);
  const double reach = (filter == Filter::bicubic ? 2.0 : 1.0) * stretch;
  const double shrink = 1.0 / stretch;

  const auto centre_of = [&](std::size_t place) { return (static_cast<double>(place) + 0.5) * scale; };
  const auto low_of = [&](double centre) { return clamped(centre - reach + 0.5, axis.in); };
  const auto high_of = [&](double centre) { return clamped(centre + reach + 0.5, axis.in); };
  begin = low_of(centre_of(axis.begin));
  end = high_of(centre_of(axis.end - 1));

  places.reserve(axis.end - axis.begin);
  std::vector<double> raw;
  for (std::size_t place = axis.begin; place < axis.end; ++place) {
    const double centre = centre_of(place);
    const std::size_t low = low_of(centre), high = high_of(centre);
    raw.clear();
    double sum = 0.0;
    for (std::size_t at = low; at < high; ++at) {
      raw.push_back(kernel((static_cast<double>(at) - centre + 0.5) * shrink, filter));
      sum += raw.back();
    }
    const std::size_t odd = (low - begin) % 2;  // a pair begins at an even place; places that are no taps have weight 0
    const std::size_t pairs = (odd + raw.size() + 1) / 2;
    places.push_back({(low - begin) / 2, pairs, weights.size()});
    weights.resize(weights.size() + pairs, TapPair{});
    for (std::size_t i = 0; i < raw.size(); ++i) {
      const std::int32_t weight = fixed(sum != 0.0 ? raw[i] / sum : raw[i]);
      TapPair& pair = weights[places.back().weights + (odd + i) / 2];
      pair.high[(odd + i) % 2] = static_cast<std::int16_t>(weight >> kLowBits);
      pair.low[(odd + i) % 2] = static_cast<std::int16_t>(weight & ((1 << kLowBits) - 1));
    }
  }
}

}  // namespace gmixer
