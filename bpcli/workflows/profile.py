"""What training a config costs: a step, part by part, what comes around the steps, and memory."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from bpcli.build.session import Session, open_session
from bpcli.config.load import ConfigFile
from bpcli.engine.measure.instrumented import TimedRun, Training
from bpcli.engine.measure.profile import StepProfile, profile_step
from bpcli.engine.training.evaluation import Evaluator
from bpcli.engine.training.state import TrainState
from bpcli.engine.training.trainer import REPORT_SECONDS, Report
from bpcli.runs.folder import make_ready, run_at
from bpcli.runs.loss_log import FLUSH_SECONDS, LossLog
from bpcli.runs.recorder import CHECKPOINT_SECONDS, Recorder
from bpcli.system import one_blas_thread, usable_cpus
from bpcli.workflows.train import OnReport, run_contents

ROUNDS = 5  # measurements of everything apart from the step
ROWS = 200  # of loss.csv


@dataclass(frozen=True)
class Display:
    """What shows the progress of training; it draws again every `redrawn` seconds at most, and for the last report."""

    on_report: OnReport
    redrawn: float


@dataclass(frozen=True)
class Expense:
    """Something done around the steps: seconds each time, how often in words, and how often in a second of steps."""

    name: str
    seconds: float
    often: str
    per_second: float


@dataclass(frozen=True, eq=False)
class Profile:
    """A config's profile.

    around: what is done beside the steps. memory: bytes, by what they are for. peak_resident: bytes that this process
    had taken at most when training was under way, before anything was measured; None where the system does not say.
    """

    session: Session
    training: Training
    step: StepProfile
    around: tuple[Expense, ...]
    memory: Mapping[str, int]
    peak_resident: int | None

    @property
    def epoch(self) -> float:
        """Seconds of the steps of an epoch."""
        return self.training.batches.count * self.step.step

    @property
    def share_of_steps(self) -> float:
        """The part of the time of training that is steps."""
        return 1.0 / (1.0 + sum(each.seconds * each.per_second for each in self.around))

    def share(self, expense: Expense) -> float:
        """The part of the time of training that goes there."""
        return expense.seconds * expense.per_second * self.share_of_steps


def profile_config(file: ConfigFile, display: Display, *, threads: int | None = None, seconds: float = 2.0) -> Profile:
    """Measures the training of a config; leaves no file behind.

    Args:
        seconds: about how long the step is measured; the rest takes little.

    Raises:
        BpcliError: as its exit codes say, of config, data and training.
    """
    session = open_session(file, threads=threads or usable_cpus())
    model, config = session.model, file.config
    training = Training(
        network=model.network,
        loss=config.loss,
        optimizer=config.optimizer,
        samples=model.samples(session.datasets.parts["train"]),
        start=session.start,
        options=session.options,
        schedule=config.schedule,
    )
    with one_blas_thread(), session.memory_errors():
        plain = TimedRun(training)
        plain.advance(0.0)
        assert plain.report is not None  # it has just given one
        validation, report = _validation(session, plain.state, plain.report)
        peak = peak_resident()
        step = profile_step(training, plain, seconds=seconds)
    epoch = training.batches.count * step.step
    around = [] if validation is None else [Expense("validation", validation, "each epoch", 1.0 / epoch)]
    around += _display(display, report, epoch)
    around += _recording(session, plain.state, report, epoch)
    return Profile(session, training, step, tuple(around), _memory(session, plain.state, step), peak)


def _validation(session: Session, state: TrainState, report: Report) -> tuple[float | None, Report]:
    """The seconds of an evaluation of the validation split with its metrics, and the report with its figures."""
    if "val" not in session.datasets.parts:
        return None, report
    model, part = session.model, session.datasets.parts["val"]
    metrics = model.metric_functions(part)
    evaluator = Evaluator(model.network, model.config.loss, state.theta, model.samples(part), stats=state.stats)
    times = []
    for _ in range(ROUNDS):
        start = perf_counter()
        evaluation = evaluator()
        values = {f"val_{name}": metric(evaluation.output) for name, metric in metrics.items()}
        times.append(perf_counter() - start)
    return median(times), report._replace(val_loss=evaluation.loss, metrics=values)


def _display(display: Display, report: Report, epoch: float) -> list[Expense]:
    """The display of progress; `epoch` is the seconds of an epoch's steps."""
    quiet, last = report._replace(stop=None), report._replace(stop="epochs")
    redrawn = _seconds(lambda: display.on_report(last))
    passed_on = _seconds(lambda: display.on_report(quiet))
    reports, limit = 1.0 / min(epoch, REPORT_SECONDS), 1.0 / display.redrawn
    return [
        Expense("progress, not drawn", passed_on, f"each epoch, or {REPORT_SECONDS:g} s", reports),
        Expense("progress, drawn", redrawn, f"every {display.redrawn:g} s at most", min(limit, reports)),
    ]


def _recording(session: Session, state: TrainState, report: Report, epoch: float) -> list[Expense]:
    """loss.csv and checkpoints, written to a folder for temporary files; `epoch` is the seconds of an epoch's steps."""
    config = session.model.config
    every, log_every = config.output.checkpoint_every, config.training.log_every
    if state.best is None:  # the best weights are part of a checkpoint from the first epoch on
        state.stall_value = report.train_loss
        state.keep_as_best(report.train_loss)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        contents = run_contents(session, config.to_plain())
        run = run_at(Path(folder))
        held = stack.enter_context(run.locked())
        make_ready(run, held)
        recorder = Recorder(run, held, contents, state)
        recorder.begin()
        row = report._replace(complete=True, stop=None, epoch=log_every)
        added, written = _log_costs(recorder.log, row)
        saved = _seconds(lambda: _save(recorder))
    rows = 1.0 / (epoch * log_every)
    if isinstance(every, str):  # by the clock
        saves, save_often = 1.0 / CHECKPOINT_SECONDS, f"every {CHECKPOINT_SECONDS:g} s at most"
    else:
        saves, save_often = 1.0 / (epoch * every), _epochs(every)
    return [
        Expense("row of loss.csv", added, _epochs(log_every), rows),
        Expense("loss.csv written", written, f"every {FLUSH_SECONDS:g} s at most", min(1.0 / FLUSH_SECONDS, rows)),
        Expense("checkpoint saved", saved, save_often, saves),
    ]


def _epochs(count: int) -> str:
    return "each epoch" if count == 1 else f"every {count} epochs"


def _log_costs(log: LossLog, row: Report) -> tuple[float, float]:
    """Seconds for one more row, and for writing rows to the file, however many."""

    def write(rows: int) -> None:
        for _ in range(rows):
            log.add(row)
        log.flush()

    written = _seconds(lambda: write(0))
    return max(0.0, _seconds(lambda: write(ROWS)) - written) / ROWS, written


def _save(recorder: Recorder) -> None:
    recorder.saved_best = -1  # as after an epoch that was the best so far
    recorder.save()


def _seconds(call: Callable[[], None]) -> float:
    """Of one call, the median of some."""
    times = []
    for _ in range(ROUNDS):
        start = perf_counter()
        call()
        times.append(perf_counter() - start)
    return median(times)


def _memory(session: Session, state: TrainState, step: StepProfile) -> dict[str, int]:
    """Bytes by what they are for."""
    vectors = sum(vector.nbytes for vector in state.vectors.values())
    names = ", ".join(state.vectors) if len(state.vectors) < 4 else f"{len(state.vectors)} of them"
    weights = state.theta.nbytes + state.stats.nbytes
    data = {
        f"data: {name}": sum(array.nbytes for array in vars(part).values() if isinstance(array, np.ndarray))
        for name, part in session.datasets.parts.items()
    }
    return {
        "weights": weights,
        "gradient": state.theta.nbytes,
        f"optimizer's vectors ({names})": vectors,
        "best weights and vectors, kept": weights + vectors,
        "buffers of the step": step.buffers,
        **data,
    }


def peak_resident() -> int | None:
    """Bytes of memory that this process has had at most; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
