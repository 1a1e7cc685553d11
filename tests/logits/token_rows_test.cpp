// Which rows and parts are visited, what a label asks of its row, and when a label is the
// reference.
#include <doctest/doctest.h>
#include <hence/logits/token_rows.hpp>

#include <cstdint>
#include <vector>

namespace {

using namespace hence;

/// A pool of one thread that notes its calls.
struct noting_pool {
  std::int64_t* parts;
  template <class F> void parallel_for(std::int64_t n, F&& f) const {
    *parts = n;
    for (std::int64_t i = n - 1; i >= 0; --i) f(i);
  }
};
struct noting_executor {
  static constexpr bool is_parallel = true;
  const noting_pool* pool;
};

TEST_CASE("a label is a column, ignored or bad") {
  const auto is = [](const detail::label_place& p, std::int64_t column, bool ignored, bool bad) {
    return p.column == column && p.is_ignored == ignored && p.is_bad == bad;
  };
  CHECK(is(detail::place_of(0, 3, true), 0, false, false));
  CHECK(is(detail::place_of(2, 3, true), 2, false, false));
  CHECK(is(detail::place_of(3, 3, true), -1, false, true));
  CHECK(is(detail::place_of(-1, 3, true), -1, true, true));
  CHECK(is(detail::place_of(-1, 3, false), -1, false, true));
}

TEST_CASE("a label beyond 2^500 of the rest, or alone, becomes the reference") {
  const auto reference = [](double others, double label, double scale = 1) {
    const softmax_state s = detail::with_bounded_label({others, 0.25, 7, 0, label}, scale);
    CHECK(s.others == (s.reference == 7 ? others : 0));
    CHECK(s.moment == (s.reference == 7 ? 0.25 : 0));
    return s.reference;
  };
  CHECK(reference(1, 507) == 7);
  CHECK(reference(1, 507.75) == 508);
  CHECK(reference(1, 254, 2) == 508);
  CHECK(reference(1, -1e30) == 7);
  CHECK(reference(0, 3.25) == 3);
  CHECK(reference(0, -__builtin_inf()) == 7);
  CHECK(reference(0, __builtin_nan("")) == 7);
}

TEST_CASE("the ends of temperatures and soft-caps") {
  const auto check = [](double temperature, double cap) {
    detail::check_softmax_rule(
        {.temperature = temperature, .negative = negative_labels::ignored, .soft_cap = cap});
  };
  CHECK_NOTHROW(check(1e-20, 0));
  CHECK_NOTHROW(check(1e20, 1e20));
  CHECK_NOTHROW(check(1, 1e-20));
  for (const double t : {0.0, 9e-21, 2e20, -1.0, __builtin_nan("")}) CHECK_THROWS(check(t, 0));
  for (const double c : {9e-21, 2e20, -1.0, __builtin_nan("")}) CHECK_THROWS(check(1, c));
}

TEST_CASE("parts are nearly equal and leave nothing out") {
  for (std::int64_t n = 0; n < 20; ++n)
    for (std::int64_t parts = 1; parts < 9; ++parts) {
      CHECK(detail::begin_of_part(n, 0, parts) == 0);
      CHECK(detail::begin_of_part(n, parts, parts) == n);
      for (std::int64_t i = 0; i < parts; ++i) {
        const std::int64_t size =
            detail::begin_of_part(n, i + 1, parts) - detail::begin_of_part(n, i, parts);
        CHECK(size >= n / parts);
        CHECK(size <= n / parts + 1);
      }
    }
  // where n times parts is beyond 2^63
  CHECK(detail::begin_of_part(std::int64_t{1} << 61, 15, 16) == (std::int64_t{1} << 57) * 15);
}

TEST_CASE("each part and each row once, and what they return is joined") {
  std::vector<std::int64_t> seen;
  const auto note = [&](std::int64_t i) {
    seen.push_back(i);
    return i == 1 ? status::label : i == 2 ? status::non_finite : status::ok;
  };
  const status both = status::label | status::non_finite;
  CHECK(detail::for_parts_of(cpu{}, 4, note) == both);
  CHECK(seen == std::vector<std::int64_t>{0, 1, 2, 3});
  std::int64_t parts = 0;
  const noting_pool pool{&parts};
  seen.clear();
  CHECK(detail::for_parts_of(noting_executor{&pool}, 4, note) == both);
  CHECK(seen == std::vector<std::int64_t>{3, 2, 1, 0});

  const auto rows = [&](const auto& executor, std::int64_t n, std::int64_t columns) {
    seen.clear();
    return detail::for_token_rows(executor, view<const float, 2>(nullptr, n, columns), note);
  };
  CHECK(rows(cpu{}, 5, 7) == both);
  CHECK(seen == std::vector<std::int64_t>{0, 1, 2, 3, 4});
  CHECK(rows(cpu{}, 0, 7) == status::ok);
  CHECK(seen.empty());
  // 65536 logits or a row more to a chunk, from the last one
  CHECK(rows(noting_executor{&pool}, 5, 65535) == both);
  CHECK(parts == 3);
  CHECK(seen == std::vector<std::int64_t>{4, 2, 3, 0, 1});
  CHECK(rows(noting_executor{&pool}, 4, 40000) == both);
  CHECK(parts == 2);
  CHECK(seen == std::vector<std::int64_t>{2, 3, 0, 1});
  CHECK(rows(noting_executor{&pool}, 3, 65536) == both);
  CHECK(parts == 3);
  CHECK(rows(noting_executor{&pool}, 0, 65536) == status::ok);
  CHECK(parts == 0);
}

}  // namespace
