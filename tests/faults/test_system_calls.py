"""A fault at each system call with which a run is saved, and the order of these calls."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import rig
from calls import Call, read_calls
from small_run import write_config

FAULTS = {"SIGKILL": "signal=KILL", "ENOSPC": "error=ENOSPC", "EIO": "error=EIO"}
RENAMES = ("rename", "renameat", "renameat2")
LENGTHS = {"train": (0, 1), "resume": (1, 2)}  # epochs before and after: the calls of one save


@pytest.fixture(autouse=True)
def _strace() -> None:
    rig.needs_strace()


@pytest.fixture
def scene() -> Callable[..., rig.Ended]:
    """`scene("resume", folder, log, options)`: a short run, new or gone on with, under strace."""
    config = write_config(training__epochs=2)

    def call(kind: str, folder: Path, log: Path, options: tuple[str, ...] = ()) -> rig.Ended:
        before, after = LENGTHS[kind]
        settings = ("--set", f"training.epochs={after}")
        if kind == "train":
            return rig.traced("train", config, "--out", folder, *settings, log=log, options=options)
        begun = folder.parent / "begun"  # beside it, for the path of the data is relative
        if not begun.exists():
            rig.run_ok("train", config, "--out", begun, "--set", f"training.epochs={before}")
        shutil.copytree(begun, folder)
        return rig.traced("resume", folder, *settings, log=log, options=options)

    return call


def of_each_kind(calls: list[Call]) -> list[Call]:
    """The last call of each kind."""
    return list({call.kind: call for call in calls}.values())


@pytest.mark.parametrize(
    "choose",
    [
        pytest.param(lambda calls: of_each_kind(calls)[::3], id="some"),
        pytest.param(lambda calls: calls, id="every", marks=pytest.mark.faults),
    ],
)
@pytest.mark.parametrize("kind", LENGTHS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_a_call_loses_nothing(fault: str, kind: str, choose, scene, figure) -> None:
    folder, log = Path("run").absolute(), Path("log.txt").absolute()
    whole_folder = Path("whole").absolute()
    assert scene(kind, whole_folder, log).code == 0
    calls = read_calls(log, whole_folder)
    config, settings = Path("config.yaml").absolute(), ("--set", f"training.epochs={LENGTHS[kind][1]}")
    whole = rig.outcome(whole_folder)
    points = choose(calls)
    wrong, ends = [], dict.fromkeys((-9, 0, 2, 4, 6), 0)
    for call in points:
        path = call.at.replace(str(whole_folder), str(folder), 1)
        inject = ("-P", path, "-e", f"inject={call.name}:{FAULTS[fault]}:when={call.number}")
        stopped = scene(kind, folder, log, inject)
        trouble = rig.faults_of(folder, config, whole, stopped, *settings)
        if stopped.code not in ends:
            trouble.append(f"exit code {stopped.code}: {stopped.err}")
        elif fault == "SIGKILL" and stopped.code != -9:
            trouble.append("was not killed")
        elif fault != "SIGKILL" and "INJECTED" not in log.read_text(errors="replace"):
            trouble.append("no fault came")
        ends[stopped.code] = ends.get(stopped.code, 0) + 1
        wrong += [f"{call.text[:200]}: {text}" for text in trouble]
        shutil.rmtree(folder)
    told = ", ".join(f"exit {code}: {count}" for code, count in sorted(ends.items()) if count)
    what = f"{fault} at a system call of `{kind}`"
    figure("2", what, f"{len(points) - len(wrong)} / {len(points)} points ({told})")
    assert wrong == []


def test_a_call_is_read_where_another_thread_comes_in_between() -> None:
    Path("log.txt").write_text(
        '7 renameat(4</r>, ".a.tmp", 4</r>, "a") = 0\n7 fsync(4</r> <unfinished ...>\n9 +++ exited with 0 +++\n'
        "7 <... fsync resumed>) = 0\n7 close(4</r>) = 0\n"
    )
    calls = read_calls(Path("log.txt"), Path("/r"))
    assert [(call.name, call.at, call.paths) for call in calls] == [
        ("renameat", "/r", ("/r/.a.tmp", "/r/a")),
        ("fsync", "/r", ("/r",)),
        ("close", "/r", ("/r",)),
    ]


@pytest.mark.parametrize("kind", LENGTHS)
def test_the_order_of_calls_survives_a_power_cut(kind: str, scene, figure) -> None:
    """Each file: temporary, written, fsync, rename, fsync of the folder; each new folder: fsync of the one above it."""
    folder, log = Path("above/run").absolute(), Path("log.txt").absolute()
    folder.parent.mkdir()
    assert scene(kind, folder, log).code == 0
    calls = read_calls(log, folder.parent)
    files = renamed = 0
    for place, call in enumerate(calls):
        after = calls[place + 1 :]
        if call.name in ("mkdir", "mkdirat"):
            assert _index(after, "fsync", str(Path(call.paths[0]).parent)) is not None, call.text
        if call.name in RENAMES:
            old, new = call.paths
            synced = _index(after, "fsync", str(Path(new).parent))
            assert synced is not None, call.text
            assert not [other for other in after[:synced] if new in other.paths and other.name in RENAMES]
            renamed += 1
            if old.endswith(".tmp"):
                before = [other for other in calls[:place] if old in other.paths]
                last_write = max(index for index, other in enumerate(before) if other.name == "write")
                assert [other.name for other in before[last_write + 1 :]] == ["fsync", "close"], call.text
                files += 1
        if call.name == "write":
            assert call.paths[0].endswith((".tmp", "loss.csv")), call.text  # nothing is written in place but rows
        if call.name == "write" and call.paths[0].endswith("loss.csv"):
            synced = _index(after, "fsync", call.paths[0])
            saved = min((place for name in RENAMES if (place := _index(after, name, None)) is not None), default=None)
            assert synced is not None
            assert saved is None or synced < saved  # no checkpoint is ahead of its rows
    assert files >= 4
    figure("4", f"order of the calls of `{kind}`", f"{files} files written, {renamed} renames, each in order")


def _index(calls: list[Call], name: str, path: str | None) -> int | None:
    found = [place for place, call in enumerate(calls) if call.name == name and (path is None or path in call.paths)]
    return found[0] if found else None


@pytest.mark.parametrize("number", ["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def test_a_file_system_without_locks_is_worked_on(number: str, config: Path, whole: rig.Outcome, figure) -> None:
    inject = ("-e", f"inject=flock:error={number}")
    result = rig.traced("train", config, "--out", "run", log=Path("log.txt"), options=inject)
    assert result.code == 0, result.err
    assert result.err.count("warning: run: the file system has no locks. Going on without") == 1
    assert rig.outcome(Path("run")) == whole
    figure("29", f"flock gives {number}", "trained, told of the lost guarantee")


@pytest.mark.parametrize("number", ["EINVAL", "EOPNOTSUPP"])
def test_a_file_system_that_cannot_flush_folders_is_worked_on(
    number: str, config: Path, whole: rig.Outcome, figure
) -> None:
    folders = [Path(name).absolute() for name in ("runs/run/checkpoints", "runs/run", "runs", ".")]
    paths = [part for folder in folders for part in ("-P", str(folder))]
    inject = (*paths, "-e", f"inject=fsync:error={number}")
    result = rig.traced("train", config, log=Path("log.txt"), options=inject)
    assert result.code == 0, result.err
    assert result.err.count("warning: runs/run: the file system cannot flush a folder to the disk") == 1
    assert rig.outcome(Path("runs/run")) == whole
    figure("29", f"fsync of a folder gives {number}", "trained, told of the lost guarantee")
