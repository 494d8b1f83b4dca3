#include "resize.hpp"

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "sums.hpp"
#include "taps.hpp"
#include "turn.hpp"

namespace gmixer {
namespace {

// Rows of bytes, `stride` apart.
template <class Byte>
struct Rows {
  Byte* data;
  std::size_t stride;

  Byte* operator[](std::size_t row) const { return data + row * stride; }
};
using Source = Rows<const std::uint8_t>;
using Target = Rows<std::uint8_t>;

void copy(Source from, std::size_t rows, std::size_t bytes, Target to) {
  for (std::size_t y = 0; y < rows; ++y) std::memcpy(to[y], from[y], bytes);
}

// from: rows [taps.begin, taps.end), of `bytes` each. Eight bytes of a row are the lanes.
void resize_height(Source from, std::size_t bytes, const Taps& taps, Target to) {
  const std::size_t last = taps.end - taps.begin - 1;
  for (std::size_t y = 0; y < taps.places.size(); ++y) {
    const Taps::Place& place = taps.places[y];
    const TapPair* weights = taps.weights.data() + place.weights;
    const auto each_pair = [&](const auto& body) {
      for (std::size_t i = 0; i < place.pairs; ++i) {
        const std::size_t row = 2 * (place.first_pair + i);  // the one after the last weighs nothing
        body(from[row], from[std::min(row + 1, last)], weights[i]);
      }
    };
    std::size_t x = 0;
    for (; x + kLanes <= bytes; x += kLanes) {
      Sums sums;
      each_pair([&](const std::uint8_t* a, const std::uint8_t* b, const TapPair& pair) { sums.add(a + x, b + x, pair); });
      sums.store(to[y] + x);
    }
    if (x == bytes) continue;
    Sums sums;
    std::uint8_t a_end[kLanes] = {}, b_end[kLanes] = {};
    each_pair([&](const std::uint8_t* a, const std::uint8_t* b, const TapPair& pair) {
      std::memcpy(a_end, a + x, bytes - x);
      std::memcpy(b_end, b + x, bytes - x);
      sums.add(a_end, b_end, pair);
    });
    sums.store(a_end);
    std::memcpy(to[y] + x, a_end, bytes - x);
  }
}

// from: columns [taps.begin, taps.end) of `rows` rows. Eight rows are the lanes: they are turned into columns of bytes,
// and what these become is turned back.
void resize_width(Source from, std::size_t rows, std::size_t channels, const Taps& taps, Target to) {
  const std::size_t bytes_in = (taps.end - taps.begin) * channels, bytes_out = taps.places.size() * channels;
  std::vector<Column> columns(bytes_in + channels);  // the last pixel may have none after it: that weighs nothing
  std::vector<Column> resized(bytes_out + kLanes);   // turned back in whole blocks
  for (std::size_t first = 0; first < rows; first += kLanes) {
    const std::size_t lines = std::min(kLanes, rows - first);
    const std::uint8_t* line_from[kLanes];  // those after the last row repeat it
    for (std::size_t lane = 0; lane < kLanes; ++lane) line_from[lane] = from[first + std::min(lane, lines - 1)];
    std::size_t at = 0;
    for (; at + kLanes <= bytes_in; at += kLanes) {
      turn(line_from, &columns[at]);
      for (const std::uint8_t*& line : line_from) line += kLanes;
    }
    for (; at < bytes_in; ++at)
      for (std::size_t lane = 0; lane < kLanes; ++lane) columns[at].lanes[lane] = *line_from[lane]++;

    for (std::size_t x = 0; x < taps.places.size(); ++x) {
      const Taps::Place& place = taps.places[x];
      const TapPair* weights = taps.weights.data() + place.weights;
      for (std::size_t c = 0; c < channels; ++c) {
        Sums sums;
        for (std::size_t i = 0; i < place.pairs; ++i) {
          const Column* pair = &columns[2 * (place.first_pair + i) * channels + c];
          sums.add(pair->lanes, pair[channels].lanes, weights[i]);
        }
        sums.store(resized[x * channels + c].lanes);
      }
    }

    for (at = 0; at < bytes_out; at += kLanes) {
      const std::uint8_t* column[kLanes];
      Column line[kLanes];
      for (std::size_t i = 0; i < kLanes; ++i) column[i] = resized[at + i].lanes;
      turn(column, line);
      for (std::size_t lane = 0; lane < lines; ++lane)
        std::memcpy(to[first + lane] + at, line[lane].lanes, std::min(kLanes, bytes_out - at));
    }
  }
}

std::unique_ptr<std::uint8_t[]> uninitialised(std::size_t bytes) {
  return std::unique_ptr<std::uint8_t[]>(new std::uint8_t[bytes]);
}

}  // namespace

void resize_window(const std::uint8_t* pixels, ResizeAxis vertical, ResizeAxis horizontal, std::size_t channels,
                   Filter filter, bool vertical_first, std::uint8_t* window) {
  const Taps rows(vertical, filter), columns(horizontal, filter);
  const std::size_t stride = horizontal.in * channels;
  const Source from{pixels + rows.begin * stride + columns.begin * channels, stride};
  const std::size_t rows_in = rows.end - rows.begin, bytes_in = (columns.end - columns.begin) * channels;
  const std::size_t rows_out = vertical.end - vertical.begin, bytes_out = (horizontal.end - horizontal.begin) * channels;
  const Target to{window, bytes_out};

  if (rows.identity && columns.identity) {
    copy(from, rows_out, bytes_out, to);
  } else if (rows.identity) {
    resize_width(from, rows_out, channels, columns, to);
  } else if (columns.identity) {
    resize_height(from, bytes_out, rows, to);
  } else if (vertical_first) {
    const auto between = uninitialised(rows_out * bytes_in);
    resize_height(from, bytes_in, rows, {between.get(), bytes_in});
    resize_width({between.get(), bytes_in}, rows_out, channels, columns, to);
  } else {
    const auto between = uninitialised(rows_in * bytes_out);
    resize_width(from, rows_in, channels, columns, {between.get(), bytes_out});
    resize_height({between.get(), bytes_out}, bytes_out, rows, to);
  }
}

void look_up(const std::uint8_t* pixels, std::size_t count, std::size_t channels, const float* table, float* planes) {
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t i = 0; i < count; ++i) planes[c * count + i] = table[c * 256 + pixels[i * channels + c]];
}

}  // namespace gmixer
