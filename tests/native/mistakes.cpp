// Makes the mistake that its argument names. Each is one that the core could make.
#include <climits>
#include <cstdio>
#include <string>
#include <thread>

#include "products/buffer.hpp"

int main(int, char** arguments) {
  const std::string mistake = arguments[1];
  volatile int result = 0;
  if (mistake == "overrun") {  // by one float; the slack of an aligned block would hide it
    const gmixer::Buffer<float> buffer(5);
    volatile std::size_t past = 5;
    result = static_cast<int>(buffer.data()[past]);
  } else if (mistake == "leak") {
    static float* volatile kept;
    for (int i = 0; i < 2; ++i) kept = new float[1000];  // the first is lost
    result = kept != nullptr;
  } else if (mistake == "overflow") {
    volatile int most = INT_MAX;
    result = most + 1;
  } else if (mistake == "race") {
    int count = 0;
    std::thread other([&] { ++count; });
    ++count;
    other.join();
    result = count;
  }
  std::printf("%s: not noticed, %d\n", mistake.c_str(), result);
}
