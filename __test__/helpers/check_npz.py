"""Loads an embeddings file as any program in Python would, and compares it with the rows of a safetensors file."""

import json
import struct
import sys

import numpy as np

npz, safetensors = sys.argv[1:]
with np.load(npz, allow_pickle=False) as arrays:
    assert sorted(arrays.files) == ["dtype", "embedding_dim", "embeddings", "vocab_size"], arrays.files
    rows = arrays["embeddings"]
    scalars = {name: arrays[name] for name in arrays.files if name != "embeddings"}
assert rows.dtype == np.float16 and rows.flags["C_CONTIGUOUS"], (rows.dtype, rows.flags)
assert all(value.shape == () for value in scalars.values()), scalars
assert str(scalars["dtype"]) == "float16", scalars
assert rows.shape == (int(scalars["vocab_size"]), int(scalars["embedding_dim"])), rows.shape

with open(safetensors, "rb") as file:
    (length,) = struct.unpack("<Q", file.read(8))
    entry = json.loads(file.read(length))["model.embed_tokens.weight"]
    start, end = entry["data_offsets"]
    file.seek(8 + length + start)
    data = file.read(end - start)
if entry["dtype"] == "BF16":
    expected = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
else:
    expected = np.frombuffer(data, {"F16": "<f2", "F32": "<f4"}[entry["dtype"]])
expected = expected.reshape(entry["shape"]).astype(np.float16)
assert np.array_equal(rows, expected), "other numbers"
assert np.isfinite(rows).all() and len(np.unique(rows)) > 100
print(rows.shape[0], rows.shape[1])
