// Makes the mistake named by its argument, each in the way the core could make it.
#include <climits>
#include <cstdio>
#include <string>
#include <thread>

#include "products/layout.hpp"

int main(int, char** arguments) {
  const std::string mistake = arguments[1];
  volatile int result = 0;
  if (mistake == "overrun") {  // by one float, which the slack of an aligned block would hide
    const gmixer::Buffer buffer(5);
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
