// The rows of products that this CPU supports, for checks that run all of them.
#pragma once

#include <string>
#include <vector>

#include "dispatch.hpp"

inline constexpr const char* kPrecisions[] = {"fp32", "bf16", "int8"};

struct Row {
  std::string precision, isa, extension;

  std::string name() const { return precision + " " + isa + (extension.empty() ? "" : " ") + extension; }
  const gmixer::Products& products() const { return gmixer::find_products(isa, precision, extension); }
  gmixer::ProductRows rows() const { return gmixer::find_rows(isa, precision, extension); }
};

// Best first: the last one is scalar.
inline std::vector<Row> rows_of(const std::string& precision) {
  std::vector<Row> rows;
  for (const std::string& isa : gmixer::available_isas(precision))
    for (const std::string& extension : gmixer::available_extensions(isa, precision))
      rows.push_back({precision, isa, extension});
  return rows;
}

inline std::vector<Row> every_row() {
  std::vector<Row> rows;
  for (const char* precision : kPrecisions)
    for (const Row& row : rows_of(precision)) rows.push_back(row);
  return rows;
}

inline std::string listed(const std::vector<Row>& rows) {
  std::string names;
  for (const Row& row : rows) names += (names.empty() ? "" : ", ") + row.name();
  return names;
}
