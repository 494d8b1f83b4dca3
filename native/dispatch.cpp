#include "dispatch.hpp"

#include <stdexcept>

namespace gmixer {

#define GMIXER_ISA(name, present) extern const Kernels name##_kernels;
#include "kernels.inc"
#undef GMIXER_ISA

namespace {

std::vector<const Kernels*> present_kernels() {
  std::vector<const Kernels*> rows;
#define GMIXER_ISA(name, present) \
  if (present) rows.push_back(&name##_kernels);
#include "kernels.inc"
#undef GMIXER_ISA
  return rows;
}

}  // namespace

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Kernels* row : present_kernels()) names.emplace_back(row->isa);
  return names;
}

const Kernels& choose_kernels(const std::string& isa) {
  std::string have;
  for (const Kernels* row : present_kernels()) {
    if (isa.empty() || isa == row->isa) return *row;
    have += (have.empty() ? "" : ", ") + std::string(row->isa);
  }
  throw std::invalid_argument("instruction set '" + isa + "' is not to be had here; this processor runs " + have);
}

}  // namespace gmixer
