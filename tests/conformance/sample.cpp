// The operation sample, on packs and on scalars, which must agree bit for bit.

#include "logits.hpp"

#include <hence/logits/sample.hpp>

#include <stdexcept>

namespace conformance {
namespace {

using hence::view;

struct outputs {
  std::vector<std::uint8_t> kept;
  std::vector<std::int64_t> token;
  std::vector<float> logp;
  hence::status found;
};

template <class Executor>
outputs run(const Executor& executor, const hence::sample_rule& rule, const std::vector<float>& x,
            const std::vector<float>& uniform, std::int64_t rows, std::int64_t columns) {
  const auto n = static_cast<std::size_t>(rows);
  outputs out{std::vector<std::uint8_t>(x.size(), 77),
              std::vector<std::int64_t>(n, -7),
              std::vector<float>(n, nan<float>()),
              {}};
  std::vector<std::byte> memory(static_cast<std::size_t>(hence::sample_bytes(columns)));
  out.found = hence::sample(executor, rule, view<const float, 2>(x.data(), rows, columns), uniform,
                            {.token = out.token,
                             .logp = out.logp,
                             .kept = view<std::uint8_t, 2>(out.kept.data(), rows, columns)},
                            memory);
  return out;
}

const operation registered("sample", [](const request& r) -> answer {
  const options& o = r.options_of_case();
  o.expect({"temperature", "top_k", "top_p", "min_p"});
  if (r.is_double()) throw unsupported("sample in float64");
  hence::sample_rule rule{.temperature = o.number("temperature")};
  if (!o.is_null("top_k")) rule.top_k = o.integer("top_k");
  rule.top_p = o.number_or("top_p", 1);
  rule.min_p = o.number_or("min_p", 0);
  if (!o.is_null("top_k") && rule.top_k < 1) throw std::invalid_argument("top_k is below 1");
  const auto shape = r.input("logits").shape;
  if (shape.size() != 2) throw std::invalid_argument("logits do not have the shape [T, V]");
  const auto x = r.floats<float>("logits", shape), uniform = r.floats<float>("uniform", {shape[0]});
  const outputs out = run(hence::cpu{}, rule, x, uniform, shape[0], shape[1]);
  const outputs scalar = run(hence::reference<float>{}, rule, x, uniform, shape[0], shape[1]);
  if (out.kept != scalar.kept || out.token != scalar.token)
    throw std::runtime_error("cpu and reference differ");
  demand_same_bits(out.logp, scalar.logp, "cpu and reference");
  if (out.found != hence::status::ok)
    throw std::runtime_error("a row has no distribution, or a uniform outside [0, 1)");
  return {{"kept", make_tensor(shape, out.kept)},
          {"token", make_tensor({shape[0]}, out.token)},
          {"logp", make_tensor({shape[0]}, out.logp)}};
});

}  // namespace
}  // namespace conformance
