"""A training run from start to end, and what is written down of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bpcli.build.advice import grown_loss, no_better_than_guessing, no_descent, warnings, without_hidden_layer
from bpcli.build.locations import plain_as_seen_from
from bpcli.build.memory import fits_into_memory
from bpcli.build.session import Session, open_session
from bpcli.config.load import ConfigFile
from bpcli.config.tree import dump_yaml
from bpcli.engine.objective import penalty_of
from bpcli.engine.training.evaluation import Evaluator
from bpcli.engine.training.recovery import halvings
from bpcli.engine.training.state import TrainState
from bpcli.engine.training.trainer import Report
from bpcli.errors import DivergenceError, InterruptedRunError, UsageError
from bpcli.runs.checkpoint import load_checkpoint
from bpcli.runs.environment import environment
from bpcli.runs.folder import RunFolder, make_ready, new_run, run_at
from bpcli.runs.held import HeldFolder
from bpcli.runs.recorder import Recorder, RunContents
from bpcli.system import one_blas_thread, stop_on_signals, usable_cpus
from bpcli.text import json_text, typed
from bpcli.workflows.comparison import Comparison, OnOutput

OnReport = Callable[[Report], None]
Notify = Callable[[str], None]
Scores = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class Run:
    """A finished run. last, best: split -> loss and metrics. penalty: of the last weights, apart from the losses.

    notes: what became of missing values in the data.
    halvings: how often training diverged and went on with half the learning rate.
    comparison: what summary.json has beside: intervals, calibration error, thresholds, baselines.
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
    comparison: Mapping[str, Any] = field(default_factory=dict)


def start_run(
    file: ConfigFile,
    *,
    out: Path | None = None,
    threads: int | None = None,
    on_report: OnReport = lambda report: None,
    notify: Notify = lambda text: None,
) -> Run:
    """Trains a config in a new run folder: `out`, or the next free one under the config's output.dir.

    notify: called with whatever else the user should know; what it says of the data is in the run's notes as well.

    Raises:
        BpcliError: as its exit codes say.
    """
    session = open_session(file, threads=threads or usable_cpus())
    for note in session.datasets.notes:
        notify(note)
    for text in warnings(session):
        notify(text)
    config, state = file.config, session.start()
    folder = run_at(out) if out is not None else new_run(_runs(file), config.name or "run")
    with folder.locked(notify) as held:
        make_ready(folder, held)
        plain = plain_as_seen_from(folder.path, session.file)
        write_config(folder, held, plain)
        return train_on(folder, held, session, state, plain, on_report, notify)


def _runs(file: ConfigFile) -> Path:
    """The folder for the config's runs.

    Raises:
        ConfigError: it is named by nothing, or by the home folder of nobody.
    """
    text = file.config.output.dir
    runs = os.path.expanduser(text)
    if not text.strip():
        raise file.error((("output", "dir"), "names nothing; the current folder is ."))
    if runs.startswith("~"):
        raise file.error((("output", "dir"), f"there is no such user: {text}; a folder of that name is ./{text}"))
    return Path(runs)


def train_on(
    folder: RunFolder,
    held: HeldFolder,
    session: Session,
    state: TrainState,
    plain: Mapping[str, Any],
    on_report: OnReport,
    notify: Notify,
    *,
    earlier: bool = False,
) -> Run:
    """Trains `state` on to an end, with the run's folder held, and writes down what comes of it.

    earlier: the run had come further than the state, see `Recorder.begin`.

    Raises:
        DivergenceError: a value is no longer finite. InterruptedRunError: a signal came; the state is saved.
        DiskError: something could not be written.
    """
    recorder = Recorder(folder, held, run_contents(session, plain), state)
    if note := recorder.begin(earlier=earlier):
        notify(note)
    report: Report | None = None

    def on_rollback(text: str) -> None:
        recorder.go_back()
        notify(text)

    # what overflows is found by the trainer, which says more of it than NumPy's warning
    quiet = np.errstate(all="ignore")
    with stop_on_signals(_at_once_text(folder)) as stopped, one_blas_thread(), quiet:
        try:
            with session.memory_errors():
                for report in session.train(state, stopped, on_rollback):
                    recorder.take(report)
                    on_report(report)
        except DivergenceError as error:
            recorder.log.flush()
            kept = folder.checkpoints / "last.npz"
            raise DivergenceError(error.what, error.advice, _kept_text(kept)) from None
        assert report is not None  # the trainer always reports an end,
        assert report.stop is not None  # and its reason
        if report.stop == "interrupted" and stopped.signal_number is not None:
            raise InterruptedRunError(
                f"stopped by a signal in epoch {state.epoch + 1}; the state is saved. "
                f"Go on with: bpcli resume {typed(folder.path)}",
                stopped.signal_number,
            )
        run = finish(folder, session, state, report.stop)
        held.write_text(folder.summary, json_text(summary_values(run, session)) + "\n")
        log, last = recorder.log, (report.epoch, report.train_loss)
        first, middle, instead = log.row_after(0), log.row_after(0.5), without_hidden_layer(session.model)
        text = no_descent(first, middle, last, report.learning_rate, instead)
        if text := text or no_better_than_guessing(session, middle, last) or grown_loss(session, report.train_loss):
            notify(text)
    return run


def _at_once_text(folder: RunFolder) -> str:
    kept = f"what the last checkpoint holds is kept: bpcli resume {typed(folder.path)}"
    return f"stopped at once by a second signal; {kept}"


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


def finish(folder: RunFolder, session: Session, state: TrainState, stop: str) -> Run:
    """Evaluates the last and the best weights on every split, and fits what they are compared with."""
    best, comparison = state.best, Comparison(session.model)
    if best is None or best.epoch == state.epoch:
        last_scores = best_scores = _scores(session, state, comparison.at_best(state))
    else:
        last_scores = _scores(session, state, comparison.at_last(state))
        at_best = state.at_best()
        best_scores = _scores(session, at_best, comparison.at_best(at_best))
    return Run(
        folder=folder.path,
        stop=stop,
        epochs=state.epoch,
        iterations=state.step,
        seconds=state.seconds,
        best_epoch=state.epoch if best is None else best.epoch,
        last=last_scores,
        best=best_scores,
        penalty=_penalty(session, state),
        notes=session.datasets.notes,
        halvings=halvings(state),
        comparison=comparison.values(session),
    )


def _penalty(session: Session, state: TrainState) -> float:
    """What weight_decay and l1 add to the minimised loss; adamw's decay is a step of its own and adds nothing."""
    return penalty_of(session.model.config.optimizer).value(state.theta, session.model.network.decay_mask)


def _scores(session: Session, state: TrainState, on_output: OnOutput) -> Scores:
    model, scores = session.model, {}
    for name, part in session.datasets.parts.items():
        with fits_into_memory(f"the {name} split"):
            evaluator = Evaluator(model.network, model.config.loss, state.theta, model.samples(part), stats=state.stats)
            evaluation = evaluator()
            metrics = {key: metric(evaluation.output) for key, metric in model.metric_functions(part).items()}
            on_output(name, part, evaluation.output)
        scores[name] = {"loss": evaluation.loss, **metrics}
    return scores


def summary_values(run: Run, session: Session) -> dict[str, Any]:
    """What summary.json holds."""
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
        **run.comparison,
    }


def write_config(folder: RunFolder, held: HeldFolder, plain: Mapping[str, Any]) -> None:
    """Writes config.yaml.

    Raises:
        UsageError: it could not be read again. DiskError: it cannot be written.
    """
    held.check()
    try:
        text = dump_yaml(dict(plain))
    except ValueError as error:  # `check_alone` lets pass what then grows by the data's paths as seen from the run
        raise UsageError(f"{folder.config}: could not be read again: {error}") from error
    held.write_text(folder.config, text)
