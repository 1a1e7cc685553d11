// A program of its own, compiled with -fno-exceptions -fno-rtti: refusals go to the handler,
// everything else works. Exits with 0 if the handler was called with the right text.
#include <hence/policy/loss.hpp>

#include <cstring>

namespace {

[[noreturn]] void on_refused(const char* text) {
  const char* const expected = "hence: old has 3 entries, cu_seqlens describes 4 tokens";
  std::_Exit(std::strcmp(text, expected) == 0 ? 0 : 1);
}

}  // namespace

int main() {
  hence::on_refusal = on_refused;
  const std::int64_t boundaries[] = {0, 4};
  const float x[4] = {-1, -1, -1, -1}, advantages[1] = {2};
  float gradient[4];
  const hence::ragged batch{hence::view<const std::int64_t>(boundaries, 2), {}};
  const hence::policy_loss loss{hence::ratio::token{}, hence::clip::two_sided{0.8f, 1.2f},
                                hence::kl::none{}, hence::aggregate::token_mean{}};
  hence::policy_inputs<float> in;
  in.logp = in.old = {hence::view<const float>(x, 4), {1.0}};
  in.advantages = hence::view<const float>(advantages, 1);
  const hence::view<float> out(gradient, 4);
  const auto r =
      hence::loss_and_gradient(hence::cpu{}, loss, batch, in, hence::over_this_call, out);
  if (r.loss() != -2 || gradient[3] != -0.5f) return 2;
  in.old = {hence::view<const float>(x, 3), {1.0}};
  hence::loss_and_gradient(hence::cpu{}, loss, batch, in, hence::over_this_call, out);
  return 3;  // it was not refused
}
