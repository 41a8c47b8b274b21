"""Numerical gradients by central differences, compared with the analytic ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bpcli.engine.arrays import Array, Scale
from bpcli.engine.network import Network
from bpcli.engine.objective import Objective, Penalty, batch_scale
from bpcli.engine.protocols import Loss

TOLERANCE = 1e-5  # of the larger of the two gradients; the differences are mostly good to 1e-8
STEPS = (2e-4, 2e-5, 2e-6, 2e-7)  # the next one is tried where a kink or a large input makes the differences disagree


@dataclass(frozen=True)
class GradientCheck:
    """worst: the largest relative error |a - n| / max(|a|, |n|, floor), and the parameter where it is.

    halved: the numeric gradients with half the step. If they differ from `numeric`, a kink is near.
    """

    worst: float
    where: str
    analytic: Array
    numeric: Array
    halved: Array


def check_gradients(
    network: Network, loss: Loss, theta: Array, x: Array, y: Array, *, step: float = 2e-4, floor: float = 1e-5
) -> GradientCheck:
    """Compares dL/dtheta by back-propagation with a central difference for each parameter.

    A kink within 2 steps (relu at 0) makes the difference wrong: keep the inputs away from kinks.

    Args:
        theta: (P,) float64. x: (N, *in_shape). y: (N, M).
        step: h of `LossAt.differences`.
        floor: gradients smaller than this are compared absolutely, since rounding hides their relative error.
    """
    loss_at = LossAt(network, loss, theta, x, y)
    analytic = loss_at.gradient()
    pairs = [loss_at.differences(i, step) for i in range(theta.size)]
    numeric, halved = np.array(pairs).reshape(-1, 2).T
    size = np.maximum(np.maximum(np.abs(analytic), np.abs(numeric)), floor)
    errors = np.abs(analytic - numeric) / size
    at = int(errors.argmax())
    return GradientCheck(float(errors[at]), network.layout.owner(at), analytic, numeric, halved)


class LossAt:
    """The loss of one batch as a function of theta, in float64.

    Args:
        theta: (P,), copied. x: (N, *in_shape). y: (N, M).
        stats: the layers' running statistics; by default new ones. They are copied.
        weights: (N, 1), the factor on each sample's loss; None if all are 1.
        penalty: what training adds to the loss.
    """

    def __init__(
        self,
        network: Network,
        loss: Loss,
        theta: Array,
        x: Array,
        y: Array,
        *,
        stats: Array | None = None,
        weights: Array | None = None,
        penalty: Penalty = Penalty(),  # noqa: B008  # it is frozen
    ) -> None:
        self.network, self.x, self.y, self.penalty = network, x, y, penalty
        self.theta = theta.astype(np.float64)
        self.grad = np.empty_like(self.theta)
        self.noise = np.random.default_rng(0)
        self.start = self.noise.bit_generator.state
        stats = None if stats is None else stats.astype(np.float64)
        self.stack = network.bind(self.theta, self.grad, len(x), stats=stats, noise=self.noise)
        self.objective = Objective(loss, network.output_activation, len(x), network.out_shape, "float64")
        scale = batch_scale(loss, len(x))
        self.scale: Scale = scale if weights is None else weights * scale

    def __call__(self) -> float:
        """The loss at theta, with its penalty."""
        return self._value_and_delta()[0]

    def gradient(self) -> Array:
        """dL/dtheta by back-propagation, (P,)."""
        self.stack.backward(self._value_and_delta()[1])
        grad = self.grad.copy()
        self.penalty.add_gradient(self.theta, grad, np.empty_like(grad), self.network.decay_mask)
        return grad

    def differences(self, i: int, step: float) -> tuple[float, float]:
        """dL/dtheta[i] as a difference with this step h, and with half of it.

        The difference is of fourth order, [8 (L(h) - L(-h)) - (L(2h) - L(-2h))] / 12h: its truncation error is about
        h^4, while that of the simple difference is h^2; rounding adds 1e-16 / h.
        """
        close, near, far = (self._shifted(i, h) - self._shifted(i, -h) for h in (step / 2, step, 2 * step))
        return (8 * near - far) / (12 * step), (8 * close - near) / (6 * step)

    def _shifted(self, i: int, shift: float) -> float:
        centre = self.theta[i]
        self.theta[i] = centre + shift
        value = self()
        self.theta[i] = centre
        return value

    def _value_and_delta(self) -> tuple[float, Array]:
        self.noise.bit_generator.state = self.start  # the same noise every time, so that the loss is a function
        logits = self.stack.forward(self.x, training=True)
        value, delta = self.objective.value_and_delta(logits, self.y, self.scale)
        if self.penalty != Penalty():
            value += self.penalty.value(self.theta, self.network.decay_mask)
        return value, delta


@dataclass(frozen=True)
class ArrayCheck:
    """The check of one array of parameters, called "dense_1.W" or the like.

    size: its numbers, of which `checked` were compared. undecided: how many of these have no numerical gradient, since
    the differences with one step and with half of it disagree. worst: the largest relative error of the others, at
    `index`, where the two gradients are `analytic` and `numeric`; NaN and an empty index if all are undecided.
    """

    name: str
    size: int
    checked: int
    undecided: int
    worst: float
    index: tuple[int, ...]
    analytic: float
    numeric: float

    @property
    def passed(self) -> bool:
        """Whether some gradients were compared and none was wrong."""
        return self.worst <= TOLERANCE


def check_arrays(loss_at: LossAt, most: int, rng: np.random.Generator) -> Iterator[ArrayCheck]:
    """Compares the gradients of each array of parameters with differences; of a large one `most` numbers at random.

    A difference counts if half its step gives the same to within the tolerance; otherwise smaller steps are tried.
    """
    analytic = loss_at.gradient()
    floor = 1e-6 * abs(loss_at()) + 1e-12  # rounding of the loss hides what is smaller
    for name, part in loss_at.network.layout.slices.items():
        shape, size = loss_at.network.layout.specs[name].shape, part.stop - part.start
        places = np.arange(size) if size <= most else np.sort(rng.choice(size, most, replace=False))
        decided = []
        for place in places.tolist():
            a = float(analytic[part.start + place])
            numeric = _numeric(loss_at, part.start + place, a, floor)
            if numeric is not None:
                error = abs(a - numeric) / max(abs(a), abs(numeric), floor)
                decided.append((error if np.isfinite(error) else np.inf, place, a, numeric))
        worst, place, a, numeric = max(decided, default=(np.nan, -1, np.nan, np.nan))
        index = tuple(map(int, np.unravel_index(place, shape))) if decided else ()
        yield ArrayCheck(name, size, len(places), len(places) - len(decided), worst, index, a, numeric)


def _numeric(loss_at: LossAt, i: int, analytic: float, floor: float) -> float | None:
    """The difference with the largest step that half of the step confirms; None if none does."""
    for step in STEPS:
        numeric, halved = loss_at.differences(i, step)
        if abs(numeric - halved) <= TOLERANCE * max(abs(analytic), abs(numeric), floor):
            return numeric
    return None
