"""Whether a run may go on: the same data, network and config as its checkpoint's, and not yet at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bpcli.config.load import parse
from bpcli.config.tree import YamlTree
from bpcli.engine.training.options import EarlyStopping
from bpcli.errors import RunError
from bpcli.runs.checkpoint import Checkpoint, damage_is_a_run_error
from bpcli.text import shown, typed

# What a resumed run may change: everything else would make it another run.
MAY_CHANGE = (
    "name",
    "optimizer.learning_rate",
    "output",
    "training.early_stopping",
    "training.epochs",
    "training.goal",
    "training.log_every",
    "training.max_seconds",
    "training.min_change",
    "training.on_divergence",
)
# Ends that stay ends, until the key that led to them is changed.
ENDS = {
    "epochs": "training.epochs",
    "goal": "training.goal",
    "early_stopping": "training.early_stopping",
    "min_change": "training.min_change",
    "no_descent": "optimizer",
    "max_seconds": "training.max_seconds",
}
# Limits, and whether the end comes later when they rise, or when they fall.
RISES = {
    "training.early_stopping.patience": True,
    "training.max_seconds": True,
    "training.goal": False,
    "training.min_change": False,
}


def check_same_run(checkpoint: Checkpoint, config: Mapping[str, Any], hashes: Mapping[str, str]) -> list[str]:
    """What a resume changes, as text, where it is allowed to.

    Raises:
        RunError: the data, the network or another setting is not the checkpoint's; names the first difference.
    """
    for (name, digest), (old_name, old_digest) in zip(hashes.items(), checkpoint.info["data"].items(), strict=False):
        if digest != old_digest:
            changed = f"the data file {shown(name)} has changed since it was trained on"
            if name != old_name:
                changed = f"its data are now {shown(name)}, and it was trained on {shown(old_name)}"
            raise RunError(f"this run cannot go on: {changed} (SHA-256 {digest[:12]}...)")
    if len(hashes) != len(checkpoint.info["data"]):
        raise RunError(
            f"this run cannot go on: it was trained on {len(checkpoint.info['data'])} data files, now {len(hashes)}"
        )
    before_defaults = YamlTree(str(checkpoint.path), dict(checkpoint.config), {})
    with damage_is_a_run_error(checkpoint.path):
        old_config = parse(before_defaults).to_plain()
    old, new = _flat(old_config), _flat(config)  # keys that are newer than the checkpoint too
    changes = []
    for key in [*old, *(key for key in new if key not in old)]:
        before, now = old.get(key), new.get(key)
        if before == now or _is_path(key, before, now):
            continue
        if not any(key == allowed or key.startswith(f"{allowed}.") for allowed in MAY_CHANGE):
            raise RunError(
                f"this run cannot go on with another {key}: it was trained with {before}, now it is {now}. "
                "Train a new run for that; epochs, stopping, logging and the learning rate may change"
            )
        changes.append(f"{key}: {before} -> {now}")
    if (old_ties := _ties(old_config)) != (ties := _ties(config)):
        raise RunError(
            f"this run cannot go on with another training.early_stopping.ties: its best epoch is the {old_ties} of "
            f"equals, now it would be the {ties}. Keep `ties: {old_ties}`"
        )
    if (before := _monitored(old_config)) != (now := _monitored(config)):
        raise RunError(
            f"this run cannot go on with another training.early_stopping.monitor: its best epoch is the best by "
            f"{before}, now it would be by {now}. Keep the monitor, and raise training.early_stopping.patience to go on"
        )
    return changes


def _monitored(config: Mapping[str, Any]) -> str:
    """What the best epoch is told by: the monitor of early stopping, else the loss of validation, or of training."""
    stopping = config["training"]["early_stopping"]
    return str(stopping["monitor"]) if stopping else "train_loss" if config["data"]["val"] is None else "val_loss"


def _ties(config: Mapping[str, Any]) -> str:
    """Which of several epochs with the same best value is the best one."""
    stopping = config["training"]["early_stopping"]
    return str(stopping["ties"]) if stopping else EarlyStopping.ties


def _is_path(key: str, before: Any, now: Any) -> bool:
    """Whether the values are paths of data files, which may have moved: what they hold is compared by its hash."""
    location = key.removeprefix("data.").partition(".")[0] in ("train", "val", "test")
    return key.startswith("data.") and location and isinstance(before, str) and isinstance(now, str)


def _flat(values: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(values, Mapping):
        return {prefix: values}
    return {
        key: item
        for name, value in values.items()
        for key, item in _flat(value, f"{prefix}.{name}" if prefix else name).items()
    }


def has_ended(checkpoint: Checkpoint, changes: Sequence[str], epochs: int) -> bool:
    """Whether the run came to an end that the changed config does not move."""
    stop = checkpoint.info["stop"]
    if checkpoint.state["epoch"] >= epochs:
        return True
    return stop in ENDS and stop != "epochs" and not any(_moves(stop, change) for change in changes)


def _moves(stop: str, change: str) -> bool:
    """Whether a change, as `check_same_run` tells it, moves an end further away: a lower patience does not."""
    key, _, values = change.partition(": ")
    before, _, now = values.partition(" -> ")
    if not key.startswith(ENDS[stop]):
        return False
    if key not in RISES or "None" in (before, now):
        return True
    return float(now) > float(before) if RISES[key] else float(now) < float(before)


def ended_text(folder: Path, checkpoint: Checkpoint) -> str:
    """That the run in `folder` has ended, why, and the command that would take it further."""
    epoch, stop = checkpoint.state["epoch"], checkpoint.info["stop"]
    if stop == "no_descent":
        return f"{folder}: the run has ended ({stop}, epoch {epoch}): its optimizer finds no lower loss from here"
    if stop not in ENDS and epoch < checkpoint.config["training"]["epochs"]:
        return f"{folder}: epoch {epoch} is over already. To go on as before: bpcli resume {typed(folder)}"
    training = checkpoint.config["training"]
    settings = {
        "goal": ["training.goal=null"],
        "min_change": ["training.min_change=null"],
        "max_seconds": ["training.max_seconds=null"],
    }.get(stop, [])
    if stop == "early_stopping":
        settings = [f"training.early_stopping.patience={2 * training['early_stopping']['patience']}"]
    if epoch >= training["epochs"]:
        settings.append(f"training.epochs={2 * epoch}")
    reason = f"{stop}, " if stop in ENDS else ""
    go_on = " ".join(["bpcli resume", typed(folder), *(f"--set {setting}" for setting in settings)])
    return f"{folder}: the run has ended ({reason}epoch {epoch}). To go on: {go_on}"
