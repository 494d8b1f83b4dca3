// What an arm64 CPU has beyond NEON.
#pragma once

#if defined(__aarch64__)
#if defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__linux__)
#include <sys/auxv.h>
#endif

namespace gmixer {

enum class ArmFeature { dotprod, bf16 };

inline bool has_arm_feature(ArmFeature feature) {
#if defined(__APPLE__)
  const char* name =
      feature == ArmFeature::bf16 ? "hw.optional.arm.FEAT_BF16" : "hw.optional.arm.FEAT_DotProd";
  int present = 0;
  std::size_t bytes = sizeof present;
  return sysctlbyname(name, &present, &bytes, nullptr, 0) == 0 && present != 0;
#elif defined(__linux__)
  // Bits of the kernel's arch/arm64/include/uapi/asm/hwcap.h: HWCAP_ASIMDDP and HWCAP2_BF16.
  return feature == ArmFeature::bf16 ? getauxval(AT_HWCAP2) >> 14 & 1 : getauxval(AT_HWCAP) >> 20 & 1;
#else
  (void)feature;
  return false;
#endif
}

}  // namespace gmixer
#endif
