#include "dispatch.hpp"

#include <algorithm>
#include <stdexcept>

#include "arm_features.hpp"

namespace gmixer {

#define GMIXER_ISA(name, present) extern const PixelKernels name##_pixels;
#define GMIXER_PRODUCTS(row, present) extern const Products row##_products;
#include "kernels.inc"
#undef GMIXER_ISA
#undef GMIXER_PRODUCTS

namespace {

// The rows that this CPU can run, best first.
struct Tables {
  std::vector<const PixelKernels*> pixels;
  std::vector<const Products*> products;

  Tables() {
    bool has_isa = false;
#define GMIXER_ISA(name, present) \
  has_isa = present;              \
  if (has_isa) pixels.push_back(&name##_pixels);
#define GMIXER_PRODUCTS(row, present) \
  if (has_isa && (present)) products.push_back(&row##_products);
#include "kernels.inc"
#undef GMIXER_ISA
#undef GMIXER_PRODUCTS
  }
};

const Tables& tables() {
  static const Tables present;
  return present;
}

using Names = std::vector<std::string>;

void add(Names& names, const char* name) {
  if (std::find(names.begin(), names.end(), name) == names.end()) names.emplace_back(name);
}

std::string listed(const Names& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

[[noreturn]] void refuse(const std::string& isa, const Names& available) {
  throw std::invalid_argument("isa='" + isa + "' is not available on this CPU; it supports " + listed(available));
}

}  // namespace

std::vector<std::string> available_isas(const std::string& precision) {
  Names isas, precisions;
  for (const Products* row : tables().products) {
    add(precisions, row->precision);
    if (precision == row->precision) add(isas, row->isa);
  }
  if (isas.empty())
    throw std::invalid_argument("precision='" + precision + "' is not available on this CPU; it supports " +
                                listed(precisions));
  return isas;
}

std::vector<std::string> available_extensions(const std::string& isa, const std::string& precision) {
  Names extensions;
  for (const Products* row : tables().products)
    if (isa == row->isa && precision == row->precision) extensions.emplace_back(row->extension);
  if (extensions.empty()) refuse(isa, available_isas(precision));
  return extensions;
}

const Products& find_products(const std::string& isa, const std::string& precision,
                              const std::optional<std::string>& extension) {
  const Names extensions = available_extensions(isa, precision);
  for (const Products* row : tables().products)
    if (isa == row->isa && precision == row->precision && extension.value_or(extensions.front()) == row->extension)
      return *row;
  throw std::invalid_argument("extension='" + *extension + "' is not available on this CPU for " + isa + "; it has " +
                              listed(extensions));
}

const PixelKernels& find_pixels(const std::string& isa) {
  Names isas;
  for (const PixelKernels* row : tables().pixels) {
    if (isa == row->isa) return *row;
    add(isas, row->isa);
  }
  refuse(isa, isas);
}

ProductRows find_rows(const std::string& isa, const std::string& precision,
                      const std::optional<std::string>& extension) {
  return {.blocks = find_products(isa, precision, extension), .ends = find_products(isa, "fp32")};
}

}  // namespace gmixer
