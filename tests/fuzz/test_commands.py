"""Bad input as a user meets it: whole commands, their exit codes, their messages, time and memory."""

from __future__ import annotations

import gzip
import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bpcli.data.read import read
from bpcli.data.types import Source

CONFIG = {
    "data": {"train": "a.csv"},
    "network": {"layers": [2, 3, 1]},
    "training": {"epochs": 1},
    "output": {"dir": "runs"},
}
GOOD = "x1,x2,y\n0,1,0\n1,0,1\n1,1,0\n"


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (GOOD.replace("1,0,1", "nan,0,1"), 'a.csv:3: column "x1"'),
        (GOOD.replace("1,0,1", "1,inf,1"), 'a.csv:3: column "x2"'),
        (GOOD.replace("1,0,1", "1,0,nan"), 'a.csv:3: column "y"'),
        (GOOD.replace("1,0,1", "1,,1"), 'a.csv:3: column "x2"'),
        (GOOD.replace("1,0,1", "1,red,1"), 'a.csv:3: column "x2"'),
        (GOOD.replace("1,0,1", '1,"1,5",1'), 'a.csv:3: column "x2"'),
        (GOOD.replace("1,0,1", "1_000,0,1"), 'a.csv:3: column "x1"'),
        (GOOD.replace("1,0,1", "#1,0,1"), 'a.csv:3: column "x1"'),
        (GOOD.replace("1,0,1", "1,0"), "a.csv:3: got 2 cells"),
        (GOOD.replace("1,0,1", "1,0,1,1"), "a.csv:3: got 4 cells"),
        (GOOD.replace("1,0,1", '1,"0,1'), "a.csv:3: a quote opens here"),
        (GOOD.replace("1,0,1", "1,0\0,1"), "a.csv:3: holds a NUL byte"),
        (GOOD.replace("1,0,1", "1,0,ä").encode("latin-1"), "a.csv:3: not UTF-8"),
        ("x1,x2,y\n", "a.csv: no rows of data under the header"),
        ("", "a.csv: the file is empty"),
        (GOOD.replace("1,0,1", "1,0,0"), "a.csv: the target has one class only"),
        ("x1,x2,y\n0,1,0\n", "a.csv: the target has one class only"),  # one row
        ("x1,x2\n0,1\n1,0\n", None),  # a column less than the network has inputs is the config's fault
    ],
)
def test_a_table_that_cannot_be_used_ends_before_anything_is_written(cli, write_config, content, place):
    Path("a.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    loss = {"loss": "log_likelihood"}
    result = cli("train", write_config({**CONFIG, **loss}))
    assert result.code == (2 if place is None else 3)
    assert "Traceback" not in result.err
    assert place is None or place in result.err
    assert not Path("runs").exists()


def test_a_class_unseen_in_training_names_file_and_row(cli, write_config):
    Path("a.csv").write_text(GOOD)
    Path("t.csv").write_text("x1,x2,y\n0,1,0\n1,0,2\n")
    data = {"train": "a.csv", "test": "t.csv"}
    result = cli("train", write_config({**CONFIG, "data": data, "loss": "log_likelihood"}))
    assert result.code == 3
    assert 't.csv: sample 2 has the class "2"' in result.err


def test_one_row_is_enough_for_a_regression(cli, write_config):
    Path("a.csv").write_text("x1,x2,y\n0,1,0.5\n")
    assert cli("train", write_config({**CONFIG, "loss": "mse"})).code == 0


WAYS = [*itertools.product(["", "\ufeff"], ["\n", "\r\n", "\r"], ["", '"'], ",;\t", [False, True], [False, True])]


@pytest.mark.parametrize(("mark", "end", "quote", "separator", "last_end", "packed"), WAYS, ids=map(ascii, WAYS))
def test_every_way_to_write_a_table_gives_the_same_array(tmp_path, mark, end, quote, separator, last_end, packed):
    rows = [["x1", "x2", "label"], ["1", "-2.5e-3", "red"], ["3", "4", "dark blue"]]
    text = mark + end.join(separator.join(f"{quote}{cell}{quote}" for cell in row) for row in rows) + end * last_end
    path = tmp_path / ("a.csv.gz" if packed else "a.csv")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    data = read(Source(path))
    np.testing.assert_array_equal(data.x, [[1, -2.5e-3], [3, 4]])
    assert data.y.tolist() == ["red", "dark blue"]
    assert data.feature_names == ("x1", "x2")


BOMBS = {
    "nesting of 10^6": b"a: " + b"[" * 10**6,
    "10 MB": b"a: " + b"x" * 10**7,
    "billion laughs": b"a: &a [x]\n" + b"".join(b"%c: &%c [*a, *a]\n" % (c, c) for c in b"bcdefgh"),
    "number of 5,000 digits": b"seed: " + b"9" * 5000,
    "name of 10^5 letters": b"optimizer: " + b"x" * 10**5,
    "not UTF-8": b"name: \xff\n" * 10_000,
    "20,000 unknown keys": b"".join(b"k%d: 1\n" % k for k in range(20_000)),
    "20,000 unknown metrics": b"metrics: [" + b"a," * 20_000 + b"]\n",
    "90,000 keys": b"".join(b"k%d: 1\n" % k for k in range(90_000)),
}


# The kernel's ru_maxrss of a child begins with what its parent had; VmHWM is the child's own.
PROBE = """
import sys
from pathlib import Path
from bpcli.cli.main import main
try:
    main()
finally:
    Path("peak").write_text(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


def refused(path: Path) -> tuple[int, float, int, str]:
    """Exit code, CPU seconds, bytes at the peak and messages of `bpcli validate` in a process of its own."""
    command = [sys.executable, "-c", PROBE, "validate", str(path)]
    with Path("err").open("wb") as err:
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=err)
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    peak = int(Path("peak").read_text()) * 1024
    return child.returncode, usage.ru_utime + usage.ru_stime, peak, Path("err").read_text()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_bomb_as_a_config_is_refused_by_the_whole_command(record_property):
    """A second at most beyond what the refusal of an empty file takes, and 200 MB with all that is imported."""
    Path("empty.yaml").touch()
    code, start, _, _ = refused(Path("empty.yaml"))
    assert code == 2
    for name, content in BOMBS.items():
        Path("bomb.yaml").write_bytes(content)
        code, seconds, memory, text = refused(Path("bomb.yaml"))
        record_property(name, (seconds - start, memory >> 20))
        assert code == 2, name
        assert "bomb.yaml" in text, name
        assert "Traceback" not in text, name
        assert len(text) < 20_000, name
        assert seconds - start < 1.0, name
        assert memory < 200_000_000, name
