"""A run goes on: from its last checkpoint, from one that is named, or from the start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bpcli.build.advice import schedule_of_another_length, warnings
from bpcli.build.locations import data_note, data_plan, of_a_run, plain_as_seen_from
from bpcli.build.session import Session, open_session
from bpcli.config.load import load_config
from bpcli.config.tree import dump_yaml
from bpcli.engine.training.recovery import forget_halvings, halvings
from bpcli.engine.training.state import TrainState
from bpcli.errors import RunError
from bpcli.runs.checkpoint import Checkpoint, load_checkpoint
from bpcli.runs.environment import differences, environment
from bpcli.runs.files import disk_errors, opened, void
from bpcli.runs.folder import RunFolder, run_of
from bpcli.runs.held import HeldFolder
from bpcli.runs.recorder import Recorder, last_checkpoint, put_damaged_aside
from bpcli.runs.summary import read_summary
from bpcli.system import one_blas_thread, usable_cpus
from bpcli.text import json_text, typed
from bpcli.workflows.same_run import ENDS, check_same_run, ended_text, has_ended
from bpcli.workflows.train import Notify, OnReport, Run, finish, run_contents, summary_values, train_on, write_config


def resume_run(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    threads: int | None = None,
    on_report: OnReport = lambda report: None,
    notify: Notify = lambda text: None,
) -> Run | None:
    """Goes on with a run from its last checkpoint, or from the start if it was stopped before the first one.

    Gives None where there is nothing to do: the run has ended, and no override gives it a reason to go on.

    Args:
        path: the run folder, or one of its checkpoint files.
        overrides: KEY=VALUE; what may change is in MAY_CHANGE.
        notify: called with each change, and whatever else the user should know, before training goes on.

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
        with of_a_run(plan, "where it lies now is said by --set {key}=FILE"):
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
    """The state to go on from, None where the run has ended, and what the config changes.

    Raises:
        RunError: no checkpoint can be used, or it is another run's.
    """
    named, damaged = path != folder.path, list[str]()  # a checkpoint, not the run
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
        notify(f"what the run has from later epochs, in loss.csv and its checkpoints, is made anew from {path.name}")
    return state, changes


def _best_alone(folder: RunFolder, epochs: int) -> Checkpoint | None:
    """best.npz of a run that has lost all others, so that it is not started over; None without one.

    None too where it is of the last epoch and there is no summary: then the only save, at the end of a short run, was
    cut off after best.npz, and the whole run gives all of it again.

    Raises:
        RunError: it is damaged.
    """
    best = folder.checkpoints / "best.npz"
    try:
        checkpoint = load_checkpoint(best) if best.exists() else None
    except RunError as error:
        raise RunError(f"{error}. There is no other; to train anew: bpcli train {typed(folder.config)}") from error
    cut_off = checkpoint is not None and checkpoint.state["epoch"] >= epochs and not folder.summary.exists()
    return None if cut_off else checkpoint


def _mend_best(
    folder: RunFolder, held: HeldFolder, session: Session, state: TrainState, config: Mapping[str, Any], notify: Notify
) -> None:
    """Writes best.npz of a run that has ended anew where it is missing or damaged: `state` holds it too."""
    best = folder.checkpoints / "best.npz"
    if state.best is None:
        return
    try:
        load_checkpoint(best)
    except RunError as error:
        Recorder(folder, held, run_contents(session, config), state).save_best()
        notify(f"{error}; written anew")


def _is_told(path: Path, iterations: int) -> bool:
    """Whether the run's summary is of that many iterations, and has what this version writes."""
    summary = read_summary(path)
    return summary.get("iterations") == iterations and "baselines" in summary


def _keep_edited_config(folder: RunFolder, held: HeldFolder) -> str | None:
    """Keeps a copy of a config.yaml that is not as bpcli writes it: somebody's comments and order must not be lost.

    Gives a note then.
    """
    with disk_errors(f"cannot read {folder.config}"), opened(folder.config) as (file, _):
        text = file.read()
    if text == dump_yaml(dict(load_config(folder.config).tree.value)).encode():
        return None
    aside = held.free_path(folder.config, "config-old-{}.yaml")
    held.write(aside, lambda file: void(file.write(text)), like=folder.config)
    return (
        f"{folder.config}: was changed by hand; written anew with what it says, the text as it was is in {aside.name}"
    )
