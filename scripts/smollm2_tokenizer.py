#!/usr/bin/env python3
"""Compares examples/lm/tokenizer.hpp with PyPI's tokenizers on text, token by token.

    pip install tokenizers
    scripts/smollm2_tokenizer.py build/examples/smollm2/smollm2 model.gguf [file ...]

The other program is built from the vocabulary of the same file and the settings that SmolLM2 publishes
(digits by themselves, then GPT-2's pattern). Text: the files named, and every code point of Unicode in
four surroundings. Not part of CI.
"""
import random
import subprocess
import sys
import time
from pathlib import Path

import gguf_reader
from tokenizers import Tokenizer, models, pre_tokenizers

PROGRAM, MODEL, FILES = sys.argv[1], sys.argv[2], sys.argv[3:]


def reference():
    metadata = gguf_reader.read(MODEL)[0]
    tokens = [t.decode() for t in metadata["tokenizer.ggml.tokens"]]
    merges = [tuple(m.decode().split(" ")) for m in metadata["tokenizer.ggml.merges"]]
    t = Tokenizer(models.BPE(vocab={s: i for i, s in enumerate(tokens)}, merges=merges))
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.add_special_tokens([s for s, kind in zip(tokens, metadata["tokenizer.ggml.token_type"]) if kind == 3])
    return t, tokens


def ours(text):
    out = subprocess.run([PROGRAM, "--model", MODEL, "--peer", "tokens"], input=text.encode(), capture_output=True,
                         check=True)
    return [int(x) for x in out.stdout.split()]


def unicode_text():
    """Every code point after a letter, after a space, between digits and doubled."""
    points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
    for i in range(0, len(points), 4096):
        yield "".join(f"a{chr(c)} {chr(c)}1{chr(c)}2{chr(c)}{chr(c)}b" for c in points[i:i + 4096])


def random_text(tokens, seed):
    """Tokens of the vocabulary at random: words that merge in many ways."""
    source = random.Random(seed)
    alphabet = {}
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in printable]
    for b in range(256):
        alphabet[chr(b) if b in printable else chr(256 + rest.index(b))] = b
    return b"".join(bytes(alphabet[c] for c in t) if all(c in alphabet for c in t) else t.encode()
                    for t in source.choices(tokens, k=60000)).decode(errors="ignore")


def compare(name, text, t):
    begin = time.process_time()
    theirs = t.encode(text).ids
    seconds = time.process_time() - begin
    mine = ours(text)
    if mine == theirs:
        print(f"{name:40} {len(text.encode()):9} bytes {len(mine):8} tokens, equal ({seconds:.1f} s there)")
        return True
    at = next(i for i, (a, b) in enumerate(zip(mine + [-1], theirs + [-1])) if a != b)
    print(f"{name:40} differs at token {at}: ours {mine[at:at + 6]} {t.decode(mine[at:at + 6], False)!r}, "
          f"theirs {theirs[at:at + 6]} {t.decode(theirs[at:at + 6], False)!r}")
    return False


t, tokens = reference()
bytes_seen = equal = total = 0
trials = [(f, Path(f).read_text(errors="ignore")) for f in FILES]
trials += [(f"tokens at random, seed {seed}", random_text(tokens, seed)) for seed in range(3)]
whole = list(unicode_text())
print(f"Unicode: {sum(len(x) for x in whole)} characters in {len(whole)} texts")
joined = "\n".join(whole)
trials.append(("every code point", joined))
for name, text in trials:
    bytes_seen += len(text.encode())
    total += 1
    equal += compare(name, text, t)
print(f"{equal} of {total} texts equal, {bytes_seen} bytes")
if equal != total:
    # which code points: one by one, from the texts of 4096
    for text in whole:
        mine, theirs = ours(text), t.encode(text).ids
        if mine != theirs:
            print(f"differs within U+{ord(text[1]):04X}..U+{ord(text[-2]):04X}")
sys.exit(equal != total)
