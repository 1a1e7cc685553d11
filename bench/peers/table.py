"""table.py LIBRARY [--quick] [--rounds N] [ROW...]: the bound, hence and PyTorch on the same arrays in one run.

All take turns, each round once; the table has the least time of each, on one thread. Before a row is timed its
results are compared with the same function in float64, and a row with others fails the run. Without PyTorch its columns are empty;
with --quick results are also compared with plain Python's. Another block is another function under `@row`.
"""

import argparse
import ctypes
import math
import platform
import sys
import time

try:
    import torch

    torch.set_num_threads(1)
except ImportError:
    torch = None

parser = argparse.ArgumentParser()
parser.add_argument("library")
parser.add_argument("rows", nargs="*")
parser.add_argument("--quick", action="store_true", help="small arrays and few rounds: does it run?")
parser.add_argument("--rounds", type=int)
parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
options = parser.parse_intermixed_args()
options.rounds = options.rounds or (3 if options.quick else 15)
hence = ctypes.CDLL(options.library)
hence.peers_policy.restype = ctypes.c_double
hence.peers_bound_read.restype = ctypes.c_float


class Array:
    """float32 or int64 memory that the C functions and a tensor share."""

    def __init__(self, *shape, seed=None, low=-1.0, high=1.0, of=ctypes.c_float):
        self.size = math.prod(shape)
        self.memory = (of * self.size)()
        self.shape = shape
        self.pointer = ctypes.c_void_p(ctypes.addressof(self.memory))
        if seed is not None:
            hence.peers_fill(self.pointer, ctypes.c_int64(self.size), ctypes.c_uint64(seed), ctypes.c_float(low), ctypes.c_float(high))

    @property
    def tensor(self):
        kind = torch.int64 if self.memory._type_ is ctypes.c_int64 else torch.float32
        return torch.frombuffer(self.memory, dtype=kind).view(self.shape)


def call(function, *arguments):
    converted = [a.pointer if isinstance(a, Array) else ctypes.c_int64(a) for a in arguments]
    return lambda alive=arguments: function(*converted)  # a pointer alone keeps no array alive


ROWS = []


def row(function):
    ROWS.append(function)
    return function


@row
def policy_loss():
    """two-sided clip + k3, value and gradient; bound: three arrays read, one written"""
    rows, width = (64, 256) if options.quick else (512, 4096)
    logp = Array(rows, width, seed=1, low=-1.9, high=-0.1)
    old, ref = Array(rows, width, seed=2, low=-0.2, high=0.2), Array(rows, width, seed=3, low=-0.3, high=0.3)
    for other in (old, ref):
        if torch:
            other.tensor.add_(logp.tensor)
        else:
            for i in range(other.size):
                other.memory[i] += logp.memory[i]
    advantages, gradient, out = Array(rows, seed=4), Array(rows, width), Array(rows, width)
    result = {
        "bound": call(hence.peers_bound_streams, logp, old, ref, out, logp.size, 3),
        "hence": call(hence.peers_policy, logp, old, ref, advantages, gradient, rows, width),
        "results": lambda: [gradient],
    }

    def plain():
        n, gradients = rows * width, []
        for i in range(n):
            x, a = logp.memory[i], advantages.memory[i // width]
            ratio = math.exp(x - old.memory[i])
            clipped = ratio * a > min(max(ratio, 0.8), 1.2) * a
            gradients.append((0.04 * (1 - math.exp(ref.memory[i] - x)) - (0 if clipped else ratio * a)) / n)
        return [gradients]

    result["plain"] = plain
    if torch:
        x, o, r, a = logp.tensor.clone().requires_grad_(), old.tensor, ref.tensor, advantages.tensor.unsqueeze(1)

        def loss(x):
            ratio = torch.exp(x - o)
            u = r - x
            policy = -torch.minimum(ratio * a, torch.clamp(ratio, 0.8, 1.2) * a)
            return (policy + 0.04 * (torch.exp(u) - u - 1)).mean()

        result["peer"] = (loss, torch.autograd.grad, (x,))
    return result


@row
def grpo_advantages():
    """(r - mean)/(std + eps), groups of 16; bound: one array read, one written"""
    groups, size = (256, 16) if options.quick else (65536, 16)
    rewards, out, other = Array(groups, size, seed=5), Array(groups, size), Array(groups, size)
    result = {
        "bound": call(hence.peers_bound_streams, rewards, rewards, rewards, other, rewards.size, 1),
        "hence": call(hence.peers_advantages, rewards, out, groups, size),
        "results": lambda: [out],
    }

    def plain():
        values = []
        for g in range(groups):
            r = rewards.memory[g * size:(g + 1) * size]
            mean = math.fsum(r) / size
            deviation = math.sqrt(math.fsum((x - mean) ** 2 for x in r) / (size - 1))
            values += [(x - mean) / (deviation + 1e-4) for x in r]
        return [values]

    result["plain"] = plain
    if torch:
        r = rewards.tensor

        def advantages(r):
            return (r - r.mean(1, keepdim=True)) / (r.std(1, keepdim=True) + 1e-4)

        result["peer"] = (advantages, lambda value, inputs: [value], (r,))
    return result


def log_softmax(values):
    top = max(values)
    total = top + math.log(math.fsum(math.exp(x - top) for x in values))
    return [x - total for x in values]


def label_array(rows, vocabulary):
    labels = Array(rows, of=ctypes.c_int64)
    for i in range(rows):
        labels.memory[i] = (i * 7919) % vocabulary
    return labels


@row
def token_logprob():
    """log p of the label and entropy from logits; bound: the logits read once"""
    rows, vocabulary = (16, 1024) if options.quick else (512, 50257)
    logits, labels = Array(rows, vocabulary, seed=6, low=-8, high=8), label_array(rows, vocabulary)
    logp, entropy = Array(rows), Array(rows)
    result = {
        "bound": call(hence.peers_bound_read, logits, logits.size),
        "hence": call(hence.peers_token_logprob, logits, labels, logp, entropy, rows, vocabulary),
        "results": lambda: [logp, entropy],
    }

    def plain():
        every = [log_softmax(logits.memory[i * vocabulary:(i + 1) * vocabulary]) for i in range(rows)]
        return [[p[labels.memory[i]] for i, p in enumerate(every)], [-math.fsum(math.exp(x) * x for x in p) for p in every]]

    result["plain"] = plain
    if torch:
        x, y = logits.tensor, labels.tensor.unsqueeze(1)

        def logprobs(x):
            p = torch.log_softmax(x, -1)
            return p.gather(1, y).squeeze(1), -(p.exp() * p).sum(-1)

        result["peer"] = (logprobs, lambda value, inputs: list(value), (x,))
    return result


@row
def token_logprob_gradient():
    """log p of the label and its gradient for the logits; bound: the logits read, as much written"""
    rows, vocabulary = (16, 1024) if options.quick else (512, 50257)
    logits, labels = Array(rows, vocabulary, seed=6, low=-8, high=8), label_array(rows, vocabulary)
    cotangent, logp, gradient, out = Array(rows, seed=7), Array(rows), Array(rows, vocabulary), Array(rows, vocabulary)
    result = {
        "bound": call(hence.peers_bound_streams, logits, logits, logits, out, logits.size, 1),
        "hence": call(hence.peers_token_logprob_gradient, logits, labels, cotangent, logp, gradient, rows, vocabulary),
        "results": lambda: [gradient],
    }

    def plain():
        gradients = []
        for i in range(rows):
            for v, x in enumerate(log_softmax(logits.memory[i * vocabulary:(i + 1) * vocabulary])):
                gradients.append(cotangent.memory[i] * ((v == labels.memory[i]) - math.exp(x)))
        return [gradients]

    result["plain"] = plain
    if torch:
        x, y, c = logits.tensor.clone().requires_grad_(), labels.tensor.unsqueeze(1), cotangent.tensor

        def weighted(x):
            return (torch.log_softmax(x, -1).gather(1, y).squeeze(1) * c).sum()

        result["peer"] = (weighted, torch.autograd.grad, (x,))
    return result


@row
def linear_logprob():
    """log p from hidden states and the head, gradients of both; bound: the three matrix products by hence's backend"""
    rows, width, vocabulary = (16, 64, 512) if options.quick else (256, 576, 49152)
    hidden, head = Array(rows, width, seed=8), Array(vocabulary, width, seed=9, low=-0.1, high=0.1)
    labels, cotangent, logp = label_array(rows, vocabulary), Array(rows, seed=10), Array(rows)
    d_hidden, d_head = Array(rows, width), Array(vocabulary, width)
    spare_hidden, spare_head = Array(rows, width), Array(vocabulary, width)
    result = {
        "bound": call(hence.peers_bound_products, hidden, head, spare_hidden, spare_head, rows, width, vocabulary),
        "hence": call(hence.peers_linear_logprob, hidden, head, labels, cotangent, logp, d_hidden, d_head, rows, width, vocabulary),
        "results": lambda: [d_hidden, d_head],
    }

    def plain():
        d_h, d_w = [0.0] * (rows * width), [0.0] * (vocabulary * width)
        for i in range(rows):
            h = hidden.memory[i * width:(i + 1) * width]
            dots = [sum(a * b for a, b in zip(h, head.memory[v * width:(v + 1) * width])) for v in range(vocabulary)]
            for v, x in enumerate(log_softmax(dots)):
                g = cotangent.memory[i] * ((v == labels.memory[i]) - math.exp(x))
                for d in range(width):
                    d_h[i * width + d] += g * head.memory[v * width + d]
                    d_w[v * width + d] += g * h[d]
        return [d_h, d_w]

    result["plain"] = plain
    if torch:
        h, w = hidden.tensor.clone().requires_grad_(), head.tensor.clone().requires_grad_()
        y, c = labels.tensor.unsqueeze(1), cotangent.tensor

        def weighted(h, w):
            return (torch.log_softmax(h @ w.T, -1).gather(1, y).squeeze(1) * c).sum()

        result["peer"] = (weighted, torch.autograd.grad, (h, w))
    return result


def error(results, exact):
    """The largest difference, relative to the largest number."""
    worst = 0.0
    for a, b in zip(results, exact):
        a = a.detach().double().reshape(b.shape)
        worst = max(worst, ((a - b).abs().max() / (b.abs().max() or 1.0)).item())
    return worst


def measure(make):
    case = make()
    runs = {name: case[name] for name in ("bound", "hence") if name in case}
    errors = {}
    if options.quick:
        case["hence"]()
        for array, exact in zip(case["results"](), case["plain"]()):
            worst = max(abs(a - b) for a, b in zip(array.memory, exact)) / max(map(abs, exact))
            if not worst < 1e-5:
                print(f"{make.__name__}: hence is {worst:.1e} from plain Python", file=sys.stderr)
                sys.exit(1)
    if "peer" in case:
        function, finish, inputs = case["peer"]
        runs["eager"] = lambda: finish(function(*inputs), inputs)
        if not options.no_compile:
            compiled = torch.compile(function)
            runs["compiled"] = lambda: finish(compiled(*inputs), inputs)
        # The same function in float64 says how far each of them is from the truth.
        wide = tuple(x.detach().double().requires_grad_(x.requires_grad) for x in inputs)
        exact = [x.detach() for x in finish(function(*wide), wide)]
        case["hence"]()
        errors["hence"] = error([array.tensor for array in case["results"]()], exact)
        for name in ("eager", "compiled"):
            if name in runs:
                errors[name] = error(runs[name](), exact)
        del wide, exact
    for name, worst in errors.items():
        if not worst < 1e-4:
            print(f"{make.__name__}: {name} is {worst:.1e} from float64, so there is nothing to compare", file=sys.stderr)
            sys.exit(1)
    best = dict.fromkeys(runs, math.inf)
    for run in runs.values():
        run()
    for _ in range(options.rounds):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            best[name] = min(best[name], time.perf_counter() - start)
    return best, errors


def milliseconds(best, name):
    return f"{best[name] * 1e3:.3f}" if name in best else "-"


def times(best, name, unit):
    return f"{best[name] / best[unit]:.2f}" if name in best and unit in best else "-"


print(f"{platform.processor() or platform.machine()}, one thread, float32, least of {options.rounds} rounds, milliseconds; "
      + (f"PyTorch {torch.__version__}" if torch else "PyTorch is not installed: its columns are empty"))
columns = ["row", "bound", "hence", "x bound", "eager", "x hence", "compiled", "x hence", "errors of the three"]
print("| " + " | ".join(columns) + " |\n|" + " --- |" * len(columns))
chosen = [make for make in ROWS if not options.rows or make.__name__ in options.rows]
for make in chosen:
    best, errors = measure(make)
    cells = [make.__name__, milliseconds(best, "bound"), milliseconds(best, "hence"), times(best, "hence", "bound")]
    for peer in ("eager", "compiled"):
        cells += [milliseconds(best, peer), times(best, peer, "hence")]
    cells.append(", ".join(f"{worst:.1e}" for worst in errors.values()) or "-")
    print("| " + " | ".join(cells) + " |", flush=True)
for make in chosen:
    print(f"{make.__name__}: {make.__doc__}")
if not chosen:
    sys.exit("no such row; there are: " + ", ".join(make.__name__ for make in ROWS))
