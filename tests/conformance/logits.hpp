/// \file
/// What the operations on logits share: the inputs, storage types, equal bits.
#pragma once

#include "operation.hpp"

#include <hence/core/storage.hpp>
#include <hence/logits/token_arrays.hpp>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>

namespace conformance {

template <class S> S nan() { return std::numeric_limits<S>::quiet_NaN(); }

template <class S>
void demand_same_bits(const std::vector<S>& a, const std::vector<S>& b, const char* which) {
  using bits = std::conditional_t<std::is_same_v<S, double>, std::uint64_t, std::uint32_t>;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::bit_cast<bits>(a[i]) != std::bit_cast<bits>(b[i]) &&
        !(std::isnan(a[i]) && std::isnan(b[i])))
      throw std::runtime_error(std::string(which) + " differ in [" + std::to_string(i) + "]");
}

/// Everything but the logits themselves.
template <class S> struct logits_case {
  hence::softmax_rule rule;
  std::int64_t rows = 0, columns = 0;
  std::vector<std::int64_t> labels;
  std::vector<std::uint8_t> keep;
  std::vector<S> cot_logp, cot_entropy;
  bool has_cotangent = false;

  hence::token_cotangents<S> cot() const {
    hence::token_cotangents<S> c;
    if (!cot_logp.empty()) c.logp = cot_logp;
    if (!cot_entropy.empty()) c.entropy = cot_entropy;
    return c;
  }
  hence::view<const std::uint8_t, 2> kept() const {
    if (keep.empty()) return {};
    return {keep.data(), rows, columns};
  }
};

/// \param shape of the logits.
template <class S>
logits_case<S> read_logits_case(const request& r, const std::vector<std::int64_t>& shape) {
  const options& o = r.options_of_case();
  o.expect({"temperature", "ignore_negative"});
  if (shape.size() != 2) throw std::invalid_argument("logits do not have the shape [T, V]");
  logits_case<S> c;
  c.rule = {.temperature = o.number("temperature"),
            .negative = o.boolean("ignore_negative") ? hence::negative_labels::ignored
                                                     : hence::negative_labels::out_of_range};
  c.rows = shape[0], c.columns = shape[1];
  c.labels = r.ids("labels", {c.rows});
  if (r.has("keep")) c.keep = r.mask("keep", shape);
  if (r.has("cot_logp")) c.cot_logp = r.floats<S>("cot_logp", {c.rows});
  if (r.has("cot_entropy")) c.cot_entropy = r.floats<S>("cot_entropy", {c.rows});
  c.has_cotangent = r.has("cot_logp") || r.has("cot_entropy");
  return c;
}

/// The bytes of a 16-bit tensor as hence's type.
template <class T> std::vector<T> halves(const tensor& t) {
  std::vector<T> x(static_cast<std::size_t>(t.size()));
  std::memcpy(x.data(), t.bytes.data(), t.bytes.size());
  return x;
}

/// f(logits as they are stored); float32 cases may hold BF16 or F16.
template <class S, class F> auto with_logits(const request& r, F&& f) {
  const tensor& t = r.input("logits");
  if constexpr (std::is_same_v<S, float>) {
    if (t.type == dtype::bf16) return f(halves<hence::bf16>(t));
    if (t.type == dtype::f16) return f(halves<hence::f16>(t));
  }
  return f(r.floats<S>("logits", t.shape));
}

/// Conditions that the contract wants refused.
inline void refuse_bad_rows(hence::status s) {
  if (has(s, hence::status::non_finite))
    throw std::runtime_error("a row of logits has a NaN, +infinity or no support");
  if (has(s, hence::status::label))
    throw std::runtime_error("a label is out of range or outside the support");
}

}  // namespace conformance
