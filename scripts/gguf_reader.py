"""A plain reader and writer of GGUF files for the comparisons: independent of examples/lm, and it trusts its input.
Needs NumPy for the tensors."""
import struct

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


def read(path):
    """(metadata, tensors): name -> value; name -> (shape, type, bytes). Texts are bytes."""
    data = memoryview(open(path, "rb").read())
    at = 0

    def take(code):
        nonlocal at
        x = struct.unpack_from("<" + code, data, at)[0]
        at += struct.calcsize("<" + code)
        return x

    def text():
        nonlocal at
        n = take("Q")
        at += n
        return bytes(data[at - n:at])

    def value(kind):
        if kind == 8:
            return text()
        if kind == 9:
            kind, n = take("I"), take("Q")
            return [value(kind) for _ in range(n)]
        return take(SCALARS[kind])

    assert take("I") == 0x46554747 and take("I") == 3
    tensors, entries = take("Q"), take("Q")
    metadata = {}
    for _ in range(entries):
        key = text().decode()
        metadata[key] = value(take("I"))
    head_end = at
    found = {}
    for _ in range(tensors):
        name = text().decode()
        shape = [take("Q") for _ in range(take("I"))]
        found[name] = (shape[::-1], take("I"), take("Q"))
    begin = (at + 31) // 32 * 32
    sizes = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 8: (32, 34), 30: (1, 2)}
    for name, (shape, kind, offset) in found.items():
        elements, size = sizes[kind]
        n = size
        for extent in shape:
            n *= extent
        found[name] = (shape, kind, data[begin + offset:begin + offset + n // elements])
    return metadata, found, bytes(data[24:head_end])


def floats(tensor):
    """A tensor as float32."""
    import numpy as np
    shape, kind, data = tensor
    raw = np.frombuffer(data, np.uint8)
    if kind == 0:
        return raw.view(np.float32).reshape(shape)
    if kind == 8:
        blocks = raw.reshape(-1, 34)
        x = blocks[:, :2].copy().view(np.float16).astype(np.float32) * blocks[:, 2:].view(np.int8)
    elif kind == 3:
        blocks = raw.reshape(-1, 20)
        scale, least = blocks[:, :4].copy().view(np.float16).astype(np.float32).T
        q = np.concatenate([blocks[:, 4:] & 15, blocks[:, 4:] >> 4], axis=1)
        x = q * scale[:, None] + least[:, None]
    else:
        raise ValueError(kind)
    return x.astype(np.float32).reshape(shape)


def write_f32(path, source):
    """The same model with all weights widened to F32, which no program has to quantise again."""
    metadata, tensors, entries = read(source)
    out = bytearray(struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata)) + entries)
    offset = 0
    arrays = []
    for name, tensor in tensors.items():
        x = floats(tensor)
        arrays.append(x)
        out += struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", x.ndim)
        out += b"".join(struct.pack("<Q", n) for n in x.shape[::-1]) + struct.pack("<IQ", 0, offset)
        offset += (x.nbytes + 31) // 32 * 32
    out += b"\0" * (-len(out) % 32)
    with open(path, "wb") as f:
        f.write(out)
        for x in arrays:
            f.write(x.tobytes() + b"\0" * (-x.nbytes % 32))
