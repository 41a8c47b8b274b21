"""A process that trains with one tool when it is asked to: `python -m benchmarks.worker TOOL CASE FOLDER`.

It reads a line with the seconds that a turn is to last, and answers with a line of JSON, {"steps": ..., "seconds":
...}. The first answer comes unasked, once the data is there. The first turn also warms up.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from benchmarks.cases import STEPS
from benchmarks.peers import TOOLS, Peer, data_of

LEAD_IN = 0.1  # share of a turn that is trained before the clock starts: caches and threads are another's until then


def main() -> None:
    """Answers until its input ends."""
    tool, name, folder = sys.argv[1:]
    case = next(case for case in STEPS if case.name == name)
    peer = TOOLS[tool](case, *data_of(case, Path(folder)))
    answer({"ready": tool})
    step_seconds = 0.0
    for line in sys.stdin:
        seconds = float(line)
        if not step_seconds:
            step_seconds = warm_up(peer, seconds)
        peer.steps(max(1, round(LEAD_IN * seconds / step_seconds)))
        steps, took = timed(peer, max(1, round(seconds / step_seconds)))
        step_seconds = took / steps
        answer({"steps": steps, "seconds": took})


def warm_up(peer: Peer, seconds: float) -> float:
    """Trains for about that long, more and more steps at a time; gives the seconds that a step takes."""
    peer.steps(1)  # compiles, where something is compiled
    n, spent = 1, 0.0
    while True:
        steps, took = timed(peer, n)
        spent += took
        if spent >= seconds:
            return took / steps
        n = 2 * steps


def timed(peer: Peer, n: int) -> tuple[int, float]:
    """(steps done, seconds)."""
    started = time.perf_counter()
    steps = peer.steps(n)
    return steps, time.perf_counter() - started


def answer(values: dict[str, object]) -> None:
    print(json.dumps(values), flush=True)


if __name__ == "__main__":
    main()
