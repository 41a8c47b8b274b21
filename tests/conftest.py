"""What the tests of commands and runs share: a way to call bpcli in this process and in one of its own."""

from __future__ import annotations

import csv
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import settings

# what is found must not hang on how busy the machine is
settings.register_profile("bpcli", deadline=None)
settings.load_profile("bpcli")

ROOT = Path(__file__).parents[1]


def pytest_configure() -> None:
    """Has the processes of the tests start with default signals, whatever pytest itself was started with.

    What a process ignores, as under `nohup` or in the background of a script, it leaves to those that it starts; a
    handler it does not. So signals that end pytest are given one that does nothing: pytest goes on ignoring them.
    """
    instead = {
        "SIGINT": signal.default_int_handler,
        "SIGTERM": lambda number, frame: None,
        "SIGHUP": lambda number, frame: None,
        "SIGCHLD": signal.SIG_DFL,
    }
    for name, handler in instead.items():
        number = getattr(signal, name, None)  # Windows has two of them
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [getattr(signal, name) for name in instead])


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class RunFiles:
    """A run folder as a user sees it."""

    path: Path

    @property
    def config(self) -> dict:
        return yaml.safe_load((self.path / "config.yaml").read_text(encoding="utf-8"))

    @property
    def best(self) -> Path:
        return self.path / "checkpoints" / "best.npz"

    @property
    def last(self) -> Path:
        return self.path / "checkpoints" / "last.npz"

    def log(self) -> list[list[str]]:
        """The rows of loss.csv, header first, without the seconds."""
        with (self.path / "loss.csv").open(newline="") as file:
            return [row[:-1] for row in csv.reader(file)]

    def epochs(self) -> list[int]:
        """The epochs that loss.csv has rows for."""
        return [int(row[0]) for row in self.log()[1:]]

    def names(self) -> set[str]:
        """Everything in the folder, but for files that start with a dot."""
        found = (path.relative_to(self.path) for path in self.path.rglob("*"))
        return {path.as_posix() for path in found if not path.name.startswith(".")}

    def weights(self, name: str = "last") -> dict[str, bytes]:
        """Every array of a checkpoint but its metadata, as bytes."""
        with np.load(self.path / "checkpoints" / f"{name}.npz") as arrays:
            return {key: arrays[key].tobytes() for key in arrays.files if key not in ("meta", "sha256")}

    def sha256(self, name: str = "best.npz") -> str:
        return hashlib.sha256((self.path / "checkpoints" / name).read_bytes()).hexdigest()


def environment(**changes: str | None) -> dict[str, str]:
    """This process's environment with changes; None takes a variable out."""
    merged: dict[str, str | None] = {**os.environ, **changes}
    return {name: value for name, value in merged.items() if value is not None}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in a folder of its own, so that runs/ is its own too."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """`cli("train", path)`: bpcli in this process, exit code and all."""
    from bpcli.cli.main import main

    def call(*arguments: object) -> Result:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["bpcli", *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        code = left.value.code
        return Result(code if isinstance(code, int) else int(code is not None), out, err)

    return call


@pytest.fixture
def ok(cli: Callable[..., Result]) -> Callable[..., Result]:
    """The same, for commands that must end with 0."""

    def call(*arguments: object) -> Result:
        result = cli(*arguments)
        assert result.code == 0, result.err
        return result

    return call


@pytest.fixture
def process() -> Callable[..., Result]:
    """`process("train", path, env={...})`: bpcli in a process of its own."""

    def call(*arguments: object, env: Mapping[str, str | None] | None = None, **options: object) -> Result:
        done = subprocess.run(
            command(arguments),
            env=environment(**(env or {})),
            stdout=options.pop("stdout", subprocess.PIPE),
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
            **options,
        )
        return Result(done.returncode, (done.stdout or b"").decode(), done.stderr.decode())

    return call


@pytest.fixture
def start() -> Callable[..., subprocess.Popen]:
    """Starts bpcli in a process of its own, and sees to it that none outlives its test."""
    running: list[subprocess.Popen] = []

    def call(*arguments: object, **options: object) -> subprocess.Popen:
        options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options}
        child = subprocess.Popen(command(arguments), **options)
        running.append(child)
        return child

    yield call
    for child in running:
        if child.poll() is None:
            child.kill()
        child.communicate()


def command(arguments: Sequence[object]) -> list[str]:
    return [sys.executable, "-m", "bpcli", *map(str, arguments)]


@pytest.fixture
def run_files() -> type[RunFiles]:
    return RunFiles


@pytest.fixture
def configs() -> Path:
    """The example configs."""
    return ROOT / "configs"


@pytest.fixture
def datasets() -> Path:
    """The example data."""
    return ROOT / "datasets"


@pytest.fixture
def write_config() -> Callable[..., Path]:
    """`write_config(CONFIG, key=value)`: a dictionary as a YAML file, with its top-level keys changed."""

    def write(values: Mapping[str, object], path: str | Path = "config.yaml", **changes: object) -> Path:
        merged = {key: value for key, value in {**values, **changes}.items() if value is not None}
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(merged, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return path

    return write


@pytest.fixture(scope="session")
def mnist() -> list[str]:
    """The overrides that say where the MNIST files are: BPCLI_MNIST, or ../shared/datasets/mnist."""
    folder = Path(os.environ.get("BPCLI_MNIST", ROOT.parent / "shared" / "datasets" / "mnist"))
    files = {
        "data.train.x": folder / "train-images-idx3-ubyte.gz",
        "data.train.y": folder / "train-labels-idx1-ubyte.gz",
        "data.test.x": folder / "t10k-images-idx3-ubyte.gz",
        "data.test.y": folder / "t10k-labels-idx1-ubyte.gz",
    }
    missing = [str(path) for path in files.values() if not path.exists()]
    if missing:
        pytest.skip(f"the MNIST files are not there: {missing[0]}; say where they are with BPCLI_MNIST")
    return [part for key, path in files.items() for part in ("--set", f"{key}={path.absolute()}")]
