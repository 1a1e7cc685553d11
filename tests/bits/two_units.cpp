// Calls both halves; equal bits and no crash.
#include <cstdint>
#include <cstdio>
#include <vector>

double first(const std::vector<float>&, const std::vector<float>&, const std::vector<float>&,
             const std::vector<std::int64_t>&, std::vector<float>&);
double second(const std::vector<float>&, const std::vector<float>&, const std::vector<float>&,
              const std::vector<std::int64_t>&, std::vector<float>&);

int main() {
  std::vector<float> logp, old_logp, advantages{1.0f, -2.0f, 0.5f};
  for (int i = 0; i < 100; ++i)
    logp.push_back(-0.03125f * static_cast<float>(i)),
        old_logp.push_back(-0.0625f * static_cast<float>(i % 50));
  std::vector<float> a(100), b(100);
  const std::vector<std::int64_t> cu_seqlens{0, 31, 60, 100};
  const double x = first(logp, old_logp, advantages, cu_seqlens, a),
               y = second(logp, old_logp, advantages, cu_seqlens, b);
  std::printf("%a %a\n", x, y);
  return x == y && x == x && a == b ? 0 : 1;
}
