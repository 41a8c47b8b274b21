"""npy files that stay in their file: how they are read and split, that training goes on alike, and the memory."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bpcli.build.session import open_session
from bpcli.config.load import load_config
from bpcli.data import large, npz_file, scaling
from bpcli.data.large import NpyRows, StoredInputs
from bpcli.data.read import read
from bpcli.data.types import Source
from bpcli.engine.training.samples import Samples
from bpcli.errors import DataError
from bpcli.workflows.resume import resume_run
from bpcli.workflows.train import start_run

N, D = 1000, 6  # in blocks of 42 rows, the last one of 34; windows of 4 blocks


@pytest.fixture
def small_blocks(monkeypatch):
    """Every npy file is large, its blocks are of about 1 kB, and windows hold a few of them."""
    monkeypatch.setattr(npz_file, "LARGE_BYTES", 0)
    monkeypatch.setattr(large, "BLOCK_BYTES", 1024)
    monkeypatch.setattr(large, "WINDOW_BYTES", 4096)


@pytest.fixture
def reads(monkeypatch) -> list[int]:
    """The bytes of each read of rows, as they come."""
    sizes: list[int] = []
    plain = large.read_whole

    def counted(file, out, at):
        sizes.append(out.nbytes)
        plain(file, out, at)

    monkeypatch.setattr(large, "read_whole", counted)
    return sizes


def save(n: int = N, dtype: str = "f4", shape: tuple[int, ...] = (D,)) -> tuple[np.ndarray, np.ndarray]:
    """X.npy and Y.npy; the first number of row i is i, as far as the dtype holds it."""
    rng = np.random.default_rng(1)
    x = (rng.normal(size=(n, *shape)) * 50).astype(dtype)
    x.reshape(n, -1)[:, 0] = np.arange(n)
    y = rng.integers(3, size=n)
    np.save("X.npy", x)
    np.save("Y.npy", y)
    return x, y


def stored(**kwargs) -> tuple[np.ndarray, StoredInputs]:
    x, _ = save(**kwargs)
    rows = read(Source(Path("X.npy"), Path("Y.npy"))).x
    assert isinstance(rows, NpyRows)
    return x, StoredInputs(rows, None, rows.dtype)


CONFIG = {
    "seed": 3,
    "data": {"train": {"x": "X.npy", "y": "Y.npy"}, "task": "classification"},
    "network": {"layers": [D, 8, 3], "activation": "tanh"},
    "loss": "log_likelihood",
    "optimizer": {"type": "adam", "learning_rate": 0.01},
    "training": {"epochs": 3, "batch_size": 32},
}


def config(write_config, **sections):
    merged = {
        key: {**value, **sections.get(key, {})} if isinstance(value, dict) else value for key, value in CONFIG.items()
    }
    return load_config(write_config(merged))


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "u1", "i2", "i8", "?", ">f4", ">i4"])
def test_rows_are_those_of_the_file(small_blocks, dtype):
    x, inputs = stored(n=200, dtype=dtype)
    expected = Samples(x.astype(x.dtype.newbyteorder("=")), np.zeros((200, 1)))
    rows = np.random.default_rng(0).integers(200, size=50)
    for wanted in (rows, slice(13, 190)):
        n = 50 if wanted is rows else 177
        got, want, y = np.empty((n, D)), np.empty((n, D)), np.empty((n, 1))
        inputs.fetch(wanted, got)
        expected.fetch(wanted, want, y)
        np.testing.assert_array_equal(got, want)


def test_a_vector_is_one_column(small_blocks):
    x, _ = stored(n=500, shape=())
    assert read(Source(Path("X.npy"), Path("Y.npy"))).x.shape == (len(x), 1)


def test_an_epoch_reads_each_block_once_and_whole(small_blocks, reads):
    _, inputs = stored()
    reads.clear()
    rows, out = inputs.order(np.random.default_rng(0)), np.empty((32, D), np.float32)
    for low in range(0, N - 31, 32):
        inputs.fetch(rows[low : low + 32], out)
    assert len(reads) == 24
    assert sorted(set(reads)) == [34 * D * 4, 42 * D * 4]


def test_batches_in_the_files_order_read_each_block_once(small_blocks, reads):
    _, inputs = stored()
    reads.clear()
    out = np.empty((8, D), np.float32)
    for low in range(0, N, 8):
        inputs.fetch(slice(low, low + 8), out)
    assert len(reads) == 24


def test_rows_from_more_blocks_than_there_is_room_for(small_blocks):
    x, inputs = stored()
    rows, out = np.arange(N)[::-1], np.empty((N, D), np.float32)
    inputs.fetch(rows, out)
    np.testing.assert_array_equal(out, x[::-1])


@pytest.mark.parametrize(("value", "dtype"), [(np.nan, "f4"), (np.inf, "f8"), (-np.inf, "f2")])
def test_what_is_not_finite_is_found_before_training(small_blocks, value, dtype):
    x, _ = save(dtype=dtype)
    x[777, 3] = value
    np.save("X.npy", x)
    with pytest.raises(DataError, match=rf"X.npy: row 777, index \[3\] \(from 0\): got {value}"):
        read(Source(Path("X.npy"), Path("Y.npy")))


def test_number_too_large_for_float32_is_found_before_training(small_blocks, write_config):
    x, _ = save(dtype="f8")
    x[777, 3] = 1e300
    np.save("X.npy", x)
    with pytest.raises(DataError, match=r"X.npy: sample 778 holds 1e\+300, too large for float32"):
        open_session(config(write_config))


def test_x_and_y_of_different_lengths(small_blocks):
    save()
    np.save("Y.npy", np.zeros(N - 1, int))
    with pytest.raises(DataError, match="x has 1000 samples, y has 999"):
        read(Source(Path("X.npy"), Path("Y.npy")))


@pytest.mark.parametrize(
    "change", [lambda: save(n=N + 1), lambda: os.truncate("X.npy", 4000), lambda: Path("X.npy").unlink()]
)
def test_a_file_that_is_changed_while_it_is_in_use(small_blocks, change):
    _, inputs = stored()
    os.utime("X.npy", (0, 0))
    change()
    with pytest.raises(DataError, match=r"X.npy: (the file was changed while it was in use|cannot be read any more)"):
        inputs.fetch(slice(0, 10), np.empty((10, D), np.float32))


def test_fortran_order_and_small_files_are_read_whole(monkeypatch):
    x, _ = save()
    assert isinstance(read(Source(Path("X.npy"), Path("Y.npy"))).x, np.ndarray)
    monkeypatch.setattr(npz_file, "LARGE_BYTES", 0)
    np.save("X.npy", np.asfortranarray(x))
    assert isinstance(read(Source(Path("X.npy"), Path("Y.npy"))).x, np.ndarray)


# --- splits and scaling -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_order", [False, True])
def test_inputs_and_targets_of_a_part_belong_together(small_blocks, write_config, in_order):
    x, y = save()
    data = {"val": 0.2, "test": 0.1, "split": "in_order" if in_order else "shuffled"}
    seen = []
    for part in open_session(config(write_config, data=data)).datasets.parts.values():
        out = np.empty((len(part), D), np.float32)
        part.x.fetch(slice(0, len(part)), out)
        np.testing.assert_array_equal(out, x[out[:, 0].astype(int)])
        np.testing.assert_array_equal(part.y, y[out[:, 0].astype(int)])
        seen += out[:, 0].tolist()
    assert sorted(seen) == list(range(N))


@pytest.mark.parametrize("kind", ["standard", "minmax"])
def test_scaler_fitted_in_blocks_is_that_of_all_samples(kind):
    x = np.random.default_rng(0).normal(size=(500, 4)) * [1, 1e-3, 1e200, 0] + [1e6, 0, 0, 3]
    whole = scaling.fit(kind, x)
    blocks = scaling.fit_blocks(kind, np.array_split(x, 7), np.abs(x).max(axis=0))
    np.testing.assert_allclose((blocks.shift - whole.shift) / whole.scale, 0.0, atol=1e-9)
    np.testing.assert_allclose(blocks.scale, whole.scale, rtol=1e-9)


@pytest.mark.parametrize("dtype", ["f4", "f8", "u1"])
@pytest.mark.parametrize("scale", ["none", "standard", "minmax"])
def test_scaling_is_fitted_on_the_training_part_alone(small_blocks, write_config, dtype, scale):
    x, _ = save(dtype=dtype)
    parts = open_session(config(write_config, data={"val": 0.3, "split": "in_order", "scale": scale})).datasets.parts
    values = x / 255 if dtype == "u1" else x.astype(np.float64)
    fitted = scaling.fit(scale, values[:700])
    expected = fitted.apply(values) if fitted else values
    for part, own in ((parts["train"], expected[:700]), (parts["val"], expected[700:])):
        out = np.empty((len(part), D), np.float32)
        part.x.fetch(slice(0, len(part)), out)
        np.testing.assert_allclose(out, own, rtol=1e-5, atol=1e-5)


# --- training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f4", "f8", "u1"])
def test_training_in_the_files_order_equals_that_in_memory(write_config, monkeypatch, dtype, run_files):
    save(dtype=dtype)
    file = config(write_config, data={"val": 0.2, "split": "in_order", "scale": "minmax"}, training={"shuffle": False})
    in_memory = start_run(file, threads=1)
    monkeypatch.setattr(npz_file, "LARGE_BYTES", 0)
    monkeypatch.setattr(large, "BLOCK_BYTES", 1024)
    in_file = start_run(file, threads=2)
    assert run_files(in_file.folder).weights() == run_files(in_memory.folder).weights()
    assert in_file.last == in_memory.last


def test_equal_seeds_give_equal_weights_on_any_number_of_threads(small_blocks, write_config, run_files):
    save()
    file = config(write_config, training={"shards": 2, "batch_size": 100})
    runs = [run_files(start_run(file, threads=threads).folder).weights() for threads in (1, 2, 2)]
    assert runs[0] == runs[1] == runs[2]


def test_resume_in_the_middle_of_an_epoch_gives_the_same_bytes(small_blocks, write_config, run_files):
    save()
    file = config(write_config, data={"val": 0.2, "scale": "standard"})
    unbroken = start_run(file)
    session = open_session(file)
    whole, broken = session.start(), session.start()
    for _ in session.train(whole):
        pass
    steps = iter(range(45))  # of 25 in an epoch
    for _ in session.train(broken, lambda: next(steps, None) is None):
        pass
    assert (broken.epoch, broken.position) == (1, 46 - 25)
    again = open_session(file)
    restored = dataclasses.replace(broken, shuffle=again.start().shuffle)
    restored.shuffle.bit_generator.state = broken.shuffle.bit_generator.state
    for _ in again.train(restored):
        pass
    np.testing.assert_array_equal(restored.theta, whole.theta)
    assert run_files(unbroken.folder).weights()["dense_1.W"] == whole.theta[: 8 * D].tobytes()


def test_evaluating_and_predicting_read_the_file(small_blocks, write_config, ok, run_files):
    save()
    run = start_run(config(write_config, data={"test": 0.2}))
    assert "accuracy" in ok("eval", run.folder).out
    assert len(ok("predict", run.folder, "X.npy").out.splitlines()) == N + 1
    assert resume_run(run.folder) is None


# --- memory -----------------------------------------------------------------------------------------------------------

CHILD = """
import resource, sys
from pathlib import Path
import bpcli
bpcli.train(sys.argv[1], out=sys.argv[2], threads=1)
status = Path("/proc/self/status")
if status.exists():  # of this program alone: ru_maxrss starts from that of the process that called it
    print(next(int(line.split()[1]) // 1024 for line in status.open() if line.startswith("VmHWM")))
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def write_large(n: int, d: int, random_rows: int) -> None:
    """X.npy (n, d) float32, rows of chance over and over, and the sign of their first number in Y.npy."""
    x = np.random.default_rng(0).standard_normal((random_rows, d), dtype=np.float32)
    with Path("X.npy").open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (n, d)}
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(n // random_rows):
            file.write(x.data)
    np.save("Y.npy", np.tile((x[:, 0] > 0).astype(np.int64), n // random_rows))


def peak_megabytes(path: Path) -> int:
    """Of a process that trains this config."""
    done = subprocess.run([sys.executable, "-c", CHILD, path, "run"], capture_output=True, text=True, check=True)
    return int(done.stdout)


def large_config(write_config, d: int) -> Path:
    return write_config(
        {
            "data": {**CONFIG["data"], "val": 0.1, "scale": "standard"},
            "network": {"layers": [d, 16, 2], "activation": "relu"},
            "loss": "log_likelihood",
            "optimizer": "adam",
            "training": {"epochs": 1, "batch_size": 512},
        }
    )


def test_memory_is_less_than_the_file(write_config, monkeypatch):
    write_large(1 << 17, 640, 1 << 13)  # 320 MB
    try:
        assert peak_megabytes(large_config(write_config, 640)) < 300
    finally:
        Path("X.npy").unlink()


@pytest.mark.long
def test_memory_for_a_file_of_4_gb(write_config):
    write_large(1 << 22, 256, 1 << 14)
    try:
        assert peak_megabytes(large_config(write_config, 256)) <= 400
    finally:
        Path("X.npy").unlink()
