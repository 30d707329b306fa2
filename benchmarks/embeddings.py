"""Opening an embeddings file of Llama 3.2 1B's shape: NumPy and this project alternately, medians and the ratio.

    cargo build --release -p engine --example open_embeddings
    PYTHONPATH=~/.cache/axllm-test/numpy-2.3.5 python3 benchmarks/embeddings.py [ROUNDS]

The file (400 MB) is made once, in the folder of the peers. Its numbers are those of a trained model in kind: normally
distributed, rounded to bfloat16 first. Both sides find it in the page cache. NumPy reads it in a process of its own.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

VOCABULARY, WIDTH = 128_256, 2_048
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 5
ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
FOLDER = Path(os.environ.get("AXLLM_PEERS") or CACHE / "axllm-peers")
FILE = FOLDER / "embeddings-1b.npz"
HOST = subprocess.check_output(["rustc", "--print", "host-tuple"], text=True).strip()
OURS = ROOT / "target" / HOST / "release/examples/open_embeddings"
THEIRS = """
import sys, time
import numpy
start = time.perf_counter()
with numpy.load(sys.argv[1], allow_pickle=False) as arrays:
    rows = arrays["embeddings"]
print(time.perf_counter() - start)
"""


def make() -> None:
    import numpy as np

    random = np.random.default_rng(1)
    rows = np.empty((VOCABULARY, WIDTH), np.float16)
    for start in range(0, VOCABULARY, 4096):
        part = rows[start : start + 4096]
        normal = random.standard_normal(part.shape, dtype=np.float32) * 0.02
        part[:] = ((normal.view(np.uint32) + 0x8000) & 0xFFFF0000).view(np.float32)
    FOLDER.mkdir(parents=True, exist_ok=True)
    scalars = {"vocab_size": VOCABULARY, "embedding_dim": WIDTH, "dtype": "float16"}
    np.savez_compressed(FOLDER / "part.npz", embeddings=rows, **scalars)
    (FOLDER / "part.npz").rename(FILE)


def ours() -> dict:
    return json.loads(subprocess.check_output([OURS, FILE]))


def forget() -> None:
    for copy in FOLDER.glob("embeddings-1b.*.npy"):
        copy.unlink()
    os.sync()


def main() -> None:
    if not FILE.exists():
        make()
    FILE.read_bytes()
    numpy, first, later = [], [], []
    for _ in range(ROUNDS):
        numpy.append(float(subprocess.check_output([sys.executable, "-c", THEIRS, FILE])))
        forget()
        first.append(ours())
        later += [ours() for _ in range(5)]
        time.sleep(0.2)
    middle = lambda runs, key: statistics.median(run[key] for run in runs)
    base = statistics.median(numpy)
    opened, again = middle(first, "seconds"), middle(later, "seconds")
    print(f"{VOCABULARY} x {WIDTH}, medians of {ROUNDS} rounds, load {os.getloadavg()[0]:.1f}")
    print(f"NumPy       {base * 1000:8.1f} ms")
    print(f"first open  {opened * 1000:8.1f} ms  ({opened / base:.2f} of NumPy's), peak {middle(first, 'peak_kib'):.0f} KiB")
    print(f"later opens {again * 1000:8.2f} ms, holding {middle(later, 'held_kib'):.0f} KiB", end="; ")
    print(f"64 rows gathered in {middle(later, 'gather_64_seconds') * 1e6:.0f} us, peak {middle(later, 'peak_kib'):.0f} KiB")
    assert all(run["mapped"] for run in first + later)
    # the copy is as large as the matrix: nobody needs it after this
    forget()


main()
