"""The machine, and the tables for the README."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.cases import PEERS, Options, title_of, version_of
from benchmarks.processes import ProcessResult
from benchmarks.steps import StepResult, duration, quartiles, verdict

COLUMNS = ("torch", "sklearn", "jax")


def machine() -> dict[str, Any]:
    """What the figures hold for: date, processor, versions, and how busy the machine was before."""
    versions = {"Python": platform.python_version()}
    versions |= {name: importlib.metadata.version(name) for name in ("bpcli", "numpy")}
    versions |= {title_of(peer): found for peer in PEERS if (found := version_of(peer))}
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 2),
        "versions": versions,
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "an unknown processor"


def machine_text(found: dict[str, Any]) -> str:
    """One line."""
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return (
        f"{found['date']}, {found['cpu']}, {found['cores']} cores, {found['system']}; {versions}; load {found['load']}"
    )


def markdown(
    steps: Sequence[StepResult], processes: Sequence[ProcessResult], found: dict[str, Any], options: Options
) -> str:
    """The tables, with how to read them."""
    parts = [f"`python tests/benchmarks --markdown` on {machine_text(found)}."]
    if steps:
        parts.append(
            f"Time per training step, float32, sgd, everything in it: the median of {options.rounds} turns of each "
            "tool, in brackets the quartiles, then how many times bpcli's it is, by the medians / by the median of the "
            "rounds' ratios."
        )
        parts.append(
            _table(["case", "bpcli", *map(title_of, COLUMNS), "goal", ""], [_step_cells(one) for one in steps])
        )
    if processes:
        parts.append("Whole processes: medians of the wall clock, peak resident memory; a MB is 10^6 bytes.")
        cells = [[one.what, one.ours, one.theirs, one.goal, _process_verdict(one)] for one in processes]
        parts.append(_table(["what", "bpcli", "beside it", "goal", ""], cells))
    return "\n\n".join(parts)


def _step_cells(result: StepResult) -> list[str]:
    case = result.case
    cells = [f"{case.name}: {case.what}", _time(result, "bpcli")]
    for peer in COLUMNS:
        if peer not in case.peers:
            cells.append("none")
        elif peer in result.absent:
            cells.append(result.absent[peer])
        else:
            cells.append(f"{_time(result, peer)} {result.ratio(peer):.2f}x / {result.paired_ratio(peer):.2f}x")
    return [*cells, case.goal, verdict(result.met)]


def _time(result: StepResult, tool: str) -> str:
    low, high = quartiles(result.turns[tool])
    return f"{duration(result.median(tool))} ({duration(low)} to {duration(high)})"


def _process_verdict(result: ProcessResult) -> str:
    return verdict(result.met) + (f", {result.note}" if result.note else "")


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
