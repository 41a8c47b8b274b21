"""The fuzzers, for some seconds: random inputs by hypothesis, and the first ones of the long run."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bpcli.errors import ConfigError
from fuzz import readers
from fuzz.readers import READERS, Reader, tried, watch_the_time
from fuzz.tally import input_of, run


@pytest.fixture(autouse=True)
def _time_limit():
    before = signal.getsignal(signal.SIGVTALRM)
    watch_the_time()
    yield
    signal.signal(signal.SIGVTALRM, before)


@settings(derandomize=True, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@pytest.mark.parametrize("name", READERS)
@given(random=st.randoms(use_true_random=False))
def test_only_documented_errors_leave_for_an_input_made_like_its_format(tmp_path_factory, name, random):
    outcome = tried(READERS[name], tmp_path_factory.getbasetemp(), READERS[name].mutated(random))
    assert not outcome.escape


@settings(derandomize=True, max_examples=100)
@pytest.mark.parametrize("name", READERS)
@given(content=st.binary(max_size=100))
def test_only_documented_errors_leave_for_any_bytes(tmp_path_factory, name, content):
    assert not tried(READERS[name], tmp_path_factory.getbasetemp(), content).escape


@pytest.mark.parametrize("name", READERS)
def test_the_first_inputs_of_the_long_run(name):
    tally = run(name, seed="1", count=400)
    assert tally.escapes == []
    assert tally.counts.total() == 400
    assert tally.counts["accepted"] >= 4  # an input that is never accepted shows little
    assert tally.counts["refused"] >= 40
    assert tally.grown < 64 << 20


@pytest.mark.parametrize("name", READERS)
def test_an_input_is_identified_by_its_number(name):
    first, again, other = (input_of(READERS[name], "1", number) for number in (7, 7, 8))
    assert first == again != other


@pytest.mark.long
@pytest.mark.parametrize("name", READERS)
def test_nothing_escapes_from_inputs_led_by_coverage(name):
    pytest.importorskip("atheris", reason="pip install '.[fuzz]'")
    command = [sys.executable, "-m", "fuzz.guided", name, "-runs=20000", "-max_len=8192"]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def endless(path: Path, content: bytes) -> None:
    while True:
        pass


def raises(error: Exception) -> Reader:
    def read(path: Path, content: bytes) -> None:
        raise error

    return Reader("file.txt", lambda rng: b"", read)


def test_escapes_are_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "MOST_SECONDS", 0.1)
    place = f"{tmp_path}/file.txt"
    for reader, told in (
        (Reader("file.txt", lambda rng: b"", endless), "TooSlow: more than 0.1 seconds"),
        (raises(KeyError("x")), "KeyError: 'x'"),
        (raises(ConfigError([f"{place}: a\x1b[2J"])), "cannot be printed"),
        (raises(ConfigError(["wrong"])), "does not begin with the file's name"),
        (raises(ConfigError([f"{place}: {'x' * 3000}"])), "a message of"),
    ):
        outcome = tried(reader, tmp_path, b"")
        assert outcome.kind == "escaped"
        assert told in outcome.escape
    assert tried(raises(ConfigError([f"{place}: all is well"])), tmp_path, b"").kind == "refused"
