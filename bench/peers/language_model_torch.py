"""The examples' language model in PyTorch eager, as one would write it there for speed.

q, k and v are one product, gate and up another; the head sees only the positions that the loss needs; the cache of decoding is
allocated before, a prompt computed once for all its replies, and softmax, exponential noise and argmax draw without a synchronisation.
`attention` and `norm` choose among PyTorch's ways to write them; language_model.py measures them all and keeps the fastest.
"""

import itertools
import math

import torch
import torch.nn.functional as F

torch.set_num_threads(1)
WAYS = [dict(zip(("attention", "norm"), way)) for way in itertools.product(("sdpa", "matmul"), ("rms_norm", "written"))]
OPTIMIZERS = ("fused", "foreach")
EPS = 1e-5


def gemm_backend():
    lines = [line.strip(" -") for line in torch.__config__.show().splitlines()]
    return next((line.split(" for ")[0] for line in lines if "Kernel Library" in line or "OpenBLAS" in line), "unnamed BLAS") + \
        f", {torch.backends.cpu.get_cpu_capability()}"


class Model:
    def __init__(self, c, arena, places, rope_base):
        """c: sizes by name. arena: hence's weights, which are copied. places: first element of each parameter."""
        self.c, self.parameters, self.places = c, [], []
        self.way = WAYS[0]
        d, q, kv, ff = c["width"], c["heads"] * c["head"], c["kv_heads"] * c["head"], c["ff"]

        def take(name, *shape):
            first = places[name]
            tensor = arena[first:first + math.prod(shape)].view(shape).clone().requires_grad_()
            self.parameters.append(tensor)
            self.places.append((first, tensor))
            return tensor

        self.embedding = take("model.embed_tokens.weight", c["vocabulary"], d)
        self.layers = []
        for i in range(c["layers"]):
            at = f"model.layers.{i}."
            self.layers.append((take(at + "input_layernorm.weight", d), take(at + "self_attn.q_proj.weight", q + 2 * kv, d),
                                take(at + "self_attn.o_proj.weight", d, q), take(at + "post_attention_layernorm.weight", d),
                                take(at + "mlp.gate_proj.weight", 2 * ff, d), take(at + "mlp.down_proj.weight", d, ff)))
        self.last_norm = take("model.norm.weight", d)
        self.head = self.embedding if c["tied"] else take("lm_head.weight", c["vocabulary"], d)
        angle = torch.arange(c["longest"]).double()[:, None] / rope_base ** (torch.arange(0, c["head"], 2).double() / c["head"])
        self.cos, self.sin = (f(angle).float().repeat(1, 2)[:, None] for f in (torch.cos, torch.sin))  # [position, 1, head]
        self.sin[..., :c["head"] // 2] *= -1

    def norm(self, x, gain):
        if self.way["norm"] == "rms_norm":
            return F.rms_norm(x, gain.shape, gain, EPS)
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPS) * gain

    def project(self, x, weight, at, positions):
        """q [rows, positions, heads, head], k and v [.., kv_heads, head], q and k turned."""
        c = self.c
        qkv = F.linear(x, weight).unflatten(-1, (-1, c["head"]))
        turned, v = qkv[..., :c["heads"] + c["kv_heads"], :], qkv[..., c["heads"] + c["kv_heads"]:, :]
        cos, sin = self.cos[at:at + positions], self.sin[at:at + positions]
        turned = turned * cos + turned.roll(c["head"] // 2, -1) * sin
        return turned[..., :c["heads"], :], turned[..., c["heads"]:, :], v

    def whole(self, q, k, v):
        """Causal attention of whole sequences, [rows, heads, positions, head]."""
        shared = self.c["heads"] // self.c["kv_heads"]
        if self.way["attention"] == "sdpa":
            return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=shared > 1)
        if shared > 1:
            k, v = k.repeat_interleave(shared, 1), v.repeat_interleave(shared, 1)
        n = q.shape[2]
        later = torch.full((n, n), -math.inf).triu(1)
        return torch.softmax(torch.matmul(q * self.c["head"] ** -0.5, k.mT) + later, -1) @ v

    def step(self, q, k, v):
        """One query for each head: the heads that share a key stand where positions do."""
        q = q.unflatten(1, (self.c["kv_heads"], -1)).squeeze(3)
        if self.way["attention"] == "sdpa":
            return F.scaled_dot_product_attention(q, k, v)
        return torch.softmax(torch.matmul(q * self.c["head"] ** -0.5, k.mT), -1) @ v

    def body(self, tokens, attend, at=0):
        """tokens [rows, positions]; attend(layer, q, k, v) as in `whole`."""
        x = F.embedding(tokens, self.embedding)
        for i, (norm1, qkv, out, norm2, gate_up, down) in enumerate(self.layers):
            q, k, v = self.project(self.norm(x, norm1), qkv, at, tokens.shape[1])
            attended = attend(i, q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
            x = x + F.linear(attended, out)
            gate, up = F.linear(self.norm(x, norm2), gate_up).chunk(2, -1)
            x = x + F.linear(F.silu(gate) * up, down)
        return x

    def attend_whole(self, layer, q, k, v):
        return self.whole(q, k, v).transpose(1, 2).flatten(2)

    def logprobs(self, batch):
        """Of the responses' tokens, row by row. batch: Batch."""
        x = self.body(batch.inputs, self.attend_whole).flatten(0, 1)
        if batch.kept is not None:
            x = x.index_select(0, batch.kept)
        return -F.cross_entropy(F.linear(self.norm(x, self.last_norm), self.head), batch.labels, reduction="none")

    def gradient_of(self, batch):
        loss = -self.logprobs(batch).mean()
        loss.backward()
        return loss

    def begin(self, optimizer, rate):
        self.optimizer = torch.optim.AdamW(self.parameters, lr=rate, betas=(0.9, 0.98), eps=1e-8, weight_decay=0, **{optimizer: True})

    def update(self):
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def train(self, batch):
        self.gradient_of(batch)
        self.update()

    @torch.inference_mode()
    def generate(self, prompts, per_prompt, n, forced=None):
        """prompts [groups, length] -> tokens and log-probs [groups per_prompt, n]. forced: tokens to take instead of drawing."""
        c, length, rows = self.c, prompts.shape[1], prompts.shape[0] * per_prompt
        cache = torch.empty(c["layers"], 2, rows, c["kv_heads"], length + n, c["head"])
        tokens, logp = torch.empty(rows, n, dtype=torch.int64), torch.empty(rows, n)

        def prefill(layer, q, k, v):
            cache[layer, 0, :, :, :length] = k.repeat_interleave(per_prompt, 0)
            cache[layer, 1, :, :, :length] = v.repeat_interleave(per_prompt, 0)
            return self.attend_whole(layer, q, k, v)

        x = self.body(prompts, prefill)[:, -1]
        for t in range(n):
            p = torch.softmax(F.linear(self.norm(x, self.last_norm), self.head), -1)
            if t == 0:
                p = p.repeat_interleave(per_prompt, 0)
            drawn = forced[:, t] if forced is not None else (p / torch.empty_like(p).exponential_()).argmax(-1)
            tokens[:, t] = drawn
            logp[:, t] = p.gather(1, drawn[:, None]).squeeze(1).log()
            if t + 1 == n:
                return tokens, logp
            at = length + t

            def one(layer, q, k, v):
                cache[layer, 0, :, :, at:at + 1] = k
                cache[layer, 1, :, :, at:at + 1] = v
                return self.step(q, cache[layer, 0, :, :, :at + 1], cache[layer, 1, :, :, :at + 1]).flatten(1).unsqueeze(1)

            x = self.body(drawn[:, None], one, at)[:, 0]


class Batch:
    """Rows of prompt and response, padded on the right to the longest: what comes behind a token does not reach it."""

    def __init__(self, groups):
        rows = [(prompt, reply) for prompt, replies in groups for reply in replies]
        width = max(len(prompt) + len(reply) for prompt, reply in rows) - 1
        inputs = [(prompt + reply)[:-1] for prompt, reply in rows]
        kept = [i * width + len(prompt) - 1 + t for i, (prompt, reply) in enumerate(rows) for t in range(len(reply))]
        self.inputs = torch.tensor([row + [0] * (width - len(row)) for row in inputs])
        self.labels = torch.tensor([token for _, reply in rows for token in reply])
        self.kept = None if len(kept) == self.inputs.numel() else torch.tensor(kept)
        self.padding = 1 - sum(map(len, inputs)) / self.inputs.numel()
