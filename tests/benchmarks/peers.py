"""One training step, as bpcli and each peer do it: everything in it, from the batch's rows to the new weights.

A peer is written as a competent user writes it: data in memory as float32, batches gathered by a permutation drawn
anew for each epoch, no copies that can be left out, no value read back but what the tool itself reads. Each has
`steps(n)`, which does about n steps and gives how many they were. Where the batch is the whole data (xor), nobody
gathers or shuffles.
"""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from benchmarks.cases import ROOT, StepCase

Array = np.ndarray[Any, Any]

FOR_EVER = 10**12
CONFIGS = {"xor": "xor.yaml", "dense": "mnist-128.yaml", "lenet": "lenet-mnist.yaml"}
XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32), np.array([0, 1, 1, 0])


class Peer(Protocol):
    """A tool with a network and data of its own."""

    def steps(self, n: int) -> int:
        """Trains for at least n steps; gives how many were done."""
        ...


def data_of(case: StepCase, folder: Path) -> tuple[Array, Array]:
    """x (N, D) or (N, 1, 28, 28), float32; y (N,), int64. N is a multiple of the batch."""
    if case.kind == "xor":
        return XOR
    x, y = np.load(folder / "x.npy"), np.load(folder / "y.npy")
    n = len(x) // case.batch * case.batch
    return (x[:n].reshape(-1, 1, 28, 28) if case.kind == "lenet" else x[:n]), y[:n]


class Bpcli:
    """`bpcli.engine.training.trainer.train`, on as many threads as `bpcli train` takes, epoch after epoch."""

    def __init__(self, case: StepCase, x: Array, y: Array) -> None:
        from bpcli.build.session import check_alone
        from bpcli.config.load import load_config
        from bpcli.engine.training.options import TrainOptions
        from bpcli.engine.training.samples import Samples
        from bpcli.engine.training.state import TrainState
        from bpcli.engine.training.trainer import train
        from bpcli.system import one_blas_thread, usable_cpus

        overrides = [f"optimizer={{type: sgd, learning_rate: {case.learning_rate}}}", "dtype=float32"]
        if case.layers:
            overrides.append(f"network.layers={list(case.layers)}")
        file = load_config(ROOT / "configs" / CONFIGS[case.kind], overrides)
        config, network = file.config, check_alone(file)
        assert network is not None  # its input is in the config
        codes = np.array([[0.0], [1.0]], np.float32) if case.kind == "xor" else np.eye(10, dtype=np.float32)
        options = TrainOptions(epochs=FOR_EVER, batch_size=case.batch, threads=usable_cpus())
        self.state = TrainState.start(network, config.optimizer, seed=0, dtype="float32")
        self.blas = one_blas_thread()
        self.blas.__enter__()  # for the life of the process
        self.reports = train(network, config.loss, config.optimizer, Samples(x, y, codes), self.state, options)

    def steps(self, n: int) -> int:
        """Takes reports, one an epoch and some within a long one, until n steps are done."""
        before = self.state.step
        for report in self.reports:
            if report.step - before >= n:
                return report.step - before
        raise AssertionError("training has no end here")


def batches(n: int, size: int, permutation: Callable[[int], Any]) -> Iterator[Any]:
    """The rows of each batch, for ever, in an order drawn anew for each epoch."""
    while True:
        order = permutation(n)
        for low in range(0, n, size):
            yield order[low : low + size]


class Torch:
    """PyTorch, eager, as its tutorials have it, but for the DataLoader: a permutation as an index is faster."""

    def __init__(self, case: StepCase, x: Array, y: Array) -> None:
        import torch
        from torch import nn

        torch.manual_seed(0)
        self.x, self.y = torch.from_numpy(x), torch.from_numpy(y)
        if case.kind == "xor":
            layers = [nn.Linear(2, 4), nn.Sigmoid(), nn.Linear(4, 1), nn.Sigmoid()]
            self.loss, self.y = nn.functional.mse_loss, self.y.float()[:, None]
        elif case.kind == "lenet":
            layers = [
                *(nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
                *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
                *(nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)),
            ]
            self.loss = nn.functional.cross_entropy
        else:
            pairs = zip(case.layers, case.layers[1:], strict=False)
            layers = [part for inputs, units in pairs for part in (nn.Linear(inputs, units), nn.ReLU())][:-1]
            self.loss = nn.functional.cross_entropy
        self.model = nn.Sequential(*layers)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=case.learning_rate)
        self.rows = None if len(x) == case.batch else batches(len(x), case.batch, torch.randperm)

    def steps(self, n: int) -> int:
        model, loss, optimizer = self.model, self.loss, self.optimizer
        x, y = self.x, self.y
        for _ in range(n):
            if self.rows is not None:
                rows = next(self.rows)
                x, y = self.x.index_select(0, rows), self.y.index_select(0, rows)
            optimizer.zero_grad(set_to_none=True)
            loss(model(x), y).backward()
            optimizer.step()
        return n


class Sklearn:
    """`MLPClassifier`: `partial_fit` on as many batches as are asked for; xor by `fit`, one epoch a step.

    It has log-likelihood only, also for xor. It shuffles and gathers within what `partial_fit` is given, a view of the
    next rows, and checks the data once a call.
    """

    def __init__(self, case: StepCase, x: Array, y: Array) -> None:
        from sklearn.neural_network import MLPClassifier

        warnings.filterwarnings("ignore", message="Stochastic Optimizer: Maximum iterations")
        self.x, self.y, self.batch, self.low = x, y, case.batch, 0
        self.whole = len(x) == case.batch
        self.model = MLPClassifier(
            case.layers[1:-1],
            activation="logistic" if case.kind == "xor" else "relu",
            solver="sgd",
            alpha=0,
            batch_size=case.batch,
            learning_rate_init=case.learning_rate,
            shuffle=not self.whole,
            random_state=0,
            tol=0,
            momentum=0,
            nesterovs_momentum=False,
            n_iter_no_change=np.inf,
            warm_start=self.whole,
        )

    def steps(self, n: int) -> int:
        if self.whole:
            self.model.set_params(max_iter=n).fit(self.x, self.y)
            return n
        done = 0
        while done < n:
            high = min(self.low + (n - done) * self.batch, len(self.x))
            self.model.partial_fit(self.x[self.low : high], self.y[self.low : high], classes=range(10))
            done += (high - self.low) // self.batch
            self.low = high % len(self.x)
        return done


class Jax:
    """One jitted step, the gathering in it; parameters donated, so that they are updated in place."""

    def __init__(self, case: StepCase, x: Array, y: Array) -> None:
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        import jax
        import jax.numpy as jnp

        self.x, self.y = jnp.asarray(x), jnp.asarray(y, jnp.int32)
        if case.kind == "xor":
            self.y = self.y.astype(jnp.float32)[:, None]
        rng = np.random.default_rng(0)
        self.parameters = [
            (jnp.asarray(_he_normal(rng, shape)), jnp.zeros(shape[-1], jnp.float32)) for shape in _jax_shapes(case)
        ]
        whole = len(x) == case.batch
        loss_of = functools.partial(_jax_loss, case.kind)
        rate = case.learning_rate

        @functools.partial(jax.jit, donate_argnums=0)
        def step(parameters: Any, x: Any, y: Any, rows: Any) -> Any:
            if not whole:
                x, y = x.at[rows].get(mode="promise_in_bounds"), y.at[rows].get(mode="promise_in_bounds")
            loss, gradient = jax.value_and_grad(loss_of)(parameters, x, y)
            return jax.tree.map(lambda p, g: p - rate * g, parameters, gradient), loss

        self.step, self.wait = step, jax.block_until_ready
        self.rows = None if whole else batches(len(x), case.batch, lambda n: rng.permutation(n).astype(np.int32))

    def steps(self, n: int) -> int:
        parameters, step, x, y, rows = self.parameters, self.step, self.x, self.y, self.rows
        for _ in range(n):
            parameters, _loss = step(parameters, x, y, None if rows is None else next(rows))
        self.parameters = self.wait(parameters)
        return n


def _jax_shapes(case: StepCase) -> list[tuple[int, ...]]:
    """Of the weights: (inputs, units), and for images (height, width, channels, filters), as XLA likes them."""
    if case.kind == "lenet":
        return [(5, 5, 1, 6), (5, 5, 6, 16), (400, 120), (120, 84), (84, 10)]
    return list(zip(case.layers, case.layers[1:], strict=False))


def _he_normal(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return rng.normal(0.0, (2 / np.prod(shape[:-1])) ** 0.5, shape).astype(np.float32)


def _jax_loss(kind: str, parameters: Any, x: Any, y: Any) -> Any:
    """The mean loss of a batch."""
    import jax
    import jax.numpy as jnp

    if kind == "xor":
        for W, b in parameters:
            x = jax.nn.sigmoid(x @ W + b)
        return jnp.mean((x - y) ** 2)
    if kind == "lenet":
        x = x.reshape(-1, 28, 28, 1)
        for (W, b), padding in zip(parameters[:2], ("SAME", "VALID"), strict=True):
            z = jax.lax.conv_general_dilated(x, W, (1, 1), padding, dimension_numbers=("NHWC", "HWIO", "NHWC"))
            a = jax.nn.relu(z + b)
            x = jax.lax.reduce_window(a, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        x, parameters = x.reshape(len(x), -1), parameters[2:]
    *hidden, (W, b) = parameters
    for V, c in hidden:
        x = jax.nn.relu(x @ V + c)
    log_p = jax.nn.log_softmax(x @ W + b)
    return -jnp.mean(jnp.take_along_axis(log_p, y[:, None], axis=1))


TOOLS: dict[str, Callable[[StepCase, Array, Array], Peer]] = {
    "bpcli": Bpcli,
    "torch": Torch,
    "sklearn": Sklearn,
    "jax": Jax,
}
