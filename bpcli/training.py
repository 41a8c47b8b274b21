"""A training run from start to end, or from a checkpoint on: what `bpcli train` and `bpcli resume` do."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bpcli.advice import grown_loss, no_descent, schedule_of_another_length, warnings, without_hidden_layer
from bpcli.config.load import ConfigFile, load_config
from bpcli.config.yaml_tree import dump_yaml
from bpcli.engine.penalty import penalty_of
from bpcli.engine.training.evaluation import Evaluator
from bpcli.engine.training.recovery import forget_halvings, halvings
from bpcli.engine.training.state import TrainState
from bpcli.engine.training.trainer import Report
from bpcli.errors import DivergenceError, InterruptedRunError, RunError, UsageError
from bpcli.going_on import ENDS, check_same_run, ended_text, has_ended
from bpcli.interrupts import stop_on_signals
from bpcli.json_text import json_text
from bpcli.locations import data_plan, of_a_run, plain_as_seen_from
from bpcli.memory import fits_into_memory
from bpcli.runs.checkpoint import Checkpoint, load_checkpoint
from bpcli.runs.environment import differences, environment
from bpcli.runs.files import disk_errors, opened, void
from bpcli.runs.folder import RunFolder, make_ready, new_run, run_at, run_of
from bpcli.runs.held import HeldFolder
from bpcli.runs.recorder import Recorder, RunContents, last_checkpoint, put_damaged_aside
from bpcli.session import Session, open_session
from bpcli.threads import one_blas_thread, usable_cpus

Show = Callable[[Report], None]
Tell = Callable[[str], None]
Scores = Mapping[str, Mapping[str, float]]

LARGEST_SUMMARY = 1 << 24  # bytes


@dataclass(frozen=True)
class Run:
    """A finished run. last, best: split -> loss and metrics. penalty: of the last weights, apart from the losses.

    notes: what became of missing values in the data.
    halvings: how often training diverged and went on with half the learning rate.
    """

    folder: Path
    stop: str
    epochs: int
    iterations: int
    seconds: float
    best_epoch: int
    last: Scores
    best: Scores
    penalty: float = 0.0
    notes: tuple[str, ...] = ()
    halvings: int = 0


def start_run(
    file: ConfigFile,
    *,
    out: Path | None = None,
    threads: int | None = None,
    show: Show = lambda report: None,
    tell: Tell = lambda text: None,
) -> Run:
    """Trains a config in a new run folder: `out`, or the next free one under the config's output.dir.

    tell: is given whatever else the user should know; what it says of the data is in the run's notes as well.

    Raises:
        BpcliError: as its exit codes say.
    """
    session = open_session(file, threads=threads or usable_cpus())
    for note in session.datasets.notes:
        tell(note)
    for text in warnings(session):
        tell(text)
    config, state = file.config, session.start()
    runs = Path(os.path.expanduser(config.output.dir))
    folder = run_at(out) if out is not None else new_run(runs, config.name or "run")
    with folder.locked(tell) as held:
        make_ready(folder, held)
        plain = plain_as_seen_from(folder.path, file)
        _write_config(folder, held, plain)
        return _train(folder, held, session, state, plain, show, tell)


def resume_run(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    threads: int | None = None,
    show: Show = lambda report: None,
    tell: Tell = lambda text: None,
) -> Run | None:
    """Goes on with a run from its last checkpoint, or from the start if it was stopped before the first one.

    Gives None where there is nothing to do: the run has ended, and no override gives it a reason to go on.

    Args:
        path: the run folder, or one of its checkpoint files.
        overrides: KEY=VALUE; what may change is in MAY_CHANGE.
        tell: is given each change, and whatever else the user should know, before training goes on.

    Raises:
        RunError: no checkpoint can be used, or it belongs to other data, another network or another config.
        BpcliError: as its exit codes say.
    """
    folder = run_of(path)
    with folder.locked(tell) as held:
        held.make_folder(folder.checkpoints)
        file = load_config(folder.config, overrides)
        with of_a_run(data_plan(file), "where it lies now is said by --set {key}=FILE"):
            session = open_session(file, threads=threads or usable_cpus())
        for note in session.datasets.notes:
            tell(note)
        plain = plain_as_seen_from(folder.path, file)
        state, changes = _state_to_resume(path, folder, held, session, plain, tell)
        if state is None:
            return None
        for text in (*changes, *(warnings(session) if changes else ())):
            tell(text)
        if edited := _keep_edited_config(folder, held):
            tell(edited)
        _write_config(folder, held, plain)
        return _train(folder, held, session, state, plain, show, tell, earlier=path != folder.path)


def _state_to_resume(
    path: Path, folder: RunFolder, held: HeldFolder, session: Session, plain: Mapping[str, Any], tell: Tell
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
            tell(f"{note}; going on from the checkpoint before it")
        if checkpoint is None and (checkpoint := _best_alone(folder, session.options.epochs)):
            tell("there is no last.npz: going on from best.npz")
    if checkpoint is None:
        tell("there is no checkpoint to go on from: starting from the beginning")
        return session.start(), []
    changes = check_same_run(checkpoint, plain, session.datasets.hashes)
    state = checkpoint.restore(session.model.network, session.start())
    if has_ended(checkpoint, changes, session.options.epochs):
        tell(ended_text(folder.path, checkpoint))
        for change in changes:
            tell(f"not applied: {change}")
        if checkpoint.info["stop"] in ENDS and _iterations_told(folder.summary) != state.step:
            run = _finish(folder, session, state, checkpoint.info["stop"])
            held.write_text(folder.summary, json_text(_summary(run, session)) + "\n")
        _mend_best(folder, held, session, state, checkpoint.config, tell)
        return None, []
    if changed := differences(checkpoint.info["environment"], environment()):
        tell(f"warning: not where the run was before: {'; '.join(changed)}. Results may differ in the last bits")
    if halvings(state) and any(change.startswith("optimizer.learning_rate:") for change in changes):
        forget_halvings(state)
        tell("the learning rate was halved after divergence; the new one is taken as it is")
    if text := schedule_of_another_length(session, state, checkpoint.config):
        tell(f"warning: {text}")
    for note in put_damaged_aside(folder, held) if named or damaged else ():
        tell(note)
    tell(f"going on from epoch {state.epoch}" + (f", iteration {state.step}" if state.position else ""))
    if named:
        tell(f"what the run has from later epochs, in loss.csv and its checkpoints, is made anew from {path.name}")
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
        raise RunError(f"{error}. There is no other; to train anew: bpcli train {folder.config}") from error
    cut_off = checkpoint is not None and checkpoint.state["epoch"] >= epochs and not folder.summary.exists()
    return None if cut_off else checkpoint


def _mend_best(
    folder: RunFolder, held: HeldFolder, session: Session, state: TrainState, config: Mapping[str, Any], tell: Tell
) -> None:
    """Writes best.npz of a run that has ended anew where it is missing or damaged: `state` holds it too."""
    best = folder.checkpoints / "best.npz"
    if state.best is None:
        return
    try:
        load_checkpoint(best)
    except RunError as error:
        Recorder(folder, held, run_contents(session, config), state).save_best()
        tell(f"{error}; written anew")


def _iterations_told(summary: Path) -> object:
    """The iterations of the run as its summary has them; None without one, or where it cannot be read."""
    try:
        with opened(summary, at_most=LARGEST_SUMMARY) as (file, _):
            return json.loads(file.read())["iterations"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _train(
    folder: RunFolder,
    held: HeldFolder,
    session: Session,
    state: TrainState,
    plain: Mapping[str, Any],
    show: Show,
    tell: Tell,
    *,
    earlier: bool = False,
) -> Run:
    recorder = Recorder(folder, held, run_contents(session, plain), state)
    if note := recorder.begin(earlier=earlier):
        tell(note)
    report: Report | None = None

    def went_back(text: str) -> None:
        recorder.go_back()
        tell(text)

    # what overflows is found by the trainer, which says more of it than NumPy's warning
    quiet = np.errstate(all="ignore")
    with stop_on_signals(_at_once_text(folder)) as stopped, one_blas_thread(), quiet:
        try:
            with session.memory_errors():
                for report in session.train(state, stopped, went_back):
                    recorder.take(report)
                    show(report)
        except DivergenceError as error:
            recorder.log.flush()
            kept = folder.checkpoints / "last.npz"
            raise DivergenceError(error.what, error.advice, _kept_text(kept)) from None
        assert report is not None  # the trainer always reports an end,
        assert report.stop is not None  # and its reason
        if report.stop == "interrupted" and stopped.signal_number is not None:
            raise InterruptedRunError(
                f"stopped by a signal in epoch {state.epoch + 1}; the state is saved. "
                f"Go on with: bpcli resume {folder.path}",
                stopped.signal_number,
            )
        run = _finish(folder, session, state, report.stop)
        held.write_text(folder.summary, json_text(_summary(run, session)) + "\n")
        log, last = recorder.log, (report.epoch, report.train_loss)
        instead = without_hidden_layer(session.model)
        no_lower = no_descent(log.row_after(0), log.row_after(0.5), last, report.learning_rate, instead)
        if text := no_lower or grown_loss(session, report.train_loss):
            tell(text)
    return run


def _at_once_text(folder: RunFolder) -> str:
    return f"stopped at once by a second signal; what the last checkpoint holds is kept: bpcli resume {folder.path}"


def _kept_text(path: Path) -> str:
    if not path.exists():
        return "No checkpoint had been saved yet."
    return f"The last checkpoint before it is kept: {path} (epoch {load_checkpoint(path).state['epoch']})."


def run_contents(session: Session, plain: Mapping[str, Any]) -> RunContents:
    """What is stored with each of the run's checkpoints, and how often. plain: the config as plain values."""
    config, model = session.model.config, session.model
    every = config.output.checkpoint_every
    return RunContents(
        network=model.network,
        preparation=model.preparation,
        config=plain,
        hashes=session.datasets.hashes,
        metrics=tuple(f"val_{name}" for name in model.metrics) if "val" in session.datasets.parts else (),
        log_every=config.training.log_every,
        checkpoint_every=None if isinstance(every, str) else every,
        keep=config.output.keep,
    )


def _finish(folder: RunFolder, session: Session, state: TrainState, stop: str) -> Run:
    """Evaluates the last and the best weights on every split."""
    best = state.best
    last_scores = _scores(session, state)
    same = best is None or best.epoch == state.epoch
    return Run(
        folder=folder.path,
        stop=stop,
        epochs=state.epoch,
        iterations=state.step,
        seconds=state.seconds,
        best_epoch=state.epoch if best is None else best.epoch,
        last=last_scores,
        best=last_scores if same else _scores(session, state.at_best()),
        penalty=_penalty(session, state),
        notes=session.datasets.notes,
        halvings=halvings(state),
    )


def _penalty(session: Session, state: TrainState) -> float:
    """What weight_decay and l1 add to the minimised loss; adamw's decay is a step of its own and adds nothing."""
    return penalty_of(session.model.config.optimizer).value(state.theta, session.model.network.decay_mask)


def _scores(session: Session, state: TrainState) -> Scores:
    model, scores = session.model, {}
    for name, part in session.datasets.parts.items():
        with fits_into_memory(f"the {name} split"):
            evaluator = Evaluator(model.network, model.config.loss, state.theta, model.samples(part), stats=state.stats)
            evaluation = evaluator()
            metrics = {key: metric(evaluation.output) for key, metric in model.metric_functions(part).items()}
        scores[name] = {"loss": evaluation.loss, **metrics}
    return scores


def _summary(run: Run, session: Session) -> dict[str, Any]:
    return {
        "name": session.model.config.name,
        "stop": run.stop,
        "epochs": run.epochs,
        "iterations": run.iterations,
        "seconds": round(run.seconds, 3),
        "seed": session.model.config.seed,
        "parameters": session.model.network.layout.size,
        "samples": {name: len(part) for name, part in session.datasets.parts.items()},
        "penalty": run.penalty,
        "halvings": run.halvings,
        "last": run.last,
        "best_epoch": run.best_epoch,
        "best": run.best,
        "notes": list(run.notes),
        "data_sha256": dict(session.datasets.hashes),
        "environment": environment() | {"threads": str(session.options.threads)},
    }


def _write_config(folder: RunFolder, held: HeldFolder, plain: Mapping[str, Any]) -> None:
    held.check()
    try:
        text = dump_yaml(dict(plain))
    except ValueError as error:  # `check_alone` lets pass what then grows by the data's paths as seen from the run
        raise UsageError(f"{folder.config}: could not be read again: {error}") from error
    held.write_text(folder.config, text)


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
