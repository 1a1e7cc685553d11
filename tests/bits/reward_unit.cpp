// Half of a program whose two halves are compiled with different -m flags (two_units.sh).
#include "reward.hpp"

double UNIT();
double UNIT() {
  double sum = 0;
  const auto add = [&](double x) { sum = sum / 2 + x; };
  reward_numbers(add);
  evaluation_numbers(add);
  return sum;
}
