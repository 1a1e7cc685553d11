// The operations pass_at_k and majority_vote.

#include "operation.hpp"

#include <hence/evaluate/majority.hpp>
#include <hence/evaluate/pass_at_k.hpp>

#include <stdexcept>

namespace conformance {
namespace {

namespace evaluate = hence::evaluate;

answer pass_at_k(const request& request) {
  const options& o = request.options_of_case();
  o.expect({"k"});
  const std::vector<std::int64_t> shape = request.input("samples").shape;
  if (shape.size() != 1) throw std::invalid_argument("input samples does not have the shape [P]");
  const auto samples = request.ids("samples", shape), correct = request.ids("correct", shape);
  std::vector<double> estimate(samples.size());
  const double mean = evaluate::pass_at_k(samples, correct, o.integer("k"), estimate);
  return {{"estimate", make_tensor(shape, estimate)}, {"mean", scalar(mean)}};
}

std::vector<double> read_weights(const request& request, const std::vector<std::int64_t>& shape) {
  if (!request.has("weights")) return {};
  if (request.is_double()) return request.floats<double>("weights", shape);
  const auto narrow = request.floats<float>("weights", shape);
  return {narrow.begin(), narrow.end()};
}

answer majority_vote(const request& request) {
  const options& o = request.options_of_case();
  o.expect({"tie"});
  const auto rule = o.choice<evaluate::ties>("tie", {{"first_seen", evaluate::ties::first_seen},
                                                     {"lowest_id", evaluate::ties::lowest_id},
                                                     {"fractional", evaluate::ties::fractional}});
  const std::vector<std::int64_t> shape = request.input("answers").shape;
  if (shape.size() != 2) throw std::invalid_argument("input answers does not have the shape [P,S]");
  const auto answers = request.ids("answers", shape), gold = request.ids("gold", {shape[0]});
  const std::vector<double> weights = read_weights(request, shape);
  std::vector<std::int64_t> winner;
  std::vector<double> votes, correct;
  hence::exact_sum sum;
  for (std::int64_t p = 0; p < shape[0]; ++p) {
    const std::int64_t at = p * shape[1];
    const hence::view<const std::int64_t> row(answers.data() + at, shape[1]);
    const auto v = evaluate::majority_vote(
        row, gold[static_cast<std::size_t>(p)], rule,
        request.has("weights") ? hence::view<const double>(weights.data() + at, shape[1])
                               : hence::view<const double>());
    winner.push_back(v.winner), votes.push_back(v.votes), correct.push_back(v.correct);
    sum.add(v.correct);
  }
  const double mean = shape[0] == 0 ? 0 : sum.value() / static_cast<double>(shape[0]);
  return {{"winner", make_tensor({shape[0]}, winner)},
          {"votes", make_tensor({shape[0]}, votes)},
          {"correct", make_tensor({shape[0]}, correct)},
          {"mean", scalar(mean)}};
}

const operation registered_pass("pass_at_k", pass_at_k);
const operation registered_vote("majority_vote", majority_vote);

}  // namespace
}  // namespace conformance
