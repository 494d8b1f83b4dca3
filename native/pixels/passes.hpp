// The two passes of a resize. Their contracts: pixel_kernels.hpp. I: see sums.hpp.
#pragma once

#include <cstring>

#include "pixel_kernels.hpp"
#include "sums.hpp"
#include "turn.hpp"

namespace gmixer {

// The lanes are `lanes` bytes of a row.
template <class I>
void resize_height(ByteRows<const std::uint8_t> from, std::size_t bytes, const TapsView& taps,
                   ByteRows<std::uint8_t> to) {
  constexpr std::size_t lanes = Sums<I>::lanes;
  const std::size_t last = taps.span - 1;
  for (std::size_t y = 0; y < taps.count; ++y) {
    const TapPlace& place = taps.places[y];
    const TapPair* weights = taps.weights + place.weights;
    const auto each_pair = [&](const auto& body) {
      for (std::size_t i = 0; i < place.pairs; ++i) {
        const std::size_t row = 2 * (place.first_pair + i);  // the row after the last has weight 0
        body(from[row], from[row < last ? row + 1 : last], weights[i]);
      }
    };
    std::size_t x = 0;
    for (; x + lanes <= bytes; x += lanes) {
      Sums<I> sums;
      each_pair([&](const std::uint8_t* a, const std::uint8_t* b, const TapPair& pair) {
        sums.add(a + x, b + x, pair);
      });
      sums.store(to[y] + x);
    }
    if (x == bytes) continue;
    Sums<I> sums;
    std::uint8_t a_end[lanes] = {}, b_end[lanes] = {};
    each_pair([&](const std::uint8_t* a, const std::uint8_t* b, const TapPair& pair) {
      std::memcpy(a_end, a + x, bytes - x);
      std::memcpy(b_end, b + x, bytes - x);
      sums.add(a_end, b_end, pair);
    });
    sums.store(a_end);
    std::memcpy(to[y] + x, a_end, bytes - x);
  }
}

// The lanes are `lanes` rows. They are transposed into columns of bytes, and the resized columns are transposed back.
template <class I>
void resize_width(ByteRows<const std::uint8_t> from, std::size_t rows, std::size_t channels, const TapsView& taps,
                  std::uint8_t* scratch, ByteRows<std::uint8_t> to) {
  constexpr std::size_t lanes = Sums<I>::lanes;
  const std::size_t bytes_in = taps.span * channels, bytes_out = taps.count * channels;
  std::uint8_t* columns = scratch;  // bytes_in columns; a pixel after the last has weight 0
  std::uint8_t* resized = scratch + (bytes_in + channels) * lanes;  // bytes_out columns, transposed in whole blocks
  for (std::size_t first = 0; first < rows; first += lanes) {
    const std::size_t lines = rows - first < lanes ? rows - first : lanes;
    const std::uint8_t* line_from[lanes];  // lanes after the last row repeat that row
    for (std::size_t lane = 0; lane < lanes; ++lane) line_from[lane] = from[first + (lane < lines ? lane : lines - 1)];
    std::size_t at = 0;
    for (; at + kTurn <= bytes_in; at += kTurn) {
      for (std::size_t lane = 0; lane < lanes; lane += kTurn)
        turn_eight<I>(line_from + lane, columns + at * lanes + lane, lanes);
      for (const std::uint8_t*& line : line_from) line += kTurn;
    }
    for (; at < bytes_in; ++at)
      for (std::size_t lane = 0; lane < lanes; ++lane) columns[at * lanes + lane] = *line_from[lane]++;

    for (std::size_t x = 0; x < taps.count; ++x) {
      const TapPlace& place = taps.places[x];
      const TapPair* weights = taps.weights + place.weights;
      for (std::size_t c = 0; c < channels; ++c) {
        Sums<I> sums;
        for (std::size_t i = 0; i < place.pairs; ++i) {
          const std::uint8_t* pair = columns + (2 * (place.first_pair + i) * channels + c) * lanes;
          sums.add(pair, pair + channels * lanes, weights[i]);
        }
        sums.store(resized + (x * channels + c) * lanes);
      }
    }

    for (at = 0; at < bytes_out; at += kTurn) {
      const std::size_t bytes = bytes_out - at < kTurn ? bytes_out - at : kTurn;
      for (std::size_t lane = 0; lane < lines; lane += kTurn) {
        const std::uint8_t* column[kTurn];
        std::uint8_t line[kTurn * kTurn];
        for (std::size_t i = 0; i < kTurn; ++i) column[i] = resized + (at + i) * lanes + lane;
        turn_eight<I>(column, line, kTurn);
        for (std::size_t i = 0; i < kTurn && lane + i < lines; ++i)
          std::memcpy(to[first + lane + i] + at, line + i * kTurn, bytes);
      }
    }
  }
}

}  // namespace gmixer
