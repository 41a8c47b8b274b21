"""What resume proposes for a run that has ended would act, and what would not act is not applied."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

ENDS = {
    "epochs": ["training.epochs=8"],
    "early_stopping": ["training.early_stopping={monitor: train_loss, patience: 60, min_delta: 10}"],
    "goal": ["training.goal=10"],
    "min_change": ["training.min_change=1000"],
    "max_seconds": ["training.max_seconds=0.001"],
}


def epochs_of(run: str) -> int:
    return json.loads((Path(run) / "summary.json").read_text(encoding="utf-8"))["epochs"]


@pytest.fixture
def ended(ok, configs):
    """Trains xor with overrides in runs/xor; gives the epochs that it took."""

    def train(*overrides: str) -> int:
        settings = [part for text in ("training.epochs=500", *overrides) for part in ("--set", text)]
        ok("train", configs / "xor.yaml", *settings, "--quiet")
        return epochs_of("runs/xor")

    return train


def proposed(ok) -> list[str]:
    """The arguments of the command that resume proposes."""
    text = ok("resume", "runs/xor").err
    return shlex.split(text[text.index("To go on: bpcli ") :].removeprefix("To go on: bpcli "))


@pytest.mark.parametrize("stop", ENDS)
def test_the_command_that_is_proposed_trains_on(ended, ok, stop):
    before = ended(*ENDS[stop])
    ok(*proposed(ok), "--quiet")
    assert epochs_of("runs/xor") > before + 1


def test_a_patience_is_doubled_each_time(ended, ok):
    ended(*ENDS["early_stopping"])
    for patience in (120, 240):
        arguments = proposed(ok)
        assert arguments[-1] == f"training.early_stopping.patience={patience}"
        ok(*arguments, "--quiet")
        assert epochs_of("runs/xor") == 1 + patience


def test_an_end_at_the_last_epoch_proposes_more_epochs_too(ended, ok):
    before = ended("training.epochs=61", *ENDS["early_stopping"])
    assert before == 61
    ok(*proposed(ok), "--quiet")
    assert epochs_of("runs/xor") > before + 1


@pytest.mark.parametrize(
    ("stop", "change"),
    [
        ("early_stopping", "training.early_stopping.patience=50"),
        ("goal", "training.goal=20"),
        ("min_change", "training.min_change=2000"),
        ("max_seconds", "training.max_seconds=0.0001"),
    ],
)
def test_a_limit_that_comes_even_earlier_is_not_applied(ended, ok, stop, change):
    before = ended(*ENDS[stop])
    result = ok("resume", "runs/xor", "--set", change)
    assert f"not applied: {change.partition('=')[0]}" in result.err
    assert epochs_of("runs/xor") == before
