"""The gradient check of a config or a run: what it is computed on, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bpcli.build.model import Model
from bpcli.build.session import open_session
from bpcli.config.load import load_config
from bpcli.data.types import Part
from bpcli.engine.arrays import Array
from bpcli.engine.measure.gradcheck import TOLERANCE, ArrayCheck, LossAt, check_arrays
from bpcli.engine.objective import penalty_of
from bpcli.errors import DataError, GradientError
from bpcli.system import one_blas_thread
from bpcli.workflows.trained import TrainedModel

MOST_SAMPLES = 16  # in the batch: more make the check slower, not better
MOVED = 1e-3  # standard deviation


@dataclass(frozen=True)
class Gradients:
    """The check of every array of parameters, on so many samples of the training split, where the loss is `loss`."""

    samples: int
    loss: float
    arrays: tuple[ArrayCheck, ...]

    def raise_if_wrong(self) -> None:
        """Ends the command.

        Raises:
            GradientError: the gradients of an array are wrong, or could not be told.
        """
        wrong = [array.name for array in self.arrays if array.worst > TOLERANCE]
        if wrong:
            message = f"wrong gradients: {', '.join(wrong)}"
            raise GradientError(f"{message}: correct `backward` of the last of these layers, or of a part behind it")
        if unknown := [array.name for array in self.arrays if not array.passed]:
            raise GradientError(
                f"no gradient of {', '.join(unknown)} could be checked: kinks are everywhere, or rounding hides them; "
                "take another --seed, or scale the data"
            )


def check_config(
    path: Path, overrides: Sequence[str], notify: Callable[[str], None], most: int, seed: int
) -> Gradients:
    """Checks the gradients at the initial weights of a config.

    Raises:
        ConfigError, DataError: the config or its data cannot be used.
    """
    session = open_session(load_config(path, overrides))
    for note in session.datasets.notes:
        notify(note)
    state = session.start()
    return _check(session.model, session.datasets.parts["train"], state.theta, state.stats, most, seed)


def check_run(path: Path, which: str | None, notify: Callable[[str], None], most: int, seed: int) -> Gradients:
    """Checks the gradients at the weights of a run.

    Raises:
        RunError: it has no checkpoint that can be used, or its data has changed.
    """
    trained = TrainedModel.load(path, which=which)
    for note in trained.notes:
        notify(note)
    return _check(trained.model, trained.training_part(), trained.theta, trained.stats, most, seed)


def _check(model: Model, part: Part, theta: Array, stats: Array, most: int, seed: int) -> Gradients:
    """The check on the first samples, with every weight moved a little, so that none sits on a kink by rule.

    With biases of 0, for example, a sample of zeros has z = 0 in every unit, where relu has no derivative.
    """
    rng = np.random.default_rng(seed)
    network, config, samples = model.network, model.config, model.samples(part)
    n = min(len(samples), config.training.options(threads=1).batch_size or len(samples), MOST_SAMPLES)
    rows = slice(0, n)
    x, y = np.empty((n, *network.in_shape), theta.dtype), np.empty((n, *network.out_shape), theta.dtype)
    samples.fetch(rows, x, y)
    weights = None if samples.weights is None else samples.weights[rows].astype(np.float64)
    with one_blas_thread(), np.errstate(all="ignore"):
        loss_at = LossAt(
            network,
            config.loss,
            theta.astype(np.float64) + rng.normal(0.0, MOVED, theta.size),
            x.astype(np.float64),
            y.astype(np.float64),
            stats=stats,
            weights=weights,
            penalty=penalty_of(config.optimizer),
        )
        loss = loss_at()
        if not np.isfinite(loss):
            raise DataError(f"the loss of the first {n} samples is {loss}: there is no gradient to check")
        return Gradients(n, loss, tuple(check_arrays(loss_at, most, rng)))
