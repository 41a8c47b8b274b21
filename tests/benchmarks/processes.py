"""What a user feels: whole processes, one after the other, A B, A B, by the wall clock, and their peak memory.

A child's peak is what the kernel reports when it ends: resident pages, those of mapped files among them. On Linux that
is at least what its parent had resident when it started it, so the driver stays small: it imports neither NumPy nor
bpcli. A megabyte is 10^6 bytes.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import pty
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cases import ROOT, Options, StepCase, title_of
from benchmarks.steps import TESTS, duration, verdict

MB = 1e6
PYTHON = [sys.executable, "-c"]
SAME_ACCURACY = 0.003  # what the seeds alone make of it


@dataclass(frozen=True)
class Child:
    """A process that has ended: wall-clock seconds, peak memory in bytes, what it printed."""

    seconds: float
    peak: int
    out: str


@dataclass
class ProcessResult:
    """A row. ours, theirs: as text, for people. met: None where it is not judged. raw: every measured number."""

    name: str
    what: str
    ours: str
    theirs: str
    goal: str
    met: bool | None
    raw: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    failed: bool = False


class Workspace:
    """A folder for what the rows need, each made once, when the first row asks for it."""

    def __init__(self, folder: Path, options: Options) -> None:
        self.folder, self.options = folder, options

    @functools.cached_property
    def digits(self) -> Mapping[str, Any]:
        """`real`, whether MNIST is at hand, `files`, four IDX files, and `arrays`, the folder of x.npy and y.npy."""
        return child("digits", self.folder, 2048 if self.options.quick else 0)

    def step_data(self, case: StepCase) -> Path:
        """The folder where a worker finds its data; xor needs none."""
        return self.folder if case.kind == "xor" else Path(self.digits["arrays"])

    def empty(self, name: str) -> Path:
        """A new folder."""
        path = self.folder / name
        path.mkdir()
        return path


def run(command: Sequence[str | Path], folder: Path, *, terminal: bool = False) -> Child:
    """Runs it to its end in that folder. terminal: its stderr is one, so that progress bars are drawn.

    Raises:
        RuntimeError: it fails; with the last of what it had to say.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        master, slave = pty.openpty() if terminal else (None, None)
        started = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=err if slave is None else slave, cwd=folder
        )
        reader = None
        if master is not None and slave is not None:
            os.close(slave)
            reader = threading.Thread(target=_drain, args=(master,))
            reader.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        if reader is not None and master is not None:
            reader.join()
            os.close(master)
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))} failed: {err.read().decode().strip()[-500:]}")
        return Child(seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024), out.read().decode())


def _drain(master: int) -> None:
    """Reads what is written to the terminal, until nobody can write to it any more."""
    with contextlib.suppress(OSError):  # Linux says so by an error
        while os.read(master, 1 << 16):
            pass


def child(name: str, *arguments: object) -> dict[str, Any]:
    """What the task of that name in children.py prints."""
    command = [sys.executable, "-m", "benchmarks.children", name, *map(str, arguments)]
    return json.loads(run(command, TESTS).out)


def bpcli(*arguments: object) -> list[str]:
    """The command as it is installed beside this Python, or as a module."""
    script = Path(sys.executable).with_name("bpcli")
    return [*([str(script)] if script.exists() else [sys.executable, "-m", "bpcli"]), *map(str, arguments)]


def alternating(jobs: Mapping[str, Callable[[], Any]], rounds: int, *, warm_up: bool = False) -> dict[str, list[Any]]:
    """What each job gives, round by round: A B, A B, ... warm_up: a round before, which is not counted."""
    if warm_up:
        for job in jobs.values():
            job()
    results: dict[str, list[Any]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            results[name].append(job())
    return results


def median_seconds(children: Sequence[Child]) -> float:
    return statistics.median(one.seconds for one in children)


def megabytes(size: float) -> str:
    return f"{size / MB:.0f} MB" if size >= 10 * MB else f"{size / MB:.1f} MB"


def against_an_import(
    name: str, what: str, arguments: Sequence[object], module: str, most: float, at: Workspace
) -> ProcessResult:
    """A command of bpcli against a bare `python -c "import MODULE"`, which it may exceed `most` times."""
    goal = f"at most {most:g}x" if most > 1 else "less"
    folder = at.empty(name)
    jobs = {"bpcli": lambda: run(bpcli(*arguments), folder)}
    beside = f'`python -c "import {module}"`'
    present = module != "torch" or at.options.here("torch")
    if present:
        jobs[module] = lambda: run([*PYTHON, f"import {module}"], folder)
    children = alternating(jobs, at.options.rounds, warm_up=not at.options.quick)
    ours = median_seconds(children["bpcli"])
    raw = {tool: [one.seconds for one in found] for tool, found in children.items()}
    if not present:
        return ProcessResult(name, what, duration(ours), f"{beside}: {at.options.absent('torch')}", goal, None, raw)
    theirs = median_seconds(children[module])
    ratio = ours / theirs
    met = ratio <= most if most > 1 else ratio < 1
    return ProcessResult(name, what, f"{duration(ours)}, {ratio:.2f}x", f"{beside}: {duration(theirs)}", goal, met, raw)


def help_(what: str, at: Workspace) -> list[ProcessResult]:
    return [against_an_import("help", what, ["--help"], "typer", 1.5, at)]


def epochs_calc(what: str, at: Workspace) -> list[ProcessResult]:
    arguments = ["epochs-calc", "--n", 50000, "--batch", 256]
    return [against_an_import("epochs-calc", what, arguments, "typer", 1.5, at)]


def train_xor(what: str, at: Workspace) -> list[ProcessResult]:
    return [against_an_import("train-xor", what, ["train", ROOT / "configs" / "xor.yaml"], "torch", 1, at)]


def xor_epochs(what: str, at: Workspace) -> list[ProcessResult]:
    """(20,000 epochs - 1 epoch) of `bpcli train` against 20,000 steps of the engine with nothing around them."""
    epochs, folder = 200 if at.options.quick else 20_000, at.empty("xor-epochs")

    def train(epochs: int) -> float:
        overrides = ["--set", f"training.epochs={epochs}"]
        return run(bpcli("train", ROOT / "configs" / "xor.yaml", *overrides), folder, terminal=True).seconds

    jobs = {"long": lambda: train(epochs), "short": lambda: train(1), "bare": lambda: child("bare_xor", epochs)}
    found = alternating(jobs, at.options.rounds)
    ours = (statistics.median(found["long"]) - statistics.median(found["short"])) / (epochs - 1)
    bare = statistics.median(one["engine"] for one in found["bare"]) / epochs
    flat = statistics.median(one["flat"] for one in found["bare"]) / epochs
    theirs = f"the engine's bare step: {duration(bare)} (in flat NumPy: {duration(flat)})"
    met = ours <= 1.5 * bare
    return [
        ProcessResult("xor-epochs", what, f"{duration(ours)}, {ours / bare:.2f}x", theirs, "at most 1.5x", met, found)
    ]


def mnist_run(what: str, at: Workspace) -> list[ProcessResult]:
    """configs/mnist-128.yaml by `bpcli train`, and torch_mnist.py; both end with the test accuracy."""
    folder, epochs = at.empty("mnist-run"), 1 if at.options.quick else 10
    x, y, test_x, test_y = files = at.digits["files"]
    paths = {"data.train.x": x, "data.train.y": y, "data.test.x": test_x, "data.test.y": test_y}
    overrides = [f"{key}={value}" for key, value in {**paths, "training.epochs": epochs}.items()]
    command = bpcli(
        "train", ROOT / "configs" / "mnist-128.yaml", *(part for one in overrides for part in ("--set", one))
    )
    jobs = {"bpcli": lambda: run(command, folder)}
    if at.options.here("torch"):
        script = Path(__file__).with_name("torch_mnist.py")
        jobs["torch"] = lambda: run([sys.executable, script, str(epochs), *files], folder)
    found = alternating(jobs, at.options.few_rounds)
    accuracy = {"bpcli": json.loads((folder / "runs" / "mnist-128" / "summary.json").read_text())}
    accuracy["bpcli"] = accuracy["bpcli"]["last"]["test"]["accuracy"]
    ours, peak = median_seconds(found["bpcli"]), statistics.median(one.peak for one in found["bpcli"])
    met, theirs, note = None, f"a plain PyTorch script: {at.options.absent('torch')}", ""
    raw: dict[str, Any] = {tool: [one.seconds for one in children] for tool, children in found.items()}
    told = f"{duration(ours)}, accuracy {accuracy['bpcli']:.4f}"
    if "torch" in found:
        accuracy["torch"] = statistics.median(float(one.out) for one in found["torch"])
        seconds = median_seconds(found["torch"])
        told = f"{duration(ours)}, {ours / seconds:.2f}x, accuracy {accuracy['bpcli']:.4f}"
        theirs = f"a plain PyTorch script: {duration(seconds)}, accuracy {accuracy['torch']:.4f}"
        met = ours < seconds and accuracy["bpcli"] > accuracy["torch"] - SAME_ACCURACY
    if not at.digits["real"]:
        note = "on random data"
    peaks = {"bpcli": [one.peak for one in found["bpcli"]]}
    beside = f"PyTorch: {megabytes(statistics.median(one.peak for one in found['torch']))}" if "torch" in found else ""
    return [
        ProcessResult(
            "mnist-run", what.partition(";")[0], told, theirs, "faster", met, raw | {"accuracy": accuracy}, note
        ),
        ProcessResult(
            "mnist-memory", "its peak memory", megabytes(peak), beside, "at most 250 MB", peak <= 250 * MB, peaks, note
        ),
    ]


NPY_CONFIG = """\
name: npy
data: {train: {x: x.npy, y: y.npy}}
network: {layers: [256, 16, 2], activation: relu}
loss: log_likelihood
optimizer: {type: sgd, learning_rate: 0.01}
training: {epochs: 1, batch_size: 256}
"""


def npy(what: str, at: Workspace) -> list[ProcessResult]:
    """One epoch over a file of the size asked for and over one of a quarter of it."""
    most = 400 * MB
    goal = "at most 400 MB, at most 1.1x of what a quarter of the file takes"
    sizes, peaks, seconds = (at.options.npy_mb, at.options.npy_mb // 4), [], []
    for size in sizes:
        free = shutil.disk_usage(at.folder).free / MB
        if free < 1.2 * size:
            need = f"needs {1.2 * size:.0f} MB free in {at.folder.parent}, there are {free:.0f}; set TMPDIR or --npy-mb"
            return [ProcessResult("npy", what, need, "", goal, None)]
        folder = at.empty(f"npy-{size}")
        child("npy_pair", folder, size)
        (folder / "npy.yaml").write_text(NPY_CONFIG, encoding="utf-8")
        done = run(bpcli("train", "npy.yaml"), folder)
        peaks.append(done.peak)
        seconds.append(done.seconds)
        shutil.rmtree(folder)
    ours = f"{megabytes(peaks[0])}, {duration(seconds[0])} for {sizes[0]} MB"
    theirs = f"{megabytes(peaks[1])}, {duration(seconds[1])} for {sizes[1]} MB"
    met = peaks[0] <= most and peaks[0] <= 1.1 * peaks[1]
    return [ProcessResult("npy", what, ours, theirs, goal, met, {"mb": sizes, "peaks": peaks, "seconds": seconds})]


def csv(what: str, at: Workspace) -> list[ProcessResult]:
    """bpcli's reader and pandas' on the same file: the reading alone, without the imports."""
    path = at.folder / "numbers.csv"
    made = child("numeric_csv", path, at.options.csv_mb)
    jobs = {"bpcli": lambda: child("csv_by_bpcli", path)}
    if at.options.here("pandas"):
        jobs["pandas"] = lambda: child("csv_by_pandas", path)
    found = alternating(jobs, at.options.few_rounds)
    path.unlink()
    seconds = {tool: statistics.median(one["seconds"] for one in all_) for tool, all_ in found.items()}
    share = {
        tool: statistics.median(one["grown"] for one in all_) / made["array_bytes"] for tool, all_ in found.items()
    }
    ours, theirs, fast = duration(seconds["bpcli"]), at.options.absent("pandas"), None
    if "pandas" in found:
        ratio = seconds["bpcli"] / seconds["pandas"]
        fast, ours = ratio <= 3, f"{ours}, {ratio:.2f}x"
        theirs = duration(seconds["pandas"])
    beside = f"{share['pandas']:.1f}x the array" if "pandas" in found else ""
    return [
        ProcessResult(
            "csv-time", f"reading a numeric CSV of {made['bytes'] / MB:.0f} MB",
            ours, f"{title_of('pandas')}: {theirs}", "at most 3x", fast, found,
        ),
        ProcessResult(
            "csv-memory", f"its memory, the array being {megabytes(made['array_bytes'])}",
            f"{share['bpcli']:.1f}x the array", beside and f"pandas: {beside}", "at most 3x the array",
            share["bpcli"] <= 3, share,
        ),
    ]  # fmt: skip


def install(what: str, at: Workspace) -> list[ProcessResult]:
    """`pip install` of this tree into a new virtual environment: by how much its site-packages grow, as du counts."""
    home = at.folder / "environment"
    run([sys.executable, "-m", "venv", home], at.folder)
    python = home / "bin" / "python"
    where = run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], at.folder).out.strip()
    before = _size_on_disk(Path(where))
    run([python, "-m", "pip", "install", "--quiet", ROOT], at.folder)
    size = _size_on_disk(Path(where)) - before
    return [
        ProcessResult(
            "install", "installed size with its dependencies, without pip (du of a fresh site-packages)",
            megabytes(size), "", "at most 150 MB", size <= 150 * MB, {"bytes": size},
        )
    ]  # fmt: skip


def _size_on_disk(folder: Path) -> int:
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))


MEASURES: dict[str, Callable[[str, Workspace], list[ProcessResult]]] = {
    "help": help_,
    "epochs-calc": epochs_calc,
    "train-xor": train_xor,
    "xor-epochs": xor_epochs,
    "mnist-run": mnist_run,
    "npy": npy,
    "csv": csv,
    "install": install,
}


def process_text(result: ProcessResult) -> str:
    """A line or two for a person."""
    beside = f"  against {result.theirs}" if result.theirs else ""
    note = f" ({result.note})" if result.note else ""
    return f"{result.name}: {result.what}\n  {result.ours}{beside}\n  goal: {result.goal}: {verdict(result.met)}{note}"
