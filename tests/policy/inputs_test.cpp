#include "compositions.hpp"

#include <doctest/doctest.h>
#include <memory>

#if __has_include(<sys/mman.h>)
#  include <sys/mman.h>
#  include <unistd.h>
#  define HAS_PAGES 1
#endif

namespace {

using fixture::form;
using hence::detail::layout;
namespace aggregate = hence::aggregate;

const hence::policy_loss loss{hence::ratio::token{}, hence::clip::two_sided{0.75f, 1.25f},
                              hence::kl::k3{0.0625f}, aggregate::token_mean{}};
const hence::policy_loss pooled_loss{hence::ratio::sequence{}, hence::clip::two_sided{0.75f, 1.25f},
                                     hence::kl::k3{0.0625f}, aggregate::sequence_mean_token_mean{}};

}  // namespace

TEST_CASE("rows are found in strided and in ragged arrays") {
  fixture::dice random(1);
  const auto d = fixture::random_batch(random, {4, 0, 6});
  for (const form f : {form::ragged, form::holes}) {
    fixture::arrays<float> a(d, f);
    a.with_batch([&](const auto& batch) {
      const layout b = batch;
      const auto row = hence::detail::row_of(a.inputs(), b, a.output(), 2);
      const std::int64_t begin = f == form::ragged ? 4 : 2 * a.stride;
      CHECK(row.logp == a.logp.data() + begin);
      CHECK(row.old == a.old.data() + begin);
      CHECK(row.ref == a.ref.data() + begin);
      CHECK(row.gradient == a.gradient.data() + begin);
      CHECK(row.mask.response == a.response.data() + begin);
      CHECK(row.mask.policy == nullptr);
      CHECK(row.token_advantages == nullptr);
      CHECK(row.length == (f == form::ragged ? 6 : a.width));
      return 0;
    });
  }
}

TEST_CASE("log-probs carry how they were made; alike ones are accepted") {
  fixture::dice random(2);
  const auto d = fixture::random_batch(random, {4, 6});
  fixture::arrays<float> a(d, form::ragged);
  auto in = a.inputs();
  in.logp.how = in.old.how = in.ref.how = {0.6, 42};
  const auto r = hence::loss_and_gradient(hence::cpu{}, loss, a.ragged(), in, hence::over_this_call,
                                          a.output());
  CHECK(r.loss() == run(hence::cpu{}, loss, d).loss);
  CHECK(hence::sampled{1.0} == hence::sampled{1.0, 0});
  CHECK(hence::sampled{1.0, 1} != hence::sampled{1.0, 2});
}

#if defined(HAS_PAGES)

namespace {

/// Three pages of floats, of which the program may touch only some.
class guarded {
 public:
  guarded()
      : size_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))),
        memory_(
            mmap(nullptr, 3 * size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    REQUIRE(memory_ != MAP_FAILED);
  }
  guarded(const guarded&) = delete;
  guarded& operator=(const guarded&) = delete;
  ~guarded() { munmap(memory_, 3 * size_); }
  float* data() { return static_cast<float*>(memory_); }
  std::size_t floats_per_page() const { return size_ / sizeof(float); }
  void forbid(int page) {
    REQUIRE(mprotect(static_cast<char*>(memory_) + static_cast<std::size_t>(page) * size_, size_,
                     PROT_NONE) == 0);
  }

 private:
  std::size_t size_;
  void* memory_;
};

}  // namespace

TEST_CASE("dead positions may lie on pages that cannot be read") {
  guarded logp, old, ref, advantage;
  const std::size_t page = logp.floats_per_page(), n = 3 * page;
  fixture::dice random(3);
  // the middle page is dead; near its edges the live tokens thin out
  auto d = fixture::random_batch(random, {n}, {.per_token = true});
  for (std::size_t t = 0; t < n; ++t) {
    auto& p = d.rows[0].at[t];
    p.live = t < page || t >= 2 * page;
    if (t + 5 > page && t < page) p.live = t % 2 == 0 || t + 1 == page;
    logp.data()[t] = static_cast<float>(p.logp), old.data()[t] = static_cast<float>(p.old);
    ref.data()[t] = static_cast<float>(p.ref),
    advantage.data()[t] = static_cast<float>(p.advantage);
  }
  for (auto* g : {&logp, &old, &ref, &advantage}) g->forbid(1);
  fixture::arrays<float> a(d, form::ragged);
  const auto size = static_cast<std::int64_t>(n);
  hence::policy_inputs<float> in;
  in.logp = {hence::view<const float>(logp.data(), size), {1.0}};
  in.old = {hence::view<const float>(old.data(), size), {1.0}};
  in.ref = {hence::view<const float>(ref.data(), size), {1.0}};
  in.token_advantages = hence::view<const float>(advantage.data(), size);
  const auto check = [&](const auto& l, const auto& executor) {
    const auto expected = run(executor, l, d);
    const auto r = hence::loss_and_gradient(executor, l, a.ragged(), in, hence::over_this_call,
                                            a.output(), hence::with_metrics);
    CHECK(r.loss() == expected.loss);
    for (std::size_t t = 0; t < n; t += 97) CHECK(a.gradient[t] == expected.gradient[0][t]);
  };
  check(loss, hence::cpu{});
  check(pooled_loss, hence::cpu{});
  check(loss, hence::reference<float>{});
  check(pooled_loss, hence::reference<float>{});
}

TEST_CASE("nothing is read before or after an array, whatever its length") {
  guarded logp, old, ref, advantage;
  for (auto* g : {&logp, &old, &ref, &advantage}) g->forbid(0), g->forbid(2);
  const std::size_t page = logp.floats_per_page();
  fixture::dice random(4);
  for (const std::size_t n : {std::size_t{1}, std::size_t{5}, std::size_t{16}, std::size_t{17},
                              std::size_t{100}, page - 1, page})
    for (const bool at_end : {false, true}) {
      auto d = fixture::random_batch(random, {n}, {.per_token = true});
      const std::size_t from = at_end ? 2 * page - n : page;
      for (std::size_t t = 0; t < n; ++t) {
        const auto& p = d.rows[0].at[t];
        logp.data()[from + t] = static_cast<float>(p.logp),
                           old.data()[from + t] = static_cast<float>(p.old);
        ref.data()[from + t] = static_cast<float>(p.ref);
        advantage.data()[from + t] = static_cast<float>(p.advantage);
      }
      const auto size = static_cast<std::int64_t>(n);
      const std::vector<std::int64_t> cu{0, size};
      std::vector<float> gradient(n);
      hence::policy_inputs<float> in;
      in.logp = {hence::view<const float>(logp.data() + from, size), {1.0}};
      in.old = {hence::view<const float>(old.data() + from, size), {1.0}};
      in.ref = {hence::view<const float>(ref.data() + from, size), {1.0}};
      in.token_advantages = hence::view<const float>(advantage.data() + from, size);
      const auto check = [&](const auto& l) {
        const auto r =
            hence::loss_and_gradient(hence::cpu{}, l, hence::ragged{cu, {}}, in,
                                     hence::over_this_call, gradient, hence::with_metrics);
        CHECK(r.loss() == run(hence::cpu{}, l, d).loss);
      };
      check(loss);
      check(pooled_loss);
    }
}

#endif
