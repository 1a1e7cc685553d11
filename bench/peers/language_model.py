"""language_model.py LIBRARY [--large] [--quick] [--rounds N] [MODEL...]: the examples' language model, hence beside PyTorch eager.

Both have the same weights and tokens, one thread and fp32, and take turns; the table has medians of processor time. Before anything is
timed, log-probs, loss, gradient and updates of both are compared, and others than each other's fail the run. A log-prob drawn has to be
training's and a prompt stored once that of one stored with each response, to the bit. Without PyTorch its columns are empty.
"""

import argparse
import ctypes
import os
import random
import statistics
import sys
import time

try:
    import language_model_torch as peer
    import torch
except ImportError:
    peer = torch = None

parser = argparse.ArgumentParser()
parser.add_argument("library")
parser.add_argument("models", nargs="*", help="of miniature, d128, SmolLM2-135M; the first two if none is named")
parser.add_argument("--large", action="store_true", help="all three: minutes and 10 GB more")
parser.add_argument("--quick", action="store_true", help="few rows and rounds: does it run?")
parser.add_argument("--rounds", type=int)
options = parser.parse_intermixed_args()
lm = ctypes.CDLL(options.library)
lm.peers_lm_new.restype = lm.peers_lm_weights.restype = lm.peers_lm_gradient.restype = ctypes.c_void_p
lm.peers_lm_gradient_of.restype = lm.peers_lm_multiply_adds.restype = ctypes.c_double
lm.peers_lm_parameter.restype = ctypes.c_char_p
lm.peers_lm_size.restype = lm.peers_lm_words.restype = lm.peers_lm_documents.restype = ctypes.c_int64
FIELDS = ("vocabulary", "width", "layers", "heads", "kv_heads", "head", "ff", "longest", "tied")


def integers(numbers, of=ctypes.c_int64):
    numbers = list(numbers)
    return (of * len(numbers))(*numbers)


class Hence:
    def __init__(self, sizes, rope_base, micro_tokens):
        self.c = dict(zip(FIELDS, sizes))
        self.micro_tokens = micro_tokens
        self.model = ctypes.c_void_p(lm.peers_lm_new(integers(sizes), ctypes.c_double(rope_base), ctypes.c_uint64(1)))
        self.size = lm.peers_lm_size(self.model)
        self.weights = (ctypes.c_float * self.size).from_address(lm.peers_lm_weights(self.model))
        self.gradient = (ctypes.c_float * self.size).from_address(lm.peers_lm_gradient(self.model))
        self.places, first, i = {}, ctypes.c_int64(), 0
        while (name := lm.peers_lm_parameter(self.model, ctypes.c_int64(i), ctypes.byref(first))) is not None:
            self.places[name.decode()], i = first.value, i + 1

    def batch(self, groups):
        """The arguments of gradient_of."""
        replies = [reply for _, group in groups for reply in group]
        tokens = [token for prompt, group in groups for row in (prompt, *group) for token in row]
        logp = (ctypes.c_float * sum(map(len, replies)))()
        return (ctypes.c_int64(len(groups)), integers(len(p) for p, _ in groups), integers(len(g) for _, g in groups),
                integers(map(len, replies)), integers(tokens, ctypes.c_int32), ctypes.c_int64(self.micro_tokens), logp)

    def gradient_of(self, batch):
        return lm.peers_lm_gradient_of(self.model, *batch)

    def update(self, rate):
        lm.peers_lm_update(self.model, ctypes.c_double(rate))

    def train(self, batch):
        self.gradient_of(batch)
        self.update(RATE)

    def logprobs(self, batch):
        """And leaves the gradient cleared."""
        self.gradient_of(batch)
        self.update(0.0)
        return list(batch[-1])

    def generate(self, prompts, per_prompt, n):
        rows = len(prompts) * per_prompt
        tokens, logp = (ctypes.c_int32 * (rows * n))(), (ctypes.c_float * (rows * n))()
        given = integers((token for p in prompts for token in p), ctypes.c_int32)
        sizes = [ctypes.c_int64(x) for x in (len(prompts), len(prompts[0]), per_prompt, n)]
        lm.peers_lm_generate(self.model, given, *sizes, tokens, logp)
        return tokens, logp


RATE = 1e-5  # of the updates that are timed: the model hardly moves


def flops(c, groups, training):
    """Of the products that a batch needs, each prompt once and no token twice; 2 for a multiply-add; a backward pass is two forward ones."""
    q, kv = c["heads"] * c["head"], c["kv_heads"] * c["head"]
    matrices = c["layers"] * (c["width"] * (q + 2 * kv) + q * c["width"] + 3 * c["width"] * c["ff"])
    total = 0
    for prompt, replies in groups:
        behind = [range(len(prompt) + 1, len(prompt) + len(r)) for r in replies]  # keys that a response's tokens see
        keys = sum(map(sum, [range(1, len(prompt) + 1), *behind]))
        total += matrices * (len(prompt) + sum(map(len, behind))) + 2 * c["layers"] * q * keys
        total += c["width"] * c["vocabulary"] * sum(map(len, replies))
    return 2 * total * (3 if training else 1)


def fail_unless(holds, what):
    if not holds:
        sys.exit(f"language_model.py: {what}")


def far(a, b):
    """The largest difference; NaN counts."""
    a, b = torch.as_tensor(list(a)).double(), b.detach().double().flatten()
    return (a - b).abs().nan_to_num(float("inf")).max().item()


def relative(a, b):
    return ((a - b).double().norm() / b.double().norm()).item()


def seconds(run, repeat=1):
    begin = time.process_time()
    for _ in range(repeat):
        run()
    return (time.process_time() - begin) / repeat


def fastest(ways, run):
    """The way whose run takes least; run(way) -> function."""
    def least(way):
        function = run(way)
        if not heavy:
            function()
        return min(seconds(function) for _ in range(1 if heavy else 5))
    return min(ways, key=least)


def in_turns(runs):
    """Median seconds of each, and multiply-adds per second in between."""
    count, peaks, times = 0.0, [], {name: [] for name in runs}
    repeat = {}
    for name, run in runs.items():
        repeat[name] = 1 if heavy or options.quick else max(1, round(0.25 / max(seconds(run), 1e-6)))
    for _ in range(options.rounds or (3 if heavy or options.quick else 9)):
        for name, run in runs.items():
            begin = time.process_time()
            count = sum(lm.peers_lm_multiply_adds() for _ in range(10))
            peaks.append(count / (time.process_time() - begin))
            times[name].append(seconds(run, repeat[name]))
    return {name: statistics.median(t) for name, t in times.items()}, statistics.median(peaks)


def show(what, tokens, work, times, peak, goal):
    cells = [name, what, f"{tokens / times['hence']:.0f}"]
    has = "eager" in times
    cells += [f"{tokens / times['eager']:.0f}", f"{times['eager'] / times['hence']:.2f}"] if has else ["-", "-"]
    cells += [f"{goal:.1f}" if goal else "", f"{2e-9 * peak:.0f}", f"{work / times['hence'] * 1e-9:.1f}", f"{work / times['hence'] / peak * 50:.0f} %",
              f"{work / times['eager'] / peak * 50:.0f} %" if has else "-"]
    print("| " + " | ".join(cells) + " |", flush=True)


def compare(shape):
    hence = Hence(shape["sizes"], shape["rope_base"], shape["micro_tokens"])
    c, rate = hence.c, 1e-3
    prompts, per_prompt, n = shape["prompts"](c), shape["per_prompt"], shape["new"]
    rows = len(prompts) * per_prompt
    tokens, logp = hence.generate(prompts, per_prompt, n)
    replies = [list(tokens[i * n:(i + 1) * n]) for i in range(rows)]
    drawn_groups = [(p, replies[i * per_prompt:(i + 1) * per_prompt]) for i, p in enumerate(prompts)]
    shared = drawn_groups[:shape.get("groups")]
    alone = [(p, [reply]) for p, group in shared for reply in group]
    two = alone[:2]
    documents = shape["documents"](c) or alone
    of_shared, of_alone, of_documents = map(hence.batch, (shared, alone, documents))
    fail_unless(logp[:len(alone) * n] == hence.logprobs(of_shared), f"{name}: a token's log-prob differs between decoding and training")
    fail_unless(logp[:2 * n] == hence.logprobs(hence.batch(two)), f"{name}: a shared prompt changes log-probs")
    runs = {"documents": {"hence": lambda: hence.train(of_documents)}, "shared": {"hence": lambda: hence.train(of_shared)},
            "decode": {"hence": lambda: hence.generate(prompts, per_prompt, n)}}
    if shared != alone:
        runs["shared"]["alone"] = lambda: hence.train(of_alone)
    else:
        del runs["shared"]
    if peer:
        arena = torch.frombuffer(hence.weights, dtype=torch.float32)
        before = arena.clone()
        model = peer.Model(c, arena, hence.places, shape["rope_base"])
        batch, batch_alone, batch_two, asked = peer.Batch(documents), peer.Batch(alone), peer.Batch(two), torch.tensor(prompts)
        forced = torch.frombuffer(tokens, dtype=torch.int32).long().view(rows, n)[:2 * per_prompt]

        def flat(of):
            whole = torch.empty(hence.size)
            for first, x in model.places:
                whole[first:first + x.numel()] = of(x).detach().flatten()
            return whole

        worst = 0.0
        for model.way in peer.WAYS:
            worst = max(worst, far(logp[:forced.numel()], model.generate(asked[:2], per_prompt, n, forced)[1]))
            with torch.no_grad():
                worst = max(worst, far(logp[:2 * n], model.logprobs(batch_two)))
        fail_unless(worst < 1e-4, f"{name}: log-probs are {worst:.1e} from PyTorch's")
        drawn_logp, own = model.generate(asked, per_prompt, n)[1], torch.tensor(list(logp))
        unlike = abs(drawn_logp.mean() - own.mean()) / (own.std() * (2 / own.numel()) ** 0.5)
        fail_unless(unlike < 5, f"{name}: what PyTorch draws is {unlike:.1f} deviations from the distribution of hence's")
        loss, other = hence.gradient_of(of_documents), model.gradient_of(batch).item()
        fail_unless(abs(loss - other) < 1e-5 * abs(other), f"{name}: the loss is {loss}, PyTorch's {other}")
        slope = relative(torch.frombuffer(hence.gradient, dtype=torch.float32), flat(lambda x: x.grad))
        fail_unless(slope < 1e-4, f"{name}: the gradient is {slope:.1e} from PyTorch's")
        model.begin("fused", rate)
        lm.peers_lm_delete(hence.model)  # moments of zero, as PyTorch's
        hence = Hence(shape["sizes"], shape["rope_base"], shape["micro_tokens"])
        arena = torch.frombuffer(hence.weights, dtype=torch.float32)
        hence.gradient_of(of_documents)
        hence.update(rate)
        model.update()
        if not heavy:  # after one step Adam's moments are its gradient's, whatever their decay
            hence.gradient_of(of_alone)
            hence.update(rate)
            model.gradient_of(batch_alone)
            model.update()
        moved = relative(arena - before, flat(lambda x: x) - before)
        fail_unless(moved < 5e-4, f"{name}: the updates are {moved:.1e} from PyTorch's")
        notes.append(f"{name}: apart by {worst:.0e} (log-probs), {abs(loss - other):.0e} (loss {loss:.3f}), {slope:.0e} (gradient), {moved:.0e} (updates)")
        del before

        def in_way(way, run):
            model.way = way
            return run

        model.begin("fused", RATE)
        chosen = fastest(peer.WAYS, lambda way: in_way(way, lambda: model.train(batch)))
        model.way = chosen
        optimizer = fastest(peer.OPTIMIZERS, lambda o: model.begin(o, RATE) or (lambda: model.train(batch)))
        model.begin(optimizer, RATE)
        decode = fastest(peer.WAYS, lambda way: in_way(way, lambda: model.generate(asked, per_prompt, n)))
        runs["documents"]["eager"] = lambda: in_way(chosen, model.train)(batch)
        if "shared" in runs:
            runs["shared"]["eager"] = lambda: in_way(chosen, model.train)(batch_alone)
        runs["decode"]["eager"] = lambda: in_way(decode, model.generate)(asked, per_prompt, n)
        notes.append(f"{name}: PyTorch's fastest in training {', '.join(chosen.values())}, {optimizer} AdamW; in decoding {', '.join(decode.values())}; "
                     f"{100 * batch.padding:.0f} % of its tokens are padding")
    for what, run in runs.items():
        groups = {"documents": documents, "shared": shared, "decode": drawn_groups}[what]
        count = rows * n if what == "decode" else sum(len(p) + len(r) - 1 for p, g in groups for r in g)
        times, peak = in_turns(run)
        show({"documents": "training", "shared": f"training, {per_prompt} replies a prompt", "decode": f"decoding, {rows} rows"}[what], count,
             flops(c, groups, what != "decode"), times, peak, None if what == "shared" else shape["goal"])
        if "alone" in times:
            notes.append(f"{name}: a prompt of {len(prompts[0])} stored once for {per_prompt} replies of {n} makes training "
                         f"{times['alone'] / times['hence']:.2f} times as fast")
    lm.peers_lm_delete(hence.model)


def chain_documents(c):
    n = 16 if options.quick else 128
    prompts, replies, tokens = (ctypes.c_int64 * n)(), (ctypes.c_int64 * n)(), (ctypes.c_int32 * (n * 24))()
    lm.peers_lm_documents(ctypes.c_int64(n), prompts, replies, tokens)
    groups, at = [], 0
    for prompt, reply in zip(prompts, replies):
        groups.append((list(tokens[at:at + prompt]), [list(tokens[at + prompt:at + prompt + reply])]))
        at += prompt + reply
    return groups


def drawn(n, length):
    return lambda c: [[random.Random(1000 * i + length).randrange(c["vocabulary"]) for i in range(k * length, (k + 1) * length)] for k in range(n)]


few = options.quick
SHAPES = {
    # examples/r1_zero's default: 128 documents of chain arithmetic a step; rollouts of 16 questions, 16 replies each, 9 + 15 tokens at most.
    "miniature": {"sizes": (lm.peers_lm_words(), 48, 2, 3, 3, 16, 144, 24, 0), "rope_base": 100, "micro_tokens": 4096, "goal": 3,
                  "documents": chain_documents, "prompts": drawn(2 if few else 16, 9), "per_prompt": 4 if few else 16, "new": 15},
    "d128": {"sizes": (64, 128, 4, 4, 4, 32, 512, 33, 0), "rope_base": 10000, "micro_tokens": 4096, "goal": 2,
                        "documents": lambda c: None, "prompts": drawn(4 if few else 256, 1), "per_prompt": 1, "new": 32},
    # 4 documents of 128; replies of 16 tokens to 4 prompts of 64, 16 each; with a prompt stored once, one group of these.
    "SmolLM2-135M": {"sizes": (49152, 576, 30, 9, 3, 64, 1536, 129, 1), "rope_base": 100000, "micro_tokens": 1024, "goal": 1.6,
                     "documents": lambda c: [(r[:1], [r[1:]]) for r in drawn(4, 129)(c)], "prompts": drawn(4, 64), "per_prompt": 16, "new": 16,
                     "groups": 1},
}
chosen_models = options.models or list(SHAPES)[:3 if options.large else 2]
fail_unless(set(chosen_models) <= set(SHAPES), f"there is no such model; there are {', '.join(SHAPES)}")
notes = []
print(f"one thread, fp32, medians of processor time, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; hence: gemm::ordered; "
      + (f"PyTorch {torch.__version__} eager: {peer.gemm_backend()}" if peer else "PyTorch is not installed: its columns are empty"))
columns = ["model", "what", "hence, tokens/s", "PyTorch", "x PyTorch", "goal", "peak, GFLOP/s", "hence, GFLOP/s", "of peak", "PyTorch, of peak"]
print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns), flush=True)
for name in chosen_models:
    heavy = name == "SmolLM2-135M"
    compare(SHAPES[name])
print("\n".join(notes))
