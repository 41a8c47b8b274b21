"""What the driver has done in a process of its own: files made, a file read, bare steps. One JSON line on stdout.

`python -m benchmarks.children NAME ARGUMENT...`
"""

from __future__ import annotations

import gzip
import itertools
import json
import os
import resource
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.cases import ROOT

Array = np.ndarray[Any, Any]

MNIST = [f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
MEGABYTE = 10**6


def digits(folder: str, rows: str) -> dict[str, Any]:
    """MNIST's training images as x.npy (N, 784) float32 in 0..1 and y.npy (N,); the four IDX files' paths.

    The files are those of BPCLI_MNIST, or ../shared/datasets/mnist. Where they are not there, random numbers of the
    same shapes take their place; likewise if `rows` is not 0, which is then how many images there are.
    """
    from bpcli.data.read import read
    from bpcli.data.types import Source

    home = Path(os.environ.get("BPCLI_MNIST", ROOT.parent / "shared" / "datasets" / "mnist"))
    real = rows == "0" and all((home / name).exists() for name in MNIST)
    if not real:
        home = Path(folder)
        _random_digits(home, int(rows) or 60_000)
    files = [str((home / name).absolute()) for name in MNIST]
    raw = read(Source(Path(files[0]), Path(files[1]), label="MNIST"), features=None, target=None, header=None)
    np.save(Path(folder, "x.npy"), raw.x.reshape(len(raw.x), -1).astype(np.float32) / 255)
    np.save(Path(folder, "y.npy"), raw.y)
    return {"real": real, "files": files, "arrays": folder}


def _random_digits(folder: Path, rows: int) -> None:
    rng = np.random.default_rng(0)
    for images, labels, n in ((*MNIST[:2], rows), (*MNIST[2:], rows // 6)):
        _write_idx(folder / images, rng.integers(0, 256, (n, 28, 28), np.uint8))
        _write_idx(folder / labels, np.arange(n, dtype=np.uint8) % 10)


def _write_idx(path: Path, values: Array) -> None:
    head = struct.pack(f">4B{values.ndim}I", 0, 0, 8, values.ndim, *values.shape)
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(head + values.tobytes())


def numeric_csv(path: str, megabytes: str) -> dict[str, Any]:
    """A CSV of that size: a header, and 20 columns of numbers with six digits after the point."""
    values = np.random.default_rng(0).normal(size=(5000, 20))
    block = "\n".join(",".join(f"{value:.6f}" for value in row) for row in values.tolist()).encode() + b"\n"
    times = max(1, round(int(megabytes) * MEGABYTE / len(block)))
    with Path(path).open("wb") as file:
        file.write(",".join(f"c{column}" for column in range(20)).encode() + b"\n")
        for _ in range(times):
            file.write(block)
    return {"bytes": Path(path).stat().st_size, "array_bytes": times * values.nbytes}


def npy_pair(folder: str, megabytes: str) -> dict[str, Any]:
    """x.npy (N, 256) float32 of that size, and y.npy (N,): two classes, by the sign of the first input."""
    rng = np.random.default_rng(0)
    rows = int(megabytes) * MEGABYTE // 1024
    labels = []
    with Path(folder, "x.npy").open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (rows, 256)})
        for low in range(0, rows, 1 << 14):
            block = rng.standard_normal((min(1 << 14, rows - low), 256), np.float32)
            block.tofile(file)
            labels.append(block[:, 0] > 0)
    np.save(Path(folder, "y.npy"), np.concatenate(labels).astype(np.int64))
    return {"rows": rows}


def csv_by_bpcli(path: str) -> dict[str, Any]:
    """x and y by bpcli's reader: see `_reading`."""
    from bpcli.data.read import read
    from bpcli.data.types import Source

    def reading(path: str) -> object:
        return read(Source(Path(path), label=path), features=None, target=None, header=None)

    return _reading(reading, path)


def csv_by_pandas(path: str) -> dict[str, Any]:
    """A data frame by pandas' C reader: see `_reading`."""
    import pandas

    return _reading(pandas.read_csv, path)


def _reading(read: Callable[[str], object], path: str) -> dict[str, Any]:
    """Seconds, and the bytes by which the process grew beyond its largest so far; a small file is read before."""
    with Path(path).open() as file, tempfile.NamedTemporaryFile("w", suffix=".csv") as small:
        small.writelines(itertools.islice(file, 10))  # what is imported late is imported now
        small.flush()
        read(small.name)
    before, started = peak(), time.perf_counter()
    table = read(path)
    seconds = time.perf_counter() - started
    del table
    return {"seconds": seconds, "grown": peak() - before}


def peak() -> int:
    """The most memory that this process has had resident so far, bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def bare_xor(steps: str) -> dict[str, Any]:
    """Seconds for so many steps of configs/xor.yaml: the engine's gradient and update alone; and in flat NumPy."""
    return {"engine": _engine_steps(int(steps)), "flat": _flat_steps(int(steps))}


def _engine_steps(steps: int) -> float:
    from bpcli.build.session import open_session
    from bpcli.config.load import load_config
    from bpcli.engine.training.step import make_step
    from bpcli.system import one_blas_thread

    session = open_session(load_config(ROOT / "configs" / "xor.yaml"))
    config, model = session.model.config, session.model
    samples = model.samples(session.datasets.parts["train"])
    step = make_step(model.network, config.loss, config.optimizer, samples, session.start(), session.options)
    rows = slice(0, 4)
    with one_blas_thread():
        started = time.perf_counter()
        for _ in range(steps):
            step(rows, 4)
        return time.perf_counter() - started


def _flat_steps(steps: int) -> float:
    """2-4-1 sigmoid, mse, momentum: one vector theta, one grad, every array made once."""
    x, y = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]]), np.array([[0.0], [1], [1], [0]])
    theta, grad, v, scratch = np.random.default_rng(0).normal(size=17), np.empty(17), np.zeros(17), np.empty(17)
    (W1, b1, W2, b2), (dW1, db1, dW2, db2) = _views(theta), _views(grad)
    a1, dz1, s1 = np.empty((4, 4)), np.empty((4, 4)), np.empty((4, 4))
    a2, dz2, s2 = np.empty((4, 1)), np.empty((4, 1)), np.empty((4, 1))

    def sigmoid(z: Array) -> None:
        np.negative(z, out=z)
        np.exp(z, out=z)
        np.add(z, 1, out=z)
        np.reciprocal(z, out=z)

    started = time.perf_counter()
    for _ in range(steps):
        np.dot(x, W1.T, out=a1)
        np.add(a1, b1, out=a1)
        sigmoid(a1)
        np.dot(a1, W2.T, out=a2)
        np.add(a2, b2, out=a2)
        sigmoid(a2)
        np.subtract(a2, y, out=dz2)
        np.vdot(dz2, dz2) / 4
        np.multiply(dz2, 0.5, out=dz2)
        np.subtract(1, a2, out=s2)
        np.multiply(s2, a2, out=s2)
        np.multiply(dz2, s2, out=dz2)
        np.dot(dz2.T, a1, out=dW2)
        np.add.reduce(dz2, 0, out=db2)
        np.dot(dz2, W2, out=dz1)
        np.subtract(1, a1, out=s1)
        np.multiply(s1, a1, out=s1)
        np.multiply(dz1, s1, out=dz1)
        np.dot(dz1.T, x, out=dW1)
        np.add.reduce(dz1, 0, out=db1)
        np.multiply(v, 0.9, out=v)
        np.add(v, grad, out=v)
        np.multiply(v, 0.5, out=scratch)
        np.subtract(theta, scratch, out=theta)
    return time.perf_counter() - started


def _views(vector: Array) -> tuple[Array, Array, Array, Array]:
    return vector[:8].reshape(4, 2), vector[8:12], vector[12:16].reshape(1, 4), vector[16:]


TASKS = {task.__name__: task for task in (digits, numeric_csv, npy_pair, csv_by_bpcli, csv_by_pandas, bare_xor)}

if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    print(json.dumps(TASKS[name](*arguments)))
