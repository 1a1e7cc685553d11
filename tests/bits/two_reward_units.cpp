// Calls both halves; equal bits and no crash.
#include <cstdio>

double first();
double second();

int main() {
  const double x = first(), y = second();
  std::printf("%a %a\n", x, y);
  return x == y ? 0 : 1;
}
