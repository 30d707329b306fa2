#!/usr/bin/env python3
"""Random blocks of every quantised GGUF type, and what llama.cpp's own Python package decodes them to.

    /tmp/venv/bin/pip install gguf==0.19.0
    /tmp/venv/bin/python scripts/make-blocks.py > crates/test-support/blocks.json
"""
import json

import gguf, numpy

# where each block's half floats lie: random bits there may be NaN
SCALES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "IQ4_NL": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}
random = numpy.random.default_rng(5)
out = {}
for name, places in SCALES.items():
    kind = gguf.GGMLQuantizationType[name]
    length, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (1024 // length, size), dtype=numpy.uint8)
    for at in places:
        halves = random.normal(0, 0.1, (len(blocks), 1)).astype(numpy.float16)
        blocks[:, at:at + 2] = halves.view(numpy.uint8)
    values = gguf.quants.dequantize(blocks.reshape(1, -1), kind).astype("<f4")
    out[name] = {"bytes": blocks.tobytes().hex(), "values": values.tobytes().hex()}
print(json.dumps(out, indent=1))
