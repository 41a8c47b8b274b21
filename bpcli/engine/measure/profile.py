"""The time of each part of a training step, beside the time of the whole step without stopwatches."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.measure.instrumented import WINDOW_SECONDS, ProductSpeed, TimedRun, Training, Window, watch_cost
from bpcli.engine.network import Network, PlacedLayer
from bpcli.engine.team import Team
from bpcli.engine.training.divergence import NotFiniteError
from bpcli.engine.training.step import make_step

PRODUCT_SECONDS = 0.05  # between two measurements of the machine's speed


@dataclass(frozen=True)
class LayerCost:
    """A layer in one step: its seconds and its multiply-adds, forward and backward."""

    name: str
    forward: float
    backward: float
    forward_work: float
    backward_work: float

    @property
    def seconds(self) -> float:
        """Both ways."""
        return self.forward + self.backward

    @property
    def work(self) -> float:
        """Multiply-adds both ways."""
        return self.forward_work + self.backward_work


@dataclass(frozen=True)
class StepProfile:
    """The cost of one step in seconds: a mean over the steps that were measured.

    step: as `train` takes it, without stopwatches. It consists of: `layers`; `data`, fetching the batch; `loss`, with
    the output activation; `update`, the optimizer, or the work of a full-batch method between its evaluations of the
    gradient; `normal_equations` of such a method; and `rest`. The times of shards that run in parallel are scaled to
    wall-clock time.
    watched: a step with stopwatches. watches: the part of it that they cost. steps: how many of these were averaged.
    evaluations: of the gradient, in a step. samples: in a step, a mean over an epoch. shards: in a whole batch.
    threads: the number of threads for the shards. one_thread, all_threads: FLOP/s of a matrix product on one thread,
    and on `threads` together. buffers: bytes that the step's parts hold. made_anew: bytes that a step allocates and
    frees.
    """

    step: float
    layers: tuple[LayerCost, ...]
    data: float
    loss: float
    update: float
    normal_equations: float
    watched: float
    watches: float
    steps: int
    evaluations: float
    samples: float
    shards: int
    threads: int
    one_thread: float
    all_threads: float
    buffers: int
    made_anew: int

    @property
    def parts(self) -> float:
        """The seconds of all parts with a stopwatch."""
        return sum(layer.seconds for layer in self.layers) + self.data + self.loss + self.update + self.normal_equations

    @property
    def rest(self) -> float:
        """Seconds between the parts: the loop, shuffling, an epoch's end. If negative, it is noise."""
        return self.step - self.parts

    @property
    def work(self) -> float:
        """Multiply-adds of all layers."""
        return sum(layer.work for layer in self.layers)


def profile_step(training: Training, plain: TimedRun, *, seconds: float) -> StepProfile:
    """Profiles training for about that many seconds.

    Training alternates between windows with and without stopwatches. Of each kind the quickest third counts, which
    other programs disturb least. The steps of a full-batch optimizer differ, so there all windows count, and both kinds
    run through the same steps.

    Args:
        plain: a run of this training, which is continued.

    Raises:
        DivergenceError: as in training.
    """
    threads, batches = training.options.threads, training.batches
    cost = watch_cost()
    with Team(threads) as team:
        shards, buffers, made_anew = _of_one_step(training, team)
        watched, speed = TimedRun(training, cost), ProductSpeed(plain.state.theta.dtype, threads)
        if plain.report is not None and not plain.ended:
            watched.advance(0.0, plain.state.step)
        plains, watcheds = list[Window](), list[Window]()
        begun = due = perf_counter()
        while not plains or perf_counter() - begun < seconds:
            if perf_counter() >= due:
                speed.sample(team)
                due = perf_counter() + PRODUCT_SECONDS
            if plain.ended or watched.ended:
                plain, watched = TimedRun(training), TimedRun(training, cost)
            plains += plain.advance(WINDOW_SECONDS)
            watcheds += watched.advance(0.0, plain.state.step)
    if not training.optimizer.full_batch:
        plains, watcheds = _quickest(plains), _quickest(watcheds)
    steps = sum(window.steps for window in watcheds)
    each = np.sum([window.taken for window in watcheds], axis=0) / steps
    evaluations, watches, data, loss, update, normal_equations = (float(value) for value in each[:6])
    forward, backward = np.split(each[6:], 2)
    samples = batches.samples / batches.count
    return StepProfile(
        step=sum(window.seconds for window in plains) / sum(window.steps for window in plains),
        layers=_layers(training.network, forward, backward, samples * evaluations),
        data=data,
        loss=loss,
        update=update,
        normal_equations=normal_equations,
        watched=sum(window.seconds for window in watcheds) / steps,
        watches=watches,
        steps=steps,
        evaluations=evaluations,
        samples=samples,
        shards=shards,
        threads=threads,
        one_thread=speed.one_thread,
        all_threads=speed.all_threads,
        buffers=buffers,
        made_anew=made_anew,
    )


def _quickest(windows: Sequence[Window]) -> list[Window]:
    """The quickest third of the windows, which was disturbed least."""
    return sorted(windows, key=lambda window: window.seconds / window.steps)[: -(-len(windows) // 3)]


def _of_one_step(training: Training, team: Team) -> tuple[int, int, int]:
    """Shards of a whole batch; bytes that a step's parts hold beside the state; bytes that a step allocates."""
    state, n = training.start(), training.batches.size
    rows: list[slice | Array] = [slice(0, n)] * 2  # one object: the full batch is fetched once
    if n < len(training.samples):
        order = training.samples.order(state.shuffle)
        rows = [order[0:n], order[0:n]]
    tracemalloc.start()
    try:
        step = make_step(
            training.network,
            training.loss,
            training.optimizer,
            training.samples,
            state,
            training.unhurried,
            schedule=training.schedule,
            team=team,
        )
        with np.errstate(all="ignore"), suppress(NotFiniteError):  # training itself reports what is not finite
            step(rows[0], n)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        with np.errstate(all="ignore"), suppress(NotFiniteError):
            step(rows[1], n)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    gradient = step.gradients[n]
    return len(gradient.shards), held - gradient.grad.nbytes, peak - held


def _layers(network: Network, forward: Array, backward: Array, samples: float) -> tuple[LayerCost, ...]:
    """The layers' seconds in a step, and their multiply-adds for that many samples."""
    costs = []
    for k, (placed, ahead, back) in enumerate(zip(network.placed, forward, backward, strict=True)):
        work = samples * multiply_adds(placed)
        costs.append(LayerCost(placed.name, float(ahead), float(back), work, work * (2 if k else 1)))
    return tuple(costs)


def multiply_adds(placed: PlacedLayer) -> int:
    """Multiply-adds of the layer's matrix product for one sample, forward; 0 for a layer without one.

    Backward takes as many for dL/dW, and as many again for dL/dx, which the first layer leaves out.
    """
    spec = placed.spec.param_specs(placed.in_shape).get("W")
    if spec is None or len(spec.shape) < 2 or spec.shape == placed.out_shape:  # not a matrix product
        return 0
    return math.prod(spec.shape) * math.prod(placed.out_shape[1:])
