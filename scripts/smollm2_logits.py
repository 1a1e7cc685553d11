#!/usr/bin/env python3
"""Compares the logits and the greedy text of examples/smollm2 with llama.cpp's on 50 prompts.

    pip install numpy xllamacpp
    scripts/smollm2_logits.py build/examples/smollm2/smollm2 model.gguf WORK_FOLDER [prompts]

llama.cpp rounds activations to 8 bits where weights are quantised, so the comparison is made on the same
weights widened to F32 (a file of 0.5 GB in WORK_FOLDER), where both programs compute in fp32; --quantised
runs llama.cpp on the file as it is instead, to see what that rounding does. Per prompt llama.cpp continues 64
tokens greedily and tells the log-probs of its 50 likeliest tokens at each (of all 49152 behind the prompt);
hence computes the same sequence and its own greedy text. Not part of CI.
"""
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import xllamacpp

import gguf_reader

arguments = [a for a in sys.argv[1:] if not a.startswith("--")]
PROGRAM, MODEL, WORK = arguments[:3]
COUNT = int(arguments[3]) if len(arguments) > 3 else 50
TOKENS, TOP, SLOTS = 64, 50, 10

CHAT = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
OPENINGS = ["The capital of France is", "Once upon a time there was a", "Water boils at", "def fibonacci(n):\n",
            "The quick brown fox", "To make a good cup of tea, first", "In 1969, humans", "#include <stdio.h>\n",
            "The three states of matter are", "Dear Sir or Madam,\n\n", "A triangle has", "My favourite book is",
            "Die Hauptstadt von Deutschland ist", "Photosynthesis is the process by which", "SELECT name FROM",
            "The opposite of hot is", "Roses are red,", "An apple a day", "import numpy as np\n", "The sun rises in"]
QUESTIONS = ["What is 7+5?", "Name three colours.", "Who wrote Hamlet?", "Explain gravity to a child.",
             "Write a haiku about snow.", "What is the largest planet?", "How do I boil an egg?",
             "Translate 'good morning' into French.", "Give me a synonym for happy.", "What is a prime number?",
             "Why is the sky blue?", "List the days of the week.", "What does CPU stand for?",
             "Tell me a joke.", "How many legs has a spider?"]
SUMS = [f"3+4=7\n8+6=14\n2+9=11\n{a}+{b}=" for a, b in [(1, 2), (5, 5), (7, 8), (9, 9), (4, 2), (6, 7), (3, 3),
                                                          (12, 30), (45, 17), (8, 1), (2, 6), (99, 1), (20, 20),
                                                          (31, 64), (5, 9)]]
PROMPTS = (OPENINGS + [CHAT.format(q) for q in QUESTIONS] + SUMS)[:COUNT]


def run(mode, lines, *more):
    return subprocess.run([PROGRAM, "--model", MODEL, "--peer", mode, *more],
                          input="".join(" ".join(map(str, x)) + "\n" for x in lines).encode(), capture_output=True,
                          check=True).stdout


def llama(path):
    p = xllamacpp.CommonParams()
    p.model.path = path
    p.n_ctx, p.n_parallel, p.n_gpu_layers, p.warmup = 384 * SLOTS, SLOTS, 0, False
    p.cpuparams.n_threads = p.cpuparams_batch.n_threads = 1
    # the sums of attention in fp32 as well
    p.cache_type_k = p.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    p.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    return xllamacpp.Server(p)


def complete(server, prompt, n, top):
    answer = server.handle_completions({"prompt": prompt, "n_predict": n, "n_probs": top, "temperature": 0,
                                        "post_sampling_probs": False, "return_tokens": True, "cache_prompt": False,
                                        "samplers": ["temperature"]})
    answer = answer if isinstance(answer, dict) else json.loads(answer)
    places = answer["choices"][0]["logprobs"]["content"]
    return [s["id"] for s in places], [{t["id"]: t["logprob"] for t in s["top_logprobs"]} for s in places]


wide = MODEL
if "--quantised" not in sys.argv:
    wide = str(Path(WORK) / "f32.gguf")
    gguf_reader.write_f32(wide, MODEL)
server = llama(wide)
ids = [[int(x) for x in subprocess.run([PROGRAM, "--model", MODEL, "--peer", "tokens"], input=p.encode(),
                                        capture_output=True, check=True).stdout.split()] for p in PROMPTS]
with ThreadPoolExecutor(SLOTS) as together:
    theirs = list(together.map(lambda x: complete(server, x, TOKENS, TOP), ids))
    first = list(together.map(lambda x: complete(server, x, 1, 49152)[1][0], ids))
mine = [[int(x) for x in line.split()] for line in run("greedy", ids, "--longest", str(TOKENS), "--context", "512").splitlines()]

computing = subprocess.Popen([PROGRAM, "--model", MODEL, "--peer", "logits"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
computing.stdin.write("".join(" ".join(map(str, x + tokens)) + "\n" for x, (tokens, _) in zip(ids, theirs)).encode())
computing.stdin.close()
worst = worst_likely = same_top = places = equal = 0
differences = []
for prompt, x, (tokens, steps), whole, own in zip(PROMPTS, ids, theirs, first, mine):
    places_here = len(x) + len(tokens)
    rows = np.frombuffer(computing.stdout.read(places_here * 49152 * 4), np.float32).reshape(places_here, -1)
    rows = rows[len(x) - 1:-1].astype(np.float64)
    rows -= rows.max(1, keepdims=True)
    logp = rows - np.log(np.exp(rows).sum(1, keepdims=True))
    for k, step in enumerate([whole] + steps):
        row = logp[max(0, k - 1)]
        d = np.array([[abs(row[t] - p), p] for t, p in step.items() if p > -1e30])
        worst = max(worst, d[:, 0].max())
        worst_likely = max(worst_likely, d[d[:, 1] > np.log(1e-3), 0].max())
        if k > 0:
            differences.append(d[d[:, 1].argmax(), 0])
            places += 1
            same_top += int(row.argmax()) == max(step, key=step.get)
    equal += own == tokens
    if own != tokens:
        at = next((i for i, (a, b) in enumerate(zip(own, tokens)) if a != b), min(len(own), len(tokens)))
        top = sorted(steps[min(at, len(steps) - 1)].values())[-2:]
        print(f"{prompt[-40:]!r}: greedy texts part at token {at} of {len(own)} and {len(tokens)}; there llama.cpp's two "
              f"likeliest are {top[1] - top[0]:.2e} apart")
print(f"{len(PROMPTS)} prompts, {places} places: largest log-prob difference {worst:.2e}, of tokens likelier than 1e-3 "
      f"{worst_likely:.2e}, mean of the likeliest {np.mean(differences):.2e}; top-1 agreement {same_top} of {places}; "
      f"greedy text of {TOKENS} tokens equal on {equal} of {len(PROMPTS)}")
