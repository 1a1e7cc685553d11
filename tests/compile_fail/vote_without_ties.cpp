// expect: ^hence: say who wins a tie
// Frameworks break ties differently: there is no default.
#include <hence/evaluate/majority.hpp>

namespace {
const std::int64_t ids[2] = {1, 2};
const hence::view<const std::int64_t> answers(ids, 2);
}  // namespace

int main() {
#ifdef FIXED
  (void)hence::evaluate::majority_vote(answers, 1, hence::evaluate::ties::first_seen);
#else
  (void)hence::evaluate::majority_vote(answers, 1);
#endif
}
