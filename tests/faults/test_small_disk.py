"""The disk fills up in the middle of a run: exit code 6, and once there is room again the run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import rig
from small_run import write_config


@pytest.mark.parametrize("sizes", [range(80, 400, 80), pytest.param(range(8, 408, 8), marks=pytest.mark.faults)])
def test_a_disk_that_fills_up_loses_nothing(sizes: range, figure) -> None:
    """Sizes in KiB, from too small for the config to enough for all; every checkpoint is kept, so that it grows."""
    config = write_config(output__keep=12)
    rig.run_ok("train", config, "--out", "whole")
    whole = rig.outcome(Path("whole"))
    wrong, full = [], 0
    for size in sizes:
        with rig.small_disk(Path("disk").absolute(), size) as disk:
            stopped = rig.run("train", config, "--out", disk / "run")
            if stopped.code not in (0, 6):
                wrong.append(f"{size}k: exit code {stopped.code}: {stopped.err}")
            full += stopped.code == 6
            rig.mount("-o", "remount,size=4m", str(disk))
            wrong += [f"{size}k: {text}" for text in rig.faults_of(disk / "run", config, whole, stopped)]
    figure("3", "the disk fills during the run", f"{len(sizes)} sizes, {full} too small, {len(wrong)} with a loss")
    assert wrong == []
    assert full > 0
