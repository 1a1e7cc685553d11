// The log-prob program's rows at the ends of what its steps tell apart, as students and teachers.
#pragma once

#include "distill.hpp"
#include "token_logprob_ends.hpp"

namespace distill_case {

/// A row's teacher is another row of its batch; the teacher's k ids have log-probs down to where
/// terms vanish. Without rows that a soft-cap or a mask of columns is for, as distillation has
/// none.
template <class T, class Q> std::vector<batch<T, Q>> ends() {
  std::vector<batch<T, Q>> out;
  for (const auto& of : logprob_case::ends<float>()) {
    if (of.rule.soft_cap > 0 || of.has_keep) continue;
    const std::int64_t k = std::min<std::int64_t>(of.columns / 2, 49);
    batch<T, Q> b{of.name, of.columns, of.stride, k, of.rule.temperature, out.size() % 3 == 0,
                  false};
    const std::int64_t rows = of.rows();
    b.student.assign(static_cast<std::size_t>(rows * b.stride), T(NAN));
    b.teacher.assign(static_cast<std::size_t>(rows * b.stride), Q(NAN));
    for (std::int64_t i = 0; i < rows; ++i) {
      const std::int64_t other = (i + 1) % rows;
      for (std::int64_t c = 0; c < b.columns; ++c) {
        const auto at = static_cast<std::size_t>(of.offset + c);
        const auto row = static_cast<std::size_t>(of.stride);
        b.student[b.at(i, c)] = T(of.logits[at + static_cast<std::size_t>(i) * row]);
        b.teacher[b.at(i, c)] = Q(of.logits[at + static_cast<std::size_t>(other) * row]);
      }
      b.cotangent.push_back(i % 2 == 0 ? 1.0f : -0.75f);
      for (std::int64_t j = 0; j < k; ++j) {
        b.ids.push_back((i + 2 * j) % b.columns);  // at most half of them: none twice
        b.teacher_logp.push_back(-0.75f - static_cast<float>((7 * j) % (i % 2 == 0 ? 13 : 101)));
      }
    }
    out.push_back(std::move(b));
  }
  return out;
}

}  // namespace distill_case
