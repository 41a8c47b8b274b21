"""Resuming a run from its last checkpoint, from a given one, or from the start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bpcli.build.advice import schedule_of_another_length, warnings
from bpcli.build.locations import data_note, data_plan, of_a_run, plain_as_seen_from
from bpcli.build.session import Session, open_session
from bpcli.config.load import load_config, parse
from bpcli.config.tree import YamlTree, dump_yaml
from bpcli.engine.training.options import EarlyStopping
from bpcli.engine.training.recovery import forget_halvings, halvings
from bpcli.engine.training.state import TrainState
from bpcli.errors import RunError
from bpcli.runs.checkpoint import Checkpoint, damage_is_a_run_error, load_checkpoint
from bpcli.runs.environment import differences, environment
from bpcli.runs.files import disk_errors, opened, void
from bpcli.runs.folder import RunFolder, run_of
from bpcli.runs.held import HeldFolder
from bpcli.runs.recorder import Recorder, last_checkpoint, put_damaged_aside
from bpcli.runs.summary import read_summary
from bpcli.system import one_blas_thread, usable_cpus
from bpcli.text import json_text, shown, typed
from bpcli.workflows.train import Notify, OnReport, Run, finish, run_contents, summary_values, train_on, write_config

# The keys that a resume may change; with any other change it would be another run.
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
# Reasons to stop that still hold in a resume, until their key is changed.
ENDS = {
    "epochs": "training.epochs",
    "goal": "training.goal",
    "early_stopping": "training.early_stopping",
    "min_change": "training.min_change",
    "no_descent": "optimizer",
    "max_seconds": "training.max_seconds",
}
# Limits: whether training lasts longer when they are raised (True) or lowered (False).
RISES = {
    "training.early_stopping.patience": True,
    "training.max_seconds": True,
    "training.goal": False,
    "training.min_change": False,
}


def resume_run(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    threads: int | None = None,
    on_report: OnReport = lambda report: None,
    notify: Notify = lambda text: None,
) -> Run | None:
    """Resumes a run from its last checkpoint, or from the start if it was stopped before the first one.

    Returns None if there is nothing to do: the run has ended, and no override lets it continue.

    Args:
        path: the run folder, or one of its checkpoint files.
        overrides: KEY=VALUE; the keys that may change are in MAY_CHANGE.
        notify: called with each change, note and warning before training continues.

    Raises:
        RunError: no checkpoint can be used, or it belongs to other data, another network or another config.
        BpcliError: as its exit codes say.
    """
    folder = run_of(path)
    with folder.locked(notify) as held:
        held.make_folder(folder.checkpoints)
        file = load_config(folder.config, overrides)
        plan = data_plan(file)
        if note := data_note(plan, folder.path):
            notify(note)
        with of_a_run(plan, "name its present place with --set {key}=FILE"):
            session = open_session(file, threads=threads or usable_cpus())
        for note in session.datasets.notes:
            notify(note)
        plain = plain_as_seen_from(folder.path, file)
        state, changes = _state_to_resume(path, folder, held, session, plain, notify)
        if state is None:
            return None
        for text in (*changes, *(warnings(session) if changes else ())):
            notify(text)
        if edited := _keep_edited_config(folder, held):
            notify(edited)
        write_config(folder, held, plain)
        return train_on(folder, held, session, state, plain, on_report, notify, earlier=path != folder.path)


def _state_to_resume(
    path: Path, folder: RunFolder, held: HeldFolder, session: Session, plain: Mapping[str, Any], notify: Notify
) -> tuple[TrainState | None, list[str]]:
    """The state to continue from, None if the run has ended, and what the config changes.

    Raises:
        RunError: no checkpoint can be used, or it is another run's.
    """
    named, damaged = path != folder.path, list[str]()  # named: a checkpoint is given, not the run
    if named:
        checkpoint: Checkpoint | None = load_checkpoint(path)
    else:
        checkpoint, damaged = last_checkpoint(folder)
        for note in damaged:
            notify(f"{note}; going on from the checkpoint before it")
        if checkpoint is None and (checkpoint := _best_alone(folder, session.options.epochs)):
            notify("there is no last.npz: going on from best.npz")
    if checkpoint is None:
        notify("there is no checkpoint to go on from: starting from the beginning")
        return session.start(), []
    changes = check_same_run(checkpoint, plain, session.datasets.hashes)
    state = checkpoint.restore(session.model.network, session.start())
    if has_ended(checkpoint, changes, session.options.epochs):
        notify(ended_text(folder.path, checkpoint))
        for change in changes:
            notify(f"not applied: {change}")
        if checkpoint.info["stop"] in ENDS and not _is_told(folder.summary, state.step):
            with one_blas_thread():
                run = finish(folder, session, state, checkpoint.info["stop"])
            held.write_text(folder.summary, json_text(summary_values(run, session)) + "\n")
        _mend_best(folder, held, session, state, checkpoint.config, notify)
        return None, []
    if changed := differences(checkpoint.info["environment"], environment()):
        notify(f"warning: not where the run was before: {'; '.join(changed)}. Results may differ in the last bits")
    if halvings(state) and any(change.startswith("optimizer.learning_rate:") for change in changes):
        forget_halvings(state)
        notify("the learning rate was halved after divergence; the new one is taken as it is")
    if text := schedule_of_another_length(session, state, checkpoint.config):
        notify(f"warning: {text}")
    for note in put_damaged_aside(folder, held) if named or damaged else ():
        notify(note)
    notify(f"going on from epoch {state.epoch}" + (f", iteration {state.step}" if state.position else ""))
    if named:
        notify(f"later epochs in loss.csv and in the checkpoints are replaced by those trained on from {path.name}")
    return state, changes


def _best_alone(folder: RunFolder, epochs: int) -> Checkpoint | None:
    """best.npz of a run that has lost its other checkpoints, so that it does not start over; None if it is missing.

    Also None if it is of the last epoch and there is no summary: then the only save, at the end of a short run, was cut
    off after best.npz, and training again gives the same results.

    Raises:
        RunError: it is damaged.
    """
    best = folder.checkpoints / "best.npz"
    try:
        checkpoint = load_checkpoint(best) if best.exists() else None
    except RunError as error:
        raise RunError(
            f"{error}. There is no other checkpoint; to train again: bpcli train {typed(folder.config)}"
        ) from error
    cut_off = checkpoint is not None and checkpoint.state["epoch"] >= epochs and not folder.summary.exists()
    return None if cut_off else checkpoint


def _mend_best(
    folder: RunFolder, held: HeldFolder, session: Session, state: TrainState, config: Mapping[str, Any], notify: Notify
) -> None:
    """Writes best.npz of a finished run again if it is missing or damaged; `state` holds it too."""
    best = folder.checkpoints / "best.npz"
    if state.best is None:
        return
    try:
        load_checkpoint(best)
    except RunError as error:
        Recorder(folder, held, run_contents(session, config), state).save_best()
        notify(f"{error}; it was written again")


def _is_told(path: Path, iterations: int) -> bool:
    """Whether the run's summary is of that many iterations, and has what this version writes."""
    summary = read_summary(path)
    return summary.get("iterations") == iterations and "baselines" in summary


def _keep_edited_config(folder: RunFolder, held: HeldFolder) -> str | None:
    """Keeps a copy of a config.yaml that was edited by hand, with its comments and order. Returns a note if so."""
    with disk_errors(f"cannot read {folder.config}"), opened(folder.config) as (file, _):
        text = file.read()
    if text == dump_yaml(dict(load_config(folder.config).tree.value)).encode():
        return None
    aside = held.free_path(folder.config, "config-old-{}.yaml")
    held.write(aside, lambda file: void(file.write(text)), like=folder.config)
    return (
        f"{folder.config}: was changed by hand; rewritten with the same settings, the original is kept in {aside.name}"
    )


def check_same_run(checkpoint: Checkpoint, config: Mapping[str, Any], hashes: Mapping[str, str]) -> list[str]:
    """The changes that a resume makes, as text, all of them allowed.

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
    old, new = _flat(old_config), _flat(config)  # also keys that are newer than the checkpoint
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
    """What decides the best epoch: the monitor of early stopping, or else the validation loss or the training loss."""
    stopping = config["training"]["early_stopping"]
    return str(stopping["monitor"]) if stopping else "train_loss" if config["data"]["val"] is None else "val_loss"


def _ties(config: Mapping[str, Any]) -> str:
    """Which of several epochs with the same best value is the best one."""
    stopping = config["training"]["early_stopping"]
    return str(stopping["ties"]) if stopping else EarlyStopping.ties


def _is_path(key: str, before: Any, now: Any) -> bool:
    """Whether the values are paths of data files, which may have moved: contents are compared by their hashes."""
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
    """Whether the run has ended, and the changed config does not let it continue."""
    stop = checkpoint.info["stop"]
    if checkpoint.state["epoch"] >= epochs:
        return True
    return stop in ENDS and stop != "epochs" and not any(_moves(stop, change) for change in changes)


def _moves(stop: str, change: str) -> bool:
    """Whether a change, as `check_same_run` words it, lets training last longer: a lower patience does not."""
    key, _, values = change.partition(": ")
    before, _, now = values.partition(" -> ")
    if not key.startswith(ENDS[stop]):
        return False
    if key not in RISES or "None" in (before, now):
        return True
    return float(now) > float(before) if RISES[key] else float(now) < float(before)


def ended_text(folder: Path, checkpoint: Checkpoint) -> str:
    """A message that the run in `folder` has ended, why, and which command would continue it."""
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
