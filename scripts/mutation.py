#!/usr/bin/env python3
"""Mutants of the formula headers: one sign, comparison, choice or constant changed at a time, each
judged by the tests that mirror its header.

  scripts/mutation.py                     all mutants of all headers (hours)
  scripts/mutation.py --per 10            ten of each header, drawn with --seed
  scripts/mutation.py --per 10 kl clip    of the headers whose names contain kl or clip
  scripts/mutation.py --list              what there would be, without building anything

A mutant is killed if a test fails, a static_assert in it too, ends badly, sleeps, or takes the
processor for longer than 2 s and three times what the test takes as it is (a minute where that is not
known). One that does not compile otherwise does not count. Survivors that docs/mutation.md proves
equivalent do not count either; any other is printed, and the exit status is 1. Needs g++ (or CXX, with
CXXFLAGS: -march=native for code of one instruction set) and doctest. Runs niced, one compiler at a time, in a folder of its own under the system's temporary one. mutation_switch.py puts
all mutants of a header into one program; what does not fit there is compiled and judged alone.
What survives is judged again under the address and undefined behaviour sanitizers, as CI runs them.
"""
import argparse
import os
import pathlib
import random
import re
import resource
import subprocess
import sys
import tempfile

import mutation_switch

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROOFS = ROOT / "docs" / "mutation.md"
FLAGS = os.environ.get("CXXFLAGS", "").split()

# Header under include/hence -> tests under tests, the quickest first.
TARGETS = {
    "policy/ratio.hpp": ["policy/ratio_test"],
    "policy/clip.hpp": ["policy/clip_test"],
    "policy/surrogate_ratio.hpp": ["policy/surrogate_ratio_test"],
    "policy/surrogate_score.hpp": ["policy/surrogate_score_test"],
    "policy/surrogate_dppo.hpp": ["policy/surrogate_dppo_test"],
    "policy/kl.hpp": ["policy/kl_test", "policy/kl_limit_test", "policy/monte_carlo_test"],
    "policy/kl_limit.hpp": ["policy/kl_limit_test"],
    "policy/kl_control.hpp": ["policy/kl_control_test"],
    "policy/kl_reward.hpp": ["policy/kl_reward_test"],
    "policy/correction.hpp": ["policy/correction_test", "policy/shrink_mask_test"],
    "policy/correction_vetoed.hpp": ["policy/correction_vetoed_test"],
    "policy/correction_row.hpp": ["policy/correction_row_test", "policy/shrink_mask_test"],
    "policy/aggregate.hpp": ["policy/aggregate_test", "policy/aggregate_prompt_test"],
    "policy/aggregate_prompt.hpp": ["policy/aggregate_prompt_test"],
    "policy/term.hpp": ["policy/term_test", "policy/correction_vetoed_test", "policy/loss_test",
                        "policy/correction_test", "policy/surrogate_score_test",
                        "policy/kl_limit_test", "policy/surrogate_ratio_test",
                        "policy/kl_reward_test", "policy/metrics_test"],
    "policy/row_sums.hpp": ["policy/row_sums_test", "policy/correction_vetoed_test",
                            "policy/correction_test", "policy/surrogate_score_test",
                            "policy/surrogate_ratio_test"],
    "policy/metrics.hpp": ["policy/metrics_test", "policy/loss_test"],
    "policy/mismatch_metrics.hpp": ["policy/mismatch_metrics_test"],
    "policy/dead_groups.hpp": ["policy/dead_groups_test"],
    "policy/alarm.hpp": ["policy/alarm_test"],
    "policy/select_tokens.hpp": ["policy/select_tokens_test"],
    "policy/token_mask.hpp": ["policy/token_mask_test"],
    "policy/shrink_mask.hpp": ["policy/shrink_mask_test", "policy/correction_vetoed_test"],
    "policy/recipe.hpp": ["policy/recipe_test"],
    "policy/recipe_family.hpp": ["policy/recipe_family_test"],
    "policy/advantage_baseline.hpp": ["policy/advantage_named_test"],
    "policy/advantage_gdpo.hpp": ["policy/advantage_gdpo_test"],
    "policy/advantage_leave_one_out.hpp": ["policy/advantage_leave_one_out_test"],
    "policy/advantage_opo.hpp": ["policy/advantage_opo_test"],
    "policy/advantage_pass_at_k.hpp": ["policy/advantage_pass_at_k_test"],
    "policy/advantage_recursion.hpp": ["policy/advantage_token_test"],
    "policy/advantage_remax.hpp": ["policy/advantage_remax_test"],
    "policy/advantage_rule.hpp": ["policy/advantage_named_test", "policy/advantage_test"],
    "policy/advantage_scale.hpp": ["policy/advantage_named_test", "policy/advantage_test"],
    "policy/advantage_whiten.hpp": ["policy/advantage_token_test"],
    "logits/cross_entropy.hpp": ["logits/cross_entropy_test", "logits/overlaps_test"],
    "logits/distill.hpp": ["logits/distill_test", "logits/overlaps_test"],
    "logits/distill_arrays.hpp": ["logits/distill_arrays_test", "logits/distill_test", "logits/overlaps_test", "logits/null_arrays_test"],
    "logits/distill_rows.hpp": ["logits/distill_rows_test", "logits/distill_test", "logits/overlaps_test"],
    "logits/distill_terms.hpp": ["logits/distill_rows_test", "logits/distill_test"],
    "logits/divergence.hpp": ["logits/divergence_test"],
    "logits/linear_arrays.hpp": ["logits/linear_logprob_test", "logits/overlaps_test", "logits/null_arrays_test"],
    "logits/linear_logprob.hpp": ["logits/linear_logprob_test", "logits/overlaps_test"],
    "logits/linear_tiles.hpp": ["logits/linear_logprob_test"],
    "logits/packed_labels.hpp": ["logits/packed_labels_test", "logits/overlaps_test"],
    "logits/penalties.hpp": ["logits/penalties_test", "logits/overlaps_test", "logits/null_arrays_test"],
    "logits/per_response.hpp": ["logits/per_response_test"],
    "logits/preference.hpp": ["logits/preference_loss_test"],
    "logits/preference_loss.hpp": ["logits/preference_loss_test", "logits/overlaps_test", "logits/null_arrays_test"],
    "logits/sample.hpp": ["logits/sample_test", "logits/overlaps_test"],
    "logits/sample_draw.hpp": ["logits/sample_test", "logits/sample_nucleus_test"],
    "logits/sample_estimates.hpp": ["logits/sample_estimates_test", "logits/sample_nucleus_test"],
    "logits/sample_lanes.hpp": ["logits/sample_lanes_test", "logits/sample_nucleus_test", "logits/sample_test"],
    "logits/sample_nucleus.hpp": ["logits/sample_nucleus_way_test", "logits/sample_nucleus_test", "logits/sample_test"],
    "logits/sample_row.hpp": ["logits/sample_row_test", "logits/sample_test", "logits/sample_nucleus_test"],
    "logits/sample_rule.hpp": ["logits/sample_rule_test", "logits/sample_test", "logits/null_arrays_test"],
    "logits/softmax_engine.hpp": ["logits/vocabulary_shards_test", "logits/token_logprob_test"],
    "logits/softmax_finish.hpp": ["logits/softmax_term_test", "logits/vocabulary_shards_test",
                                "logits/token_logprob_test"],
    "logits/softmax_lanes.hpp": ["logits/softmax_lanes_test", "logits/vocabulary_shards_test", "logits/token_logprob_test"],
    "logits/softmax_row.hpp": ["logits/softmax_row_test", "logits/vocabulary_shards_test", "logits/token_logprob_test"],
    "logits/softmax_rule.hpp": ["logits/token_rows_test", "logits/vocabulary_shards_test", "logits/token_logprob_test"],
    "logits/softmax_term.hpp": ["logits/softmax_term_test", "logits/vocabulary_shards_test",
                                "logits/token_logprob_test"],
    "logits/teacher_advantage.hpp": ["logits/teacher_advantage_test", "logits/overlaps_test"],
    "logits/token_arrays.hpp": ["logits/token_logprob_test"],
    "logits/token_checks.hpp": ["logits/token_checks_test", "logits/null_arrays_test", "logits/overlaps_test",
                                "logits/token_logprob_test"],
    "logits/token_logprob.hpp": ["logits/token_logprob_test", "logits/overlaps_test"],
    "logits/token_rows.hpp": ["logits/token_rows_test", "logits/vocabulary_shards_test",
                              "logits/token_logprob_test"],
    "logits/vocabulary_shards.hpp": ["logits/vocabulary_shards_test", "logits/overlaps_test"],
    "reward/text.hpp": ["reward/text_test"],
    "reward/tokens.hpp": ["reward/normal_text_test", "reward/expression_test"],
    "reward/normal_text.hpp": ["reward/normal_text_test"],
    "reward/format.hpp": ["reward/format_test"],
    "reward/format_tags.hpp": ["reward/format_test"],
    "reward/format_peers.hpp": ["reward/format_peers_test"],
    "reward/extract.hpp": ["reward/extract_test"],
    "reward/exact.hpp": ["reward/exact_test"],
    "reward/exact_sum.hpp": ["reward/exact_sum_test"],
    "reward/expression.hpp": ["reward/expression_test"],
    "reward/expression_reader.hpp": ["reward/expression_test"],
    "reward/quantity.hpp": ["reward/quantity_test"],
    "reward/units.hpp": ["reward/units_test"],
    "reward/structure.hpp": ["reward/structure_test"],
    "reward/expression_cursor.hpp": ["reward/expression_cursor_test", "reward/expression_test"],
    "reward/answer_rules.hpp": ["reward/answer_rules_test"],
    "reward/pairing.hpp": ["reward/pairing_test"],
    "reward/answer.hpp": ["reward/answer_test"],
    "reward/countdown.hpp": ["reward/countdown_test"],
    "reward/script.hpp": ["reward/script_test"],
    "reward/language.hpp": ["reward/language_test"],
    "reward/length.hpp": ["reward/length_test"],
    "reward/readable.hpp": ["reward/readable_test"],
    "reward/repetition.hpp": ["reward/repetition_test"],
    "reward/combine.hpp": ["reward/combine_test"],
    "reward/code_tests.hpp": ["reward/code_tests_test"],
    "reward/reward_model.hpp": ["reward/reward_model_test"],
    "evaluate/order.hpp": ["evaluate/order_test"],
    "evaluate/pass_at_k.hpp": ["evaluate/pass_at_k_test"],
    "evaluate/majority.hpp": ["evaluate/majority_test"],
    "evaluate/consensus.hpp": ["evaluate/consensus_test"],
    "evaluate/interval.hpp": ["evaluate/interval_test"],
    "evaluate/select.hpp": ["evaluate/select_test"],
    "evaluate/dynamic.hpp": ["evaluate/dynamic_test"],
    "evaluate/mixture.hpp": ["evaluate/mixture_test"],
    "evaluate/packing.hpp": ["evaluate/packing_test"],
    "evaluate/recipe.hpp": ["evaluate/recipe_test"],
    "moe/score.hpp": ["moe/score_test", "moe/gate_test"],
    "moe/activation.hpp": ["moe/activation_test"],
    "core/math_normal.hpp": ["core/math_normal_test"],
    "moe/balance_loss.hpp": ["moe/balance_loss_test"],
    "moe/balance_sums.hpp": ["moe/balance_loss_test"],
    "moe/balancer.hpp": ["moe/balancer_test"],
    "moe/capacity.hpp": ["moe/capacity_test"],
    "moe/choice.hpp": ["moe/choice_test"],
    "moe/choice_rows.hpp": ["moe/choice_test"],
    "moe/choice_rule.hpp": ["moe/choice_rule_test"],
    "moe/combine.hpp": ["moe/combine_test"],
    "moe/expert_arrays.hpp": ["moe/expert_arrays_test", "moe/expert_rows_test", "moe/experts_test"],
    "moe/expert_rows.hpp": ["moe/expert_rows_test", "moe/experts_test"],
    "moe/expert_tiles.hpp": ["moe/expert_tiles_test", "moe/expert_rows_test", "moe/experts_test"],
    "moe/experts.hpp": ["moe/experts_test"],
    "moe/gate.hpp": ["moe/gate_test", "moe/gate_checks_test"],
    "moe/gate_backward.hpp": ["moe/gate_backward_test", "moe/gate_checks_test"],
    "moe/gate_checks.hpp": ["moe/gate_checks_test", "moe/gate_test"],
    "moe/gate_rule.hpp": ["moe/gate_checks_test", "moe/gate_test"],
    "moe/gate_tile.hpp": ["moe/gate_test", "moe/gate_backward_test"],
    "moe/jitter.hpp": ["moe/jitter_test"],
    "moe/lanes.hpp": ["moe/lanes_test"],
    "moe/largest.hpp": ["moe/largest_test"],
    "moe/layouts.hpp": ["moe/layouts_test"],
    "moe/metrics.hpp": ["moe/metrics_test"],
    "moe/permute.hpp": ["moe/permute_test", "moe/layouts_test"],
    "moe/ranking.hpp": ["moe/ranking_test"],
    "moe/replay.hpp": ["moe/replay_test"],
    "moe/row.hpp": ["moe/gate_test", "moe/balance_loss_test"],
    "moe/row_select.hpp": ["moe/gate_test"],
    "moe/row_weights.hpp": ["moe/gate_test", "moe/gate_backward_test"],
    "moe/scratch.hpp": ["moe/scratch_test", "moe/gate_checks_test"],
    "moe/shared.hpp": ["moe/shared_test"],
}

OPERAND = r"(?<=[\w)\]}] )"  # something stands before the operator
RULES = [
    (OPERAND + r"- ", "+ "),
    (OPERAND + r"\+ ", "- "),
    (OPERAND + r"\* ", "/ "),
    (OPERAND + r"/ ", "* "),
    (OPERAND + r"\+= ", "-= "),
    (OPERAND + r"< ", "<= "),
    (OPERAND + r"< ", "> "),
    (OPERAND + r"> ", ">= "),
    (OPERAND + r"> ", "< "),
    (OPERAND + r"<= ", "< "),
    (OPERAND + r"<= ", ">= "),
    (OPERAND + r">= ", "> "),
    (OPERAND + r">= ", "<= "),
    (OPERAND + r"== ", "!= "),
    (OPERAND + r"!= ", "== "),
    (OPERAND + r"& ", "| "),
    (OPERAND + r"\| ", "& "),
    (OPERAND + r"&& ", "|| "),
    (OPERAND + r"\|\| ", "&& "),
    (r"(?:(?<=[(,=?:] )|(?<=[({,])|(?<=return ))-(?=[\w(])", ""),
    (r"!(?=[\w(])(?!=)", ""),
    (r"\bmin\(", "max("),
    (r"\bmax\(", "min("),
    (r"\blesser\(", "greater("),
    (r"\bgreater\(", "lesser("),
    (r"\bdetach\(", "("),
    (r"\b(V|S|W)\(0(\.0f?)?\)", r"\1(1)"),
    (r"\b(V|S|W)\(1(\.0f?)?\)", r"\1(0)"),
    (r"(?<== )true\b", "false"),
    (r"(?<== )false\b", "true"),
]
# Declarations, preconditions' words and what only the compiler sees.
SKIP = re.compile(r"^\s*(//|#|template|requires|concept|using|static_assert|namespace|friend)"
                  r"|refuse|<<|message|static_assert|\brequires\b|constexpr bool \w+ ="
                  r"|\"|std::(same_as|convertible_to|is_same)")

# A static_assert of a test that no longer holds, or is no constant because it reads behind an array.
BY_ASSERTION = re.compile(r"tests/\S+: error: (static assertion failed|non-constant condition)")


def mutants_of(header):
    """(line number, line, mutated line) of every mutant, without duplicates."""
    lines = (ROOT / "include" / "hence" / header).read_text().split("\n")
    found = []
    statement = ""  # what a static_assert or a refusal of several lines began with
    for number, line in enumerate(lines):
        code = line.split("//")[0]
        statement = code if not statement else statement + code
        skipped = SKIP.search(line) or re.search(r"static_assert|refuse|message\(\)", statement)
        if code.rstrip().endswith((";", "{", "}", ")", ":")):
            statement = ""
        if skipped or not code.strip():
            continue
        for pattern, text in RULES:
            for m in re.finditer(pattern, code):
                if re.match(r"&&? |\*", m.group()) and re.match(r"\s*(const )?[\w:<>]+ $",
                                                              code[:m.start()]):
                    continue  # a declaration of a reference or a pointer
                mutated = code[:m.start()] + m.expand(text) + code[m.end():] + line[len(code):]
                if mutated != line and (number, line, mutated) not in found:
                    found.append((number, line, mutated))
    return found


def edit(text, number, line, mutated):
    """The mutant as (begin, end, replacement) in the header's text."""
    start = sum(len(l) + 1 for l in text.split("\n")[:number])
    same = len(os.path.commonprefix([line, mutated]))
    tail = len(os.path.commonprefix([line[same:][::-1], mutated[same:][::-1]]))
    return start + same, start + len(line) - tail, mutated[same:len(mutated) - tail]


def proofs():
    """What docs/mutation.md lists, as (header, line, mutated line)."""
    entry = re.compile(r"^- `(.+?)`: `(.+?)` => `(.+?)`$", re.M)
    return set(entry.findall(PROOFS.read_text())) if PROOFS.exists() else set()


def limits(seconds, memory):
    """What a mutant may not exceed: of the processor's time, so that a busy machine kills none, and of memory."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    if memory:
        resource.setrlimit(resource.RLIMIT_DATA, (4 << 30, 4 << 30))


class Judge:
    def __init__(self, work, sanitizes):
        self.sanitizes = sanitizes
        self.work = pathlib.Path(work)
        self.compiler = os.environ.get("CXX", "g++")
        self.seconds = {}  # of a test's program: what its mutants may take
        self.main = self.work / "main.o"
        subprocess.run([self.compiler, "-std=c++20", "-c", ROOT / "tests" / "main.cpp", "-o",
                        self.main], check=True)

    def run(self, name, overlay, tests, only_asserted=False):
        """'killed', 'alive' or 'does not compile'. overlay: a folder searched first, or None."""
        program = self.work / f"{name}.out"
        for test in tests:
            built = subprocess.run(self.command(overlay, test, program,
                                                ["-fsyntax-only"] if only_asserted else ()),
                                   capture_output=True, text=True)
            if built.returncode:
                return "killed" if BY_ASSERTION.search(built.stderr) else "does not compile"
            if not only_asserted and not self.passes(program, test, -1):
                return "killed"
        return "alive"

    def judge_all(self, header, mutants, proved):
        """The verdict of each mutant: together where they fit into one text, alone what is left of them. A mutant
        of `proved` that the tests do not tell from the original is not judged further."""
        edits = [edit((ROOT / "include" / "hence" / header).read_text(), *m) for m in mutants]
        chosen = set(range(len(mutants)))
        overlay = self.work / header.replace("/", "_")
        place = overlay / "hence" / header
        place.parent.mkdir(parents=True)
        prelude = self.work / "prelude.hpp"
        prelude.write_text(mutation_switch.PRELUDE)
        programs = self.build_together(header, overlay, edits, chosen, place, ["-include", prelude])
        self.passed_whole = bool(chosen)
        if chosen and not all(self.passes_timed(*p) for p in programs):
            sys.exit(f"the tests of {header} do not pass as they are")
        alive = {i for i in chosen if all(self.passes(*p, i) for p in programs)}
        equivalent = {i for i in alive if (header, mutants[i][1].strip(), mutants[i][2].strip()) in proved}
        alive -= equivalent
        if alive and self.sanitizes:  # what has no defined behaviour is for the sanitizers
            programs = self.build_together(header, overlay, edits, chosen, place,
                                           ["-include", prelude, "-fsanitize=address,undefined",
                                            "-fno-sanitize-recover=all"])
            if not all(self.passes_timed(*p, False) for p in programs):
                sys.exit(f"the tests of {header} do not pass under the sanitizers")
            alive = {i for i in alive if all(self.passes(*p, i, False) for p in programs)}
        for i, mutant in enumerate(mutants):
            if i in equivalent:
                yield "alive"
            elif i in chosen and i not in alive:
                yield "killed"
            else:  # alone; of what has been run only the tests' static_asserts are left
                yield self.judge(header, *mutant, only_asserted=i in chosen)

    def build_together(self, header, overlay, edits, chosen, place, flags):
        """The tests with all of the chosen mutants; those that do not compile together leave `chosen`."""
        programs = []
        for test in TARGETS[header]:
            while chosen:
                switched, fit = mutation_switch.switched(
                    (ROOT / "include" / "hence" / header).read_text(), edits, chosen)
                place.write_text(switched)
                chosen &= set(fit)
                program = self.work / f"{header}_{test}.out".replace("/", "_")
                built = subprocess.run(self.command(overlay, test, program, flags),
                                       capture_output=True, text=True)
                if not built.returncode:
                    programs.append((program, test))
                    break
                for place_of in (rf"{header}:(\d+):\d+: error", rf"{header}:(\d+):"):  # else where it came from
                    lines = {int(n) for n in re.findall(place_of, built.stderr)}
                    refused = {i for i in chosen if fit[i] in lines}
                    if refused:
                        break
                if not refused:
                    print(built.stderr[:2000], file=sys.stderr)
                chosen -= refused or set(chosen)
        return programs

    def passes_timed(self, program, test, limited=True):
        """Whether the test passes as it is; how long its mutants may take is reckoned from that."""
        self.seconds[test] = 600
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        passed = self.passes(program, test, -1, limited)
        taken = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before
        self.seconds[test] = int(2 + 3 * taken)
        return passed

    def passes(self, program, test, mutant, limited=True):
        seconds = self.seconds.get(test, 60)
        try:
            return not subprocess.run([program, "--abort-after=1"], capture_output=True,
                                      timeout=60 + 20 * seconds,  # one that sleeps
                                      preexec_fn=lambda: limits(seconds, limited),
                                      env={**os.environ, "HENCE_MUTANT": str(mutant)}).returncode
        except subprocess.TimeoutExpired:
            return False

    def command(self, overlay, test, program, more=()):
        command = [self.compiler, "-std=c++20", "-O0", "-w", "-pthread", *FLAGS, *more]
        command += ["-I", overlay] if overlay else []
        return command + ["-I", ROOT / "include", "-I", ROOT / "tests", ROOT / "tests" / f"{test}.cpp",
                          self.main, "-o", program]

    def judge(self, header, number, original, mutated, only_asserted=False):
        name = f"{header.replace('/', '_')}_{number}_{abs(hash(mutated))}"
        overlay = self.work / name
        place = overlay / "hence" / header
        place.parent.mkdir(parents=True)
        lines = (ROOT / "include" / "hence" / header).read_text().split("\n")
        assert lines[number] == original
        lines[number] = mutated
        place.write_text("\n".join(lines))
        return self.run(name, overlay, TARGETS[header], only_asserted)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("headers", nargs="*", help="parts of their names; none: all")
    parser.add_argument("--per", type=int, default=0, help="mutants of each header; 0: all")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--plain", action="store_true",
                        help="without the sanitizers, under which some headers take an hour to compile")
    arguments = parser.parse_args()
    chosen = [h for h in TARGETS
              if not arguments.headers or any(part in h for part in arguments.headers)]
    proved = proofs()
    os.nice(5)
    totals = {"killed": 0, "alive": 0, "equivalent": 0, "does not compile": 0}
    with tempfile.TemporaryDirectory(prefix="hence_mutation_") as work:
        judge = None if arguments.list else Judge(work, not arguments.plain)
        for header in chosen:
            every = mutants_of(header)
            mutants = list(every)
            if arguments.per and len(mutants) > arguments.per:
                # by the header's name, so that a choice of headers does not change the draw
                mutants = random.Random(f"{arguments.seed} {header}").sample(mutants, arguments.per)
            mutants.sort()
            if arguments.list:
                for number, line, mutated in mutants:
                    print(f"{header}:{number + 1}: {line.strip()} => {mutated.strip()}")
                continue
            counts = dict.fromkeys(totals, 0)
            for (number, line, mutated), verdict in zip(mutants, judge.judge_all(header, mutants, proved)):
                if verdict == "alive" and (header, line.strip(), mutated.strip()) in proved:
                    verdict = "equivalent"
                counts[verdict] += 1
                if verdict == "alive":
                    print(f"SURVIVED {header}:{number + 1}\n- `{header}`: `{line.strip()}` => "
                          f"`{mutated.strip()}`", flush=True)
            survived = counts["alive"] + counts["equivalent"] > 0
            if not survived and not judge.passed_whole and judge.run("whole", None, TARGETS[header]) != "alive":
                sys.exit(f"the tests of {header} do not pass as they are")
            print(f"{header}: of {len(every)} mutants {len(mutants)} tried, " +
                  ", ".join(f"{n} {what}" for what, n in counts.items()), flush=True)
            for what, n in counts.items():
                totals[what] += n
    if not arguments.list:
        judged = totals["killed"] + totals["alive"]
        share = 100.0 * totals["killed"] / judged if judged else 100.0
        print(f"killed {totals['killed']} of {judged} ({share:.1f} %); {totals['equivalent']} "
              f"equivalent, {totals['does not compile']} did not compile")
        sys.exit(1 if totals["alive"] else 0)


if __name__ == "__main__":
    main()
