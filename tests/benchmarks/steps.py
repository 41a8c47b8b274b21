"""The training steps: a worker process for each tool, asked in turns, so that only one works at a time.

What else happens on the machine then slows all of them alike, and their ratios stay: turn k of one tool is compared
with turn k of another.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.cases import Options, StepCase, title_of

TESTS = Path(__file__).resolve().parents[1]
PAUSE = 0.05  # seconds between two turns: threads that wait by spinning have given up by then


@dataclass
class StepResult:
    """Seconds per step, one number for each round, by tool; and why a tool has none."""

    case: StepCase
    judged: bool
    turns: dict[str, list[float]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)

    def median(self, tool: str) -> float:
        return statistics.median(self.turns[tool])

    def ratio(self, peer: str) -> float:
        """How many times as long as bpcli it takes, by the medians."""
        return self.median(peer) / self.median("bpcli")

    def paired_ratio(self, peer: str) -> float:
        """The median over the rounds of that round's ratio."""
        pairs = zip(self.turns[peer], self.turns["bpcli"], strict=True)
        return statistics.median(theirs / ours for theirs, ours in pairs)

    @property
    def best_peer(self) -> str | None:
        """The fastest one that took part."""
        peers = [tool for tool in self.turns if tool != "bpcli"]
        return min(peers, key=self.median, default=None)

    @property
    def met(self) -> bool | None:
        """Whether the goal is met, as far as the peers that took part can tell; None where they cannot."""
        best, of_torch = self.best_peer, self.case.ahead_of_torch
        if best is None or not self.judged:
            return None
        if self.ratio(best) < self.case.ahead:
            return False
        if of_torch and "torch" in self.turns and self.ratio("torch") < of_torch:
            return False
        return None if self.absent else True


class Worker:
    """One tool in a process of its own, with its own default threads."""

    def __init__(self, tool: str, case: StepCase, data: Path) -> None:
        command = [sys.executable, "-m", "benchmarks.worker", tool, case.name, str(data)]
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  closed in __exit__
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True, cwd=TESTS
        )

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        self.process.kill()
        self.process.communicate()
        self.errors.close()

    def read(self) -> dict[str, float]:
        """Its next answer.

        Raises:
            RuntimeError: it has ended; with the last of what it had to say.
        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            self.errors.seek(0)
            raise RuntimeError(f"ended with {self.process.returncode}: {self.errors.read().strip()[-500:]}")
        return json.loads(line)

    def turn(self, seconds: float) -> float:
        """Lets it train for about that long; gives the seconds per step."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        answer = self.read()
        return answer["seconds"] / answer["steps"]


def measure_steps(case: StepCase, options: Options, data: Path) -> StepResult:
    """Every tool's turns, round by round: A B C, A B C, ... The first round, which warms up, is not counted."""
    result = StepResult(case, judged=not options.quick)
    with ExitStack() as running:
        workers: dict[str, Worker] = {}
        for tool in ("bpcli", *case.peers):
            if tool != "bpcli" and not options.here(tool):
                result.absent[tool] = options.absent(tool)
                continue
            worker = running.enter_context(Worker(tool, case, data))
            try:
                worker.read()  # it is ready
            except RuntimeError as error:
                if tool == "bpcli":
                    raise
                result.absent[tool] = str(error)
                continue
            workers[tool] = worker
            result.turns[tool] = []
        for number in range(options.rounds + 1):
            for tool, worker in workers.items():
                seconds = worker.turn(options.seconds)
                if number:
                    result.turns[tool].append(seconds)
                time.sleep(PAUSE)
    return result


def step_text(result: StepResult) -> str:
    """A few lines for a person."""
    case = result.case
    lines = [f"{case.name}: {case.what}"]
    for tool in ("bpcli", *case.peers):
        if tool in result.absent:
            lines.append(f"  {title_of(tool):13} {result.absent[tool]}")
            continue
        low, high = quartiles(result.turns[tool])
        line = f"  {title_of(tool):13} {duration(result.median(tool)):>9}  ({duration(low)} to {duration(high)})"
        if tool != "bpcli":
            line += f"  {result.ratio(tool):.2f}x, paired {result.paired_ratio(tool):.2f}x"
        lines.append(line)
    return "\n".join([*lines, f"  goal: {case.goal}: {verdict(result.met)}"])


def quartiles(values: list[float]) -> tuple[float, float]:
    """The lower and the upper one: half of the turns lie between."""
    if len(values) < 2:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def duration(seconds: float) -> str:
    """With three digits, in the unit that suits: `14.5 us`."""
    for unit, factor in (("us", 1e6), ("ms", 1e3)):
        if seconds * factor < 1000:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds:.3g} s"


def verdict(met: bool | None) -> str:
    """In a word or two."""
    return {True: "met", False: "missed", None: "not judged"}[met]
