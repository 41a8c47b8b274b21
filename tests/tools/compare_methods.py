"""Epochs and seconds each training method needs to reach a goal on four data sets: the table in tests/README.md.

    python tests/tools/compare_methods.py

Every method runs at its defaults from the same three seeds, with mean squared error, float64 and one hidden layer of
tanh units. First-order methods take batches of 16 (xor: all four samples); full-batch methods and rprop take the whole
training set. A cell shows the median epochs and seconds over the seeds, or `-` if a seed missed the goal.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from bpcli.build.session import open_session
from bpcli.config.load import load_config
from bpcli.engine import registry
from bpcli.system import one_blas_thread

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
# config -> (layer sizes, goal of the training loss)
PROBLEMS = {
    "xor": ("[2, 4, 1]", 1e-3),
    "iris": ("[4, 8, 3]", 0.015),
    "breast-cancer": ("[30, 8, 1]", 0.01),
    "diabetes": ("[10, 8, 1]", 0.42),
}
SEEDS = range(3)
MOST_EPOCHS, MOST_SECONDS = 3000, 6.0


def to_goal(name: str, method: str, seed: int) -> tuple[int, float] | None:
    """(epochs, seconds) until the goal, or None."""
    sizes, goal = PROBLEMS[name]
    full = name == "xor" or hasattr(registry.optimizers.get(method), "iterate") or method == "rprop"
    overrides = [
        f"optimizer={method}",
        "loss=mse",
        "metrics=null",
        "dtype=float64",
        "data.val=null",
        "data.test=null",
        f"seed={seed}",
        f"network={{layers: {sizes}, activation: tanh}}",
        f"training={{epochs: {MOST_EPOCHS}, max_seconds: {MOST_SECONDS}, goal: {goal}, "
        f"batch_size: {'full' if full else 16}}}",
        *(["data.scale={x: standard, y: none}"] if name in ("iris", "breast-cancer") else []),
        "data.task=classification" if name != "diabetes" else "data.task=regression",
    ]
    session = open_session(load_config(CONFIGS / f"{name}.yaml", overrides))
    state = session.start()
    started = time.perf_counter()
    with one_blas_thread():
        report = list(session.train(state))[-1]
    return (state.epoch, time.perf_counter() - started) if report.stop == "goal" else None


def cell(name: str, method: str) -> str:
    """`12 / 0.03 s`, or `-`."""
    found = [to_goal(name, method, seed) for seed in SEEDS]
    reached = [one for one in found if one is not None]
    if len(reached) < len(found):
        return "-"
    epochs, seconds = (statistics.median(values) for values in zip(*reached, strict=True))
    return f"{epochs:g} / {seconds:.2f} s"


def main() -> None:
    print("| method | " + " | ".join(f"{name} ({goal:g})" for name, (_, goal) in PROBLEMS.items()) + " |")
    print("| --- |" + " --- |" * len(PROBLEMS))
    for method in registry.optimizers.names():
        print(f"| {method} | " + " | ".join(cell(name, method) for name in PROBLEMS) + " |", flush=True)


if __name__ == "__main__":
    main()
