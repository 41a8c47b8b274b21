"""What a training step spends on each of its parts, beside what it takes as a whole, undisturbed."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import NamedTuple

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.network import Network, PlacedLayer
from bpcli.engine.product_speed import ProductSpeed
from bpcli.engine.protocols import FullBatchOptimizer
from bpcli.engine.stopwatch import WatchCost, watch_cost
from bpcli.engine.team import Team
from bpcli.engine.watched import WINDOW_SECONDS, PlainRun, Training, WatchedRun

PRODUCT_SECONDS = 0.05  # between two looks at the machine's speed


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

    step: as `train` takes it, with no stopwatch anywhere. Of it go to: `layers`; `data`, fetching the batch; `loss`,
    with the output activation; `update`, the optimizer, or what a full-batch method does between its evaluations of
    the gradient; `normal_equations` of such a method; and `rest`. Where shards are worked on side by side, their times
    count as far as they pass on the clock.
    watched: a step under stopwatches. watches: what they cost of it. steps: how many of these count.
    evaluations: of the gradient, in a step. samples: in a step, a mean over an epoch. shards: in a whole batch.
    threads: that the shards are worked on by. one_thread, all_threads: FLOP/s of a matrix product on one thread, and
    on `threads` together. buffers: bytes that the step's parts hold. made_anew: bytes that a step makes and lets go.
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
        """Seconds of all that a stopwatch was on."""
        return sum(layer.seconds for layer in self.layers) + self.data + self.loss + self.update + self.normal_equations

    @property
    def rest(self) -> float:
        """Seconds between the parts: the loop, shuffling, an epoch's end. Below 0 it says how far noise goes."""
        return self.step - self.parts

    @property
    def work(self) -> float:
        """Multiply-adds of all layers."""
        return sum(layer.work for layer in self.layers)


def profile_step(training: Training, plain: PlainRun, *, seconds: float) -> StepProfile:
    """Measures for about that long.

    Training as it is and training under stopwatches take turns, with as many steps each. Of each kind of turn the
    quickest third counts, which other programs disturb least; with a full-batch optimizer, whose steps differ, all do.

    Args:
        plain: a run of this training, which is trained on.

    Raises:
        DivergenceError: as in training.
    """
    shards, threads = training.shards(training.batch_size), training.options.threads
    with Team(threads) as team:
        watched, buffers, made_anew = _with_its_memory(training, team)
        cost, speed = watch_cost(), ProductSpeed(plain.state.theta.dtype, threads)
        turns = list[_Turn]()
        begun = due = perf_counter()
        while not turns or perf_counter() - begun < seconds:
            if perf_counter() >= due:
                speed.sample(team)
                due = perf_counter() + PRODUCT_SECONDS
            if plain.ended:
                plain, watched = PlainRun(training), WatchedRun(training, team)
                watched.steps(1)
                watched.take(cost)
            turns += _turns(plain, watched, cost)
    if isinstance(training.optimizer, FullBatchOptimizer):
        plains = watcheds = turns
    else:
        plains, watcheds = (_quickest(turns, seconds) for seconds in (_Turn.plain_step, _Turn.watched_step))
    steps = sum(turn.steps for turn in watcheds)
    each = np.sum([turn.taken for turn in watcheds], axis=0) / steps
    evaluations, watches, data, loss, update, normal_equations = (float(value) for value in each[:6])
    forward, backward = np.split(each[6:], 2)
    samples = sum(high - low for low, high in training.bounds) / training.iterations
    return StepProfile(
        step=sum(turn.plain for turn in plains) / sum(turn.steps for turn in plains),
        layers=_layers(training.network, forward, backward, samples * evaluations),
        data=data,
        loss=loss,
        update=update,
        normal_equations=normal_equations,
        watched=sum(turn.watched for turn in watcheds) / steps,
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


class _Turn(NamedTuple):
    """As many steps each way, their seconds, and what the stopwatches took; see `WatchedRun.take`."""

    steps: int
    plain: float
    watched: float
    taken: Array

    def plain_step(self) -> float:
        return self.plain / self.steps

    def watched_step(self) -> float:
        return self.watched / self.steps


def _quickest(turns: Sequence[_Turn], seconds: Callable[[_Turn], float]) -> list[_Turn]:
    """The third of the turns that was disturbed least."""
    return sorted(turns, key=seconds)[: -(-len(turns) // 3)]


def _turns(plain: PlainRun, watched: WatchedRun, cost: WatchCost) -> list[_Turn]:
    windows = plain.advance(WINDOW_SECONDS)
    return [_Turn(steps, seconds, watched.steps(steps), watched.take(cost)) for steps, seconds in windows]


def _with_its_memory(training: Training, team: Team) -> tuple[WatchedRun, int, int]:
    """A run after its first steps; bytes that its parts hold beside its state, and bytes that a step makes anew."""
    tracemalloc.start()
    try:
        run = WatchedRun(training, team)
        run.steps(1)
        run.take(WatchCost(0.0, 0.0))
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        run.steps(1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    run.take(WatchCost(0.0, 0.0))
    state = run.state
    own = [state.theta, state.stats, run.grad, *state.vectors.values()]
    return run, held - sum(vector.nbytes for vector in own), peak - held


def _layers(network: Network, forward: Array, backward: Array, samples: float) -> tuple[LayerCost, ...]:
    """The layers' seconds in a step, and their multiply-adds for that many samples."""
    costs = []
    for k, (placed, ahead, back) in enumerate(zip(network.placed, forward, backward, strict=True)):
        work = samples * multiply_adds(placed)
        costs.append(LayerCost(placed.name, float(ahead), float(back), work, work * (2 if k else 1)))
    return tuple(costs)


def multiply_adds(placed: PlacedLayer) -> int:
    """Of the layer's matrix product for one sample, forward; 0 for a layer without one.

    Backward takes as many for dL/dW, and as many again for dL/dx, which the first layer leaves out.
    """
    spec = placed.spec.param_specs(placed.in_shape).get("W")
    if spec is None or len(spec.shape) < 2 or spec.shape == placed.out_shape:  # a factor for each number is no product
        return 0
    return math.prod(spec.shape) * math.prod(placed.out_shape[1:])
