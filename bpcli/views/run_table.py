"""The result of a run: losses and metrics on each split, why it stopped, its files, and the next commands."""

from __future__ import annotations

from bpcli.text import printable
from bpcli.views.tables import duration, number, plural, table
from bpcli.workflows.train import Run

REASONS = {
    "epochs": "all epochs done",
    "goal": "the training loss reached training.goal",
    "early_stopping": "no improvement for training.early_stopping.patience epochs",
    "min_change": "no weight changed by training.min_change or more",
    "no_descent": "the optimizer found no lower loss",
    "max_seconds": "training.max_seconds had passed",
}


def run_table(run: Run) -> str:
    """The text that `bpcli train` prints at the end."""
    names = list(next(iter(run.last.values())))
    rows = [["weights", "split", *names]]
    for which, scores in (("last", run.last), (f"best (epoch {run.best_epoch})", run.best)):
        for split, values in scores.items():
            rows.append([which, split, *(number(values[name]) for name in names)])
    folder = printable(str(run.folder))
    return "\n".join(
        [
            table(rows, left=2),
            *(
                [f"penalty  {number(run.penalty)} by weight_decay and l1, not part of the losses"]
                if run.penalty
                else []
            ),
            *([f"rate     halved {plural(run.halvings, 'time')} after training diverged"] if run.halvings else []),
            "",
            f"stopped  {REASONS[run.stop]}: {plural(run.epochs, 'epoch')}, {plural(run.iterations, 'iteration')}, "
            f"{duration(run.seconds)}",
            f"files    {folder}/: config.yaml, loss.csv, summary.json, checkpoints/",
            f"next     bpcli eval {folder}    bpcli predict {folder} FILE",
        ]
    )
