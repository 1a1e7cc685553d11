// expect: ^hence: a weight is made of scores
// What experts are selected by, the biased score, is another type than what weights are made of.
#include <hence/moe/score.hpp>

namespace moe = hence::moe;

int main() {
  using V = hence::num<float>;
  const moe::score_value<V> s{V(0.5f)};
  const moe::selection_value<V> c = moe::select_by(s, V(0.1f));
#ifdef FIXED
  const moe::score_value<V> weight = s;
#else
  const moe::score_value<V> weight = c;
#endif
  return weight.v > V(c.v) ? 1 : 0;
}
