// The operation distill, float32 on packs and on scalars, which must agree bit for bit.

#include "logits.hpp"

#include <hence/logits/distill.hpp>

#include <stdexcept>

namespace conformance {
namespace {

using hence::view;

template <class S> struct outputs {
  std::vector<S> per_token, gradient;
  hence::status found = hence::status::ok;
};
template <class S> struct inputs {
  std::int64_t rows, columns, k = 0;
  std::vector<std::uint8_t> mask;
  std::vector<S> student, teacher, cot;
  std::vector<std::int64_t> ids;
};

template <class Executor, class S>
outputs<S> run(const Executor& executor, const options& o, const inputs<S>& c) {
  outputs<S> out{
      std::vector<S>(c.mask.size(), nan<S>()), std::vector<S>(c.student.size(), nan<S>()), {}};
  const view<const S, 2> student(c.student.data(), c.rows, c.columns);
  const hence::distill_inputs<S> in{.mask = c.mask, .cotangent = c.cot};
  const hence::distill_results<S> results{
      .per_token = out.per_token, .gradient = view<S, 2>(out.gradient.data(), c.rows, c.columns)};
  const double temperature = o.number("temperature"),
               infinity = std::numeric_limits<double>::infinity();
  if (!c.ids.empty()) {
    out.found =
        hence::distill_top_k(executor,
                             {.temperature = temperature,
                              .log_prob_min = o.number_or("log_prob_min", -infinity),
                              .clamp_min = o.number_or("clamp_min", -infinity),
                              .clamp_max = o.number_or("clamp_max", infinity)},
                             student, view<const std::int64_t, 2>(c.ids.data(), c.rows, c.k),
                             view<const S, 2>(c.teacher.data(), c.rows, c.k), in, results);
    return out;
  }
  const view<const S, 2> teacher(c.teacher.data(), c.rows, c.columns);
  const auto with = [&](const auto& how) {
    out.found =
        hence::distill(executor, how, {.temperature = temperature}, student, teacher, in, results);
  };
  const auto beta = static_cast<S>(o.number("beta"));
  if (beta == 0)
    with(hence::divergence::forward_kl{});
  else if (beta == 1)
    with(hence::divergence::reverse_kl{});
  else
    with(hence::divergence::generalized_jsd{beta});
  return out;
}

template <class S> answer distill(const request& r) {
  const options& o = r.options_of_case();
  const bool is_top_k =
      o.choice<bool>("type", {{"generalized_jsd", false}, {"forward_kl_topk", true}});
  if (is_top_k)
    o.expect({"type", "temperature", "log_prob_min", "clamp_min", "clamp_max"});
  else
    o.expect({"type", "beta", "temperature"});
  const auto shape = r.input("student_logits").shape;
  if (shape.size() != 2) throw std::invalid_argument("student_logits do not have the shape [T, V]");
  inputs<S> c{
      shape[0], shape[1], 0, r.mask("mask", {shape[0]}), r.floats<S>("student_logits", shape),
      {},       {},       {}};
  if (is_top_k) {
    const auto ids = r.input("teacher_ids").shape;
    if (ids.size() != 2 || ids[0] != shape[0] || ids[1] < 1)
      throw std::invalid_argument("teacher_ids do not have the shape [T, K]");
    c.k = ids[1];
    c.ids = r.ids("teacher_ids", ids);
    c.teacher = r.floats<S>("teacher_logp", ids);
  } else {
    c.teacher = r.floats<S>("teacher_logits", shape);
  }
  double live = 0;
  for (const auto m : c.mask) live += m != 0;
  c.cot.assign(c.mask.size(), static_cast<S>(1 / std::max(live, 1.0)));
  outputs<S> out;
  if constexpr (std::is_same_v<S, double>) {
    out = run(hence::reference<double>{}, o, c);
  } else {
    out = run(hence::cpu{}, o, c);
    const auto scalars = run(hence::reference<float>{}, o, c);
    demand_same_bits(out.per_token, scalars.per_token, "cpu and reference");
    demand_same_bits(out.gradient, scalars.gradient, "cpu and reference");
  }
  if (out.found != hence::status::ok)
    throw std::runtime_error("a row is not finite, its supports differ, or an id is out of range");
  double loss = 0;
  for (const S x : out.per_token) loss += static_cast<double>(x) / std::max(live, 1.0);
  return {{"per_token", make_tensor({c.rows}, out.per_token)},
          {"loss", scalar(loss)},
          {"grad_student_logits", make_tensor(shape, out.gradient)}};
}

const operation registered("distill", [](const request& r) {
  return r.is_double() ? distill<double>(r) : distill<float>(r);
});

}  // namespace
}  // namespace conformance
