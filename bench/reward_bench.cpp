// Rewards: answers verified a second on one core, and bytes a second on texts from 10^2 to 10^7
// bytes, where linear time shows as a rate that does not fall. scripts/verifiers.py has the Python
// verifiers' rates.

#include <hence/reward.hpp>

#include <benchmark/benchmark.h>
#include <string>
#include <vector>

namespace {

namespace reward = hence::reward;

/// A thousand short responses with their references: integers, decimals and fractions, two in three
/// right.
struct short_answers {
  std::vector<std::string> responses, references;
  short_answers() {
    for (int i = 0; i < 1000; ++i) {
      const std::string n = std::to_string(i * 37 % 1000);
      responses.push_back("So the answer is \\boxed{" + n + (i % 3 == 0 ? ".50" : "") + "}.");
      references.push_back(i % 3 == 1 ? n : std::to_string(i * 74 % 2000 + 1) + "/2");
    }
  }
};

void short_numeric_answers(benchmark::State& state) {
  const short_answers set;
  double sum = 0;
  for (auto _ : state)
    for (std::size_t i = 0; i < set.responses.size(); ++i)
      sum += reward::accuracy_reward(reward::extract::last_boxed{}, set.responses[i],
                                     set.references[i], reward::answer::math);
  benchmark::DoNotOptimize(sum);
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(set.responses.size()));
}
BENCHMARK(short_numeric_answers);

std::string repeated(const std::string& piece, std::int64_t bytes) {
  std::string s;
  while (s.size() < static_cast<std::size_t>(bytes)) s += piece;
  return s;
}

template <class F> void over_sizes(benchmark::State& state, const std::string& s, const F& f) {
  for (auto _ : state) benchmark::DoNotOptimize(f(s));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(s.size()));
}

void format_of_prose(benchmark::State& state) {
  over_sizes(state,
             "<think>" + repeated("so x < 5, then ", state.range(0)) + "</think><answer>5</answer>",
             [](const std::string& s) {
               return reward::parse(reward::format::r1_zero{reward::matching::strict}, s).ok();
             });
}
void format_of_tags(benchmark::State& state) {
  over_sizes(state, repeated("<think><answer></answer>", state.range(0)), [](const std::string& s) {
    return reward::parse(reward::format::r1_zero{reward::matching::lenient}, s).ok();
  });
}
void boxes(benchmark::State& state) {
  over_sizes(state, "\\boxed{" + repeated("{", state.range(0)), [](const std::string& s) {
    return reward::find_answer(reward::extract::last_boxed{}, s).ok();
  });
}
void compare_texts(benchmark::State& state) {
  over_sizes(state, repeated("x^{2} + \\dfrac{a}{b} ", state.range(0)), [](const std::string& s) {
    return reward::compare_answers(s, s, reward::answer::math);
  });
}
void compare_lists(benchmark::State& state) {
  over_sizes(state, repeated("12, ", state.range(0)) + "7", [](const std::string& s) {
    return reward::compare_answers(s, s, reward::answer::math);
  });
}
void compare_roots(benchmark::State& state) {  // the dearest numbers: a prime near 2^40 to factor
  over_sizes(state, repeated("\\sqrt{1099511627689}, ", state.range(0)), [](const std::string& s) {
    return reward::compare_answers(s, s, reward::answer::math);
  });
}
void compare_braces(benchmark::State& state) {
  over_sizes(state, repeated("{", state.range(0)), [](const std::string& s) {
    return reward::compare_answers(s, s, reward::answer::math);
  });
}
void words(benchmark::State& state) {
  over_sizes(
      state, repeated("so \u6240\u4EE5 $x$ `y` it\u2019s ", state.range(0)),
      [](const std::string& s) {
        return reward::count_words(s, reward::language::scripts{reward::script::latin}).target;
      });
}
void unclosed(benchmark::State& state) {
  over_sizes(state, repeated("``` \\( $$ ", state.range(0)), [](const std::string& s) {
    return reward::count_words(s, reward::language::scripts{reward::script::latin}).target;
  });
}
void ngrams(benchmark::State& state) {
  const std::string s = repeated("one two three four five six seven ", state.range(0));
  std::vector<std::int64_t> ids(s.size()), table;
  table.resize(static_cast<std::size_t>(
      reward::repetition::workspace_size(static_cast<std::int64_t>(s.size()))));
  over_sizes(state, s, [&](const std::string& t) {
    const std::int64_t n = reward::word_ids(t, ids);
    return reward::count_ngrams(hence::view<const std::int64_t>(ids.data(), n), 3, table).distinct;
  });
}

#define HENCE_BENCH_SIZES(f) BENCHMARK(f)->RangeMultiplier(10)->Range(100, 10000000)
HENCE_BENCH_SIZES(format_of_prose);
HENCE_BENCH_SIZES(format_of_tags);
HENCE_BENCH_SIZES(boxes);
HENCE_BENCH_SIZES(compare_texts);
HENCE_BENCH_SIZES(compare_lists);
HENCE_BENCH_SIZES(compare_roots);
HENCE_BENCH_SIZES(compare_braces);
HENCE_BENCH_SIZES(words);
HENCE_BENCH_SIZES(unclosed);
HENCE_BENCH_SIZES(ngrams);

}  // namespace
