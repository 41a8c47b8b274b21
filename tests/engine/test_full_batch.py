"""Methods that work on the whole training set: their steps, the problem they are given, and training with them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from contract import LeastSquares

from bpcli.build.session import check_alone
from bpcli.config.load import load_config
from bpcli.engine import registry
from bpcli.engine.layers.dense import Dense
from bpcli.engine.losses.mse import MSE
from bpcli.engine.network import LayerEntry, Network
from bpcli.engine.optimizers._line_search import Trial, strong_wolfe
from bpcli.engine.protocols import FullBatchOptimizer
from bpcli.engine.training import full_batch
from bpcli.engine.training.evaluation import predict
from bpcli.engine.training.full_batch import NormalEquations, TrainingProblem, UnfinishedIterationError
from bpcli.engine.training.gradient import BatchGradient
from bpcli.engine.training.options import TrainOptions
from bpcli.engine.training.samples import Samples
from bpcli.engine.training.state import TrainState
from bpcli.engine.training.trainer import Report, train
from bpcli.errors import ConfigError

METHODS = [
    name for name in registry.optimizers.names() if isinstance(registry.optimizers.get(name)(), FullBatchOptimizer)
]
XOR = Samples(np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([[0.0], [1.0], [1.0], [0.0]]))


def made(name: str, **keys: Any) -> Any:
    return registry.optimizers.get(name)(**keys)


def entry(units: int, activation: str | None = None, *, bias: bool = True, **keys: Any) -> LayerEntry:
    function = registry.activations.get(activation)() if activation else None
    return LayerEntry(spec=Dense(units=units, bias=bias), activation=function, **keys)


def layer(name: str, **keys: Any) -> LayerEntry:
    return LayerEntry(spec=registry.layers.get(name)(**keys))


class Run:
    """Iterations of a method on a problem."""

    def __init__(self, optimizer: Any, problem: Any, start: list[float]) -> None:
        self.optimizer, self.problem, self.theta = optimizer, problem, np.array(start)
        self.vectors = {name: np.zeros_like(self.theta) for name in optimizer.vector_names()}
        self.memory: dict[str, float] = {}
        self.losses: list[float] = []

    def iterate(self, times: int = 1) -> Run:
        for _ in range(times):
            t = len(self.losses) + 1
            value = self.optimizer.iterate(self.problem, self.theta, self.vectors, self.memory, t=t)
            self.losses.append(value)
        return self


def rosenbrock() -> LeastSquares:
    """L = 100 (y - x^2)^2 + (1 - x)^2, with its minimum 0 at (1, 1)."""
    root = np.sqrt(2.0)
    return LeastSquares(
        lambda v: root * np.array([10.0 * (v[1] - v[0] ** 2), 1.0 - v[0]]),
        lambda v: root * np.array([[-20.0 * v[0], 10.0], [-1.0, 0.0]]),
    )


def quadratic(matrix: np.ndarray, target: np.ndarray) -> LeastSquares:
    """L = (1/2) (v - target)^T A (v - target), A = matrix^T matrix."""
    return LeastSquares(lambda v: matrix @ (v - target), lambda v: matrix)


@pytest.mark.parametrize(
    ("name", "iterations"), [("lbfgs", 60), ("levenberg_marquardt", 60), ("scaled_conjugate_gradient", 300)]
)
def test_comes_down_rosenbrocks_valley(name: str, iterations: int) -> None:
    run = Run(made(name), rosenbrock(), [-1.2, 1.0]).iterate(iterations)
    np.testing.assert_allclose(run.theta, [1.0, 1.0], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "iterations"),
    [
        ("lbfgs", 60),
        ("levenberg_marquardt", 30),
        ("scaled_conjugate_gradient", 60),
        ("gradient_descent_adaptive", 3000),
    ],
)
def test_finds_the_minimum_of_a_quadratic(name: str, iterations: int) -> None:
    rng = np.random.default_rng(0)
    matrix = np.diag([1.0, 2.0, 3.0, 5.0, 7.0]) @ np.linalg.qr(rng.normal(size=(5, 5)))[0]
    target = rng.normal(size=5)
    run = Run(made(name), quadratic(matrix, target), [0.0] * 5).iterate(iterations)
    np.testing.assert_allclose(run.theta, target, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in METHODS if name != "gradient_descent_adaptive"])
def test_the_loss_never_rises(name: str) -> None:
    losses = Run(made(name), rosenbrock(), [-1.2, 1.0]).iterate(40).losses
    assert losses == sorted(losses, reverse=True)


@pytest.mark.parametrize("name", METHODS)
def test_at_a_minimum_theta_stays_as_it_is(name: str) -> None:
    run = Run(made(name), rosenbrock(), [1.0, 1.0]).iterate(3)
    assert run.theta.tolist() == [1.0, 1.0]
    assert all(np.isfinite(value) for value in run.memory.values())


@pytest.mark.parametrize("name", METHODS)
def test_a_problem_that_cannot_be_lowered_leaves_theta(name: str) -> None:
    """A gradient with the wrong sign: every step goes up."""

    class Wrong(LeastSquares):
        def value_and_grad(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
            value, grad = super().value_and_grad(theta)
            return value, -grad

        def normal_equations(self, theta: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
            value, jtj, jtr = super().normal_equations(theta)
            return value, jtj, -jtr

    problem = Wrong(lambda v: np.exp(v), lambda v: np.diag(np.exp(v)))
    keys = {"max_perf_inc": 1.0} if name == "gradient_descent_adaptive" else {}
    run = Run(made(name, **keys), problem, [0.5, -0.5]).iterate(2)
    np.testing.assert_allclose(run.theta, [0.5, -0.5], rtol=1e-9)


# --- L-BFGS ----------------------------------------------------------------------------------------------------------


def test_a_line_search_meets_the_strong_wolfe_conditions() -> None:
    """phi = (a - 3)^4 / 81 - a / 1000, from steps far too short, far too long, and of about the right length."""

    def phi(a: float) -> Trial:
        return Trial(a, (a - 3) ** 4 / 81 - a / 1000, 4 * (a - 3) ** 3 / 81 - 1e-3)

    start = phi(0.0)
    for first in (1e-3, 0.5, 3.0, 40.0):
        for c2 in (0.9, 0.1, 0.01):
            step = strong_wolfe(phi, start, first, c1=1e-4, c2=c2)
            assert step is not None
            assert step.value <= start.value + 1e-4 * step.alpha * start.slope
            assert abs(step.slope) <= c2 * abs(start.slope)


def test_a_line_search_comes_back_from_where_the_loss_is_not_finite() -> None:
    def phi(a: float) -> Trial:
        return Trial(a, -a, -1.0) if a < 0.01 else Trial(a, np.nan, np.nan)

    step = strong_wolfe(phi, phi(0.0), 1.0)
    assert step is not None
    assert 0 < step.alpha < 0.01


def test_a_line_search_lengthens_a_step_whose_decrease_drowns_in_rounding() -> None:
    """phi = 1 - 1e-17 a: below 1 only from a = 11.2 on, 2^-53 being half the distance to the number before 1."""

    def phi(a: float) -> Trial:
        return Trial(a, 1.0 - 1e-17 * a, -1e-17)

    step = strong_wolfe(phi, phi(0.0), 1.0, max_evaluations=10)
    assert step is not None
    assert (step.alpha, step.value) == (2.0**9, phi(2.0**9).value)
    assert step.value < 1.0


@pytest.mark.parametrize("slope", [-1.0, 0.0, 1.0])
def test_a_line_search_gives_no_step_that_lowers_the_loss_by_nothing(slope: float) -> None:
    assert strong_wolfe(lambda a: Trial(a, 1.0, slope), Trial(0.0, 1.0, -1e-30), 1.0) is None


def test_lbfgs_takes_the_gradient_where_its_own_direction_lowers_the_loss_by_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """f = x^2 + 1e-40 y, with -H g along y alone: x must move all the same, with a history begun anew."""

    class Flat(LeastSquares):
        def value_and_grad(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
            x, y = theta.tolist()
            return x * x + 1e-40 * y, np.array([2 * x, 1e-40])

    run = Run(made("lbfgs"), Flat(lambda v: v, lambda v: np.eye(2)), [1.0, 1.0])
    run.memory.update(pairs=1.0, newest=0.0)
    monkeypatch.setattr(type(run.optimizer), "_direction", lambda *arguments: np.array([0.0, -1.0]))
    run.iterate()
    assert run.theta[0] < 0.9
    assert run.memory["pairs"] == 1.0


def test_lbfgs_direction_is_that_of_the_bfgs_matrix() -> None:
    """-H g with H built by the BFGS formula (Nocedal & Wright 6.17), from H0 = (s^T y / y^T y) I."""
    run = Run(made("lbfgs", history=4), rosenbrock(), [-1.2, 1.0]).iterate(4)
    pairs = [(run.vectors[f"s_{k}"], run.vectors[f"y_{k}"]) for k in range(4)]
    assert run.memory["pairs"] == 4
    s, y = pairs[-1]
    inverse = (s @ y) / (y @ y) * np.eye(2)
    for s, y in pairs:
        rho = 1 / (s @ y)
        left = np.eye(2) - rho * np.outer(s, y)
        inverse = left @ inverse @ left.T + rho * np.outer(s, s)
    g = run.problem.value_and_grad(run.theta)[1]
    np.testing.assert_allclose(run.optimizer._direction(g, run.vectors, run.memory), -inverse @ g, rtol=1e-9)


def test_lbfgs_keeps_the_newest_pairs() -> None:
    run = Run(made("lbfgs", history=3), rosenbrock(), [-1.2, 1.0])
    thetas = [run.theta.copy()]
    for _ in range(5):
        thetas.append(run.iterate().theta.copy())
    for pair in (2, 3, 4):  # the fifth pair, number 4, lies where the second was
        np.testing.assert_array_equal(run.vectors[f"s_{pair % 3}"], thetas[pair + 1] - thetas[pair])
    assert run.memory["newest"] == 1.0


# --- Levenberg-Marquardt ---------------------------------------------------------------------------------------------


def test_one_step_with_no_damping_solves_linear_least_squares() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=(20, 2))
    network, optimizer = Network([entry(2)], (3,)), made("levenberg_marquardt", mu=1e-14)
    state = TrainState.start(network, optimizer, seed=0, dtype="float64")
    next(train(network, MSE(), optimizer, Samples(x, y), state, TrainOptions(epochs=2, batch_size=None)))
    solution = np.linalg.lstsq(np.column_stack([x, np.ones(20)]), y, rcond=None)[0]
    views = network.layout.views(state.theta)
    np.testing.assert_allclose(views["dense_1.W"], solution[:3].T, rtol=1e-9)
    np.testing.assert_allclose(views["dense_1.b"], solution[3], rtol=1e-9)


def test_a_damped_step_is_the_closed_form() -> None:
    """J = [[1, 2], [3, 4]], r = J v + (1, 0) at v = (1, 1): r = (4, 7), J^T r = (25, 36), J^T J = [[10, 14], [14, 20]].

    With mu = 2: [[12, 14], [14, 22]]^-1 (25, 36) = (22 * 25 - 14 * 36, 12 * 36 - 14 * 25) / 68 = (46, 82) / 68.
    """
    matrix = np.array([[1.0, 2.0], [3.0, 4.0]])
    problem = LeastSquares(lambda v: matrix @ v + np.array([1.0, 0.0]), lambda v: matrix)
    run = Run(made("levenberg_marquardt", mu=2.0), problem, [1.0, 1.0]).iterate()
    np.testing.assert_allclose(run.theta, [1 - 46 / 68, 1 - 82 / 68], rtol=1e-12)
    assert run.losses == [32.5]
    assert run.memory == {"mu": 0.2}


def test_mu_grows_until_the_loss_falls() -> None:
    """r = atan(v) at 3: an undamped step is -12.5 and overshoots; so it does with mu = 0.001 and 0.01, not with 0.1."""
    problem = LeastSquares(np.arctan, lambda v: np.diag(1 / (1 + v**2)))
    run = Run(made("levenberg_marquardt"), problem, [3.0]).iterate()
    steps = {mu: np.arctan(3.0) * 0.1 / (0.01 + mu) for mu in (0.001, 0.01, 0.1)}
    assert abs(3 - steps[0.001]) > 3 > abs(3 - steps[0.1])
    taken = next(mu for mu in steps if abs(3 - steps[mu]) < 3)
    np.testing.assert_allclose(run.theta, [3 - steps[taken]])
    assert run.memory["mu"] == pytest.approx(taken * 0.1)


NETWORKS: dict[str, tuple[list[LayerEntry], tuple[int, ...]]] = {
    "tanh": ([entry(4, "tanh"), entry(1)], (3,)),
    "relu, two outputs": ([entry(5, "relu"), entry(4, "relu"), entry(2)], (3,)),
    "sigmoid outputs": ([entry(3, "sigmoid"), entry(3, "sigmoid")], (2,)),
    "softmax outputs": ([entry(3, "gelu"), entry(3, "softmax")], (2,)),
    "no biases": ([entry(4, "tanh", bias=False), entry(2, "tanh", bias=False)], (3,)),
    "frozen": ([entry(4, "tanh", trainable=False), entry(3, "tanh", trainable="biases"), entry(2)], (3,)),
    "layer norm": ([entry(4), layer("layer_norm"), layer("prelu"), entry(2)], (3,)),
    "convolution": (
        [layer("conv2d", filters=2, kernel=2), layer("max_pool2d", size=2), layer("flatten"), entry(2, "tanh")],
        (1, 5, 5),
    ),
}


@pytest.mark.parametrize("loss_name", ["mse", "half_squared_error"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", NETWORKS)
def test_normal_equations_are_those_of_a_jacobian_by_differences(
    case: str, weighted: bool, loss_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries, in_shape = NETWORKS[case]
    network, n = Network(entries, in_shape), 7
    monkeypatch.setattr(full_batch, "CHUNK_NUMBERS", 3 * network.layout.size)  # chunks of 3, 3 and 1 samples
    rng = np.random.default_rng(3)
    outputs = network.out_shape[0]
    x, y = rng.normal(size=(n, *in_shape)), rng.normal(size=(n, outputs))
    weights = rng.uniform(0.5, 2.0, size=(n, 1)) if weighted else None
    samples, theta = Samples(x, y, weights=weights), rng.normal(0.0, 0.7, network.layout.size)
    loss = registry.losses.get(loss_name)()
    problem = problem_of(network, loss, samples, weight_decay=0.3)
    scale = np.sqrt((2.0 / outputs if loss_name == "mse" else 1.0) / n * (1.0 if weights is None else weights))

    def residuals(v: np.ndarray) -> np.ndarray:
        return ((predict(network, v, x) - y) * scale).ravel()

    h = 1e-5
    steps = h * np.eye(theta.size)
    jacobian = np.stack([(residuals(theta + d) - residuals(theta - d)) / (2 * h) for d in steps], axis=1)
    jacobian *= network.trainable_mask
    decay = 0.3 * network.decay_mask
    value, jtj, jtr = problem.normal_equations(theta)
    np.testing.assert_allclose(jtj, jacobian.T @ jacobian + np.diag(decay), atol=1e-7)
    np.testing.assert_allclose(jtr, jacobian.T @ residuals(theta) + decay * theta, atol=1e-7)
    expected, grad = problem.value_and_grad(theta)
    assert value == pytest.approx(expected, rel=1e-12)
    assert value == pytest.approx(0.5 * residuals(theta) @ residuals(theta) + 0.5 * decay @ theta**2, rel=1e-12)
    np.testing.assert_allclose(jtr, grad, atol=1e-12)


def problem_of(
    network: Network, loss: Any, samples: Samples, *, weight_decay: float = 0.0
) -> full_batch.TrainingProblem:
    from bpcli.engine.training.gradient import BatchGradient

    state = TrainState.start(network, made("lbfgs"), seed=0, dtype="float64")
    gradient = BatchGradient(network, loss, state, np.empty_like(state.theta), n=len(samples))
    return full_batch.TrainingProblem(network, loss, samples, gradient, state.theta, weight_decay)


def test_normal_equations_take_class_indices_and_float32() -> None:
    rng = np.random.default_rng(4)
    network = Network([entry(3, "softmax")], (2,))
    x, classes = rng.normal(size=(6, 2)).astype(np.float32), np.array([0, 1, 2, 2, 1, 0])
    theta = rng.normal(size=network.layout.size).astype(np.float32)
    by_codes = NormalEquations(network, MSE(), Samples(x, classes, np.eye(3, dtype=np.float32)))(theta)
    by_values = NormalEquations(network, MSE(), Samples(x.astype(float), np.eye(3)[classes]))(theta)
    for k in range(3):
        assert np.array_equal(by_codes[k], by_values[k])
    assert by_codes[1].dtype == np.float64


# --- Scaled conjugate gradients --------------------------------------------------------------------------------------


def test_scaled_conjugate_gradients_first_two_steps() -> None:
    """L = (x^2 + 3 y^2) / 2 at (1, 1): r = p = (-1, -3), |p|^2 = 10, p^T A p = 28, alpha = 10 / (28 + 10 lambda).

    Then r1 = -A theta1, beta = (|r1|^2 - r1^T r) / 10, p1 = r1 + beta p. A quadratic's model fits exactly: lambda / 4.
    After the second step, the number of parameters, the direction starts anew as r.
    """
    curvature = np.diag([1.0, 3.0])
    run = Run(made("scaled_conjugate_gradient"), quadratic(np.sqrt(curvature), np.zeros(2)), [1.0, 1.0]).iterate()
    alpha, p = 10 / (28 + 10 * 5e-7), np.array([-1.0, -3.0])
    theta = np.array([1.0, 1.0]) + alpha * p
    r = -curvature @ theta
    np.testing.assert_allclose(run.theta, theta, rtol=1e-9)
    np.testing.assert_allclose(run.vectors["direction"], r + (r @ r - r @ p) / 10 * p, rtol=1e-8)
    assert run.memory["lambda"] == 5e-7 / 4
    assert run.memory["learning_rate"] == pytest.approx(alpha, rel=1e-9)
    run.iterate()
    np.testing.assert_allclose(run.theta, [0.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(run.vectors["direction"], -curvature @ run.theta, atol=1e-15)
    assert run.memory["since_restart"] == 0.0


def test_scaled_conjugate_gradients_turn_where_the_curvature_is_negative() -> None:
    """L = (1/2) cos(x)^2 near its maximum at 0: p^T s < 0, and the step must still go down."""
    problem = LeastSquares(np.cos, lambda v: np.diag(-np.sin(v)))
    run = Run(made("scaled_conjugate_gradient"), problem, [0.1]).iterate(30)
    assert run.losses[1] < run.losses[0]
    assert run.problem.value(run.theta) == pytest.approx(0.0, abs=1e-12)


# --- Gradient descent with an adaptive rate --------------------------------------------------------------------------


def test_adaptive_gradient_descents_first_steps() -> None:
    """L = x^2 / 2 at 2, rate 0.5: v = -0.5 * 2 = -1, x = 1, the loss falls: rate 0.525.

    Then v = 0.9 * -1 - 0.1 * 0.525 * 1 = -0.9525, x = 0.0475: rate 0.55125.
    """
    run = Run(made("gradient_descent_adaptive", learning_rate=0.5), quadratic(np.eye(1), np.zeros(1)), [2.0]).iterate()
    assert run.theta[0] == pytest.approx(1.0)
    assert run.memory == {"learning_rate": 0.5, "rate": pytest.approx(0.525)}
    run.iterate()
    assert run.theta[0] == pytest.approx(0.0475)
    assert run.memory == {"learning_rate": pytest.approx(0.525), "rate": pytest.approx(0.55125)}


def test_a_step_that_lets_the_loss_jump_is_tried_anew_with_a_lower_rate() -> None:
    """L = x^2 / 2 at 2, rate 3: -4 and, with 2.1, -2.2 are more than 1.04 * 2 high; with 1.47 x = 2 - 2.94 = -0.94."""
    run = Run(made("gradient_descent_adaptive", learning_rate=3.0), quadratic(np.eye(1), np.zeros(1)), [2.0]).iterate()
    assert run.theta[0] == pytest.approx(-0.94)
    assert run.memory == {"learning_rate": pytest.approx(1.47), "rate": pytest.approx(1.47 * 1.05)}


# --- Training --------------------------------------------------------------------------------------------------------


def trained(
    name: str, network: Network, samples: Samples, *, seed: int = 0, keys: dict[str, Any] | None = None, **options: Any
) -> tuple[TrainState, list[Report]]:
    optimizer = made(name, **(keys or {}))
    state = TrainState.start(network, optimizer, seed=seed, dtype="float64")
    reports = train(network, MSE(), optimizer, samples, state, TrainOptions(batch_size=None, **options))
    return state, list(reports)


@pytest.mark.parametrize(
    ("name", "output", "epochs"),
    [
        ("levenberg_marquardt", None, 300),
        ("levenberg_marquardt", "tanh", 300),
        ("lbfgs", None, 300),
        ("lbfgs", "tanh", 300),
        ("scaled_conjugate_gradient", None, 600),
        ("scaled_conjugate_gradient", "tanh", 600),
        ("gradient_descent_adaptive", None, 600),
        ("rprop", None, 300),  # a tanh output nears 1 too slowly for it: 1e-5 after 3000 epochs
    ],
)
def test_xor_is_learnt_to_1e_8_from_most_starts(name: str, output: str | None, epochs: int) -> None:
    network = Network([entry(4, "tanh"), entry(1, output)], (2,))
    ends = [trained(name, network, XOR, seed=seed, epochs=epochs, goal=1e-8)[1][-1].stop for seed in range(10)]
    assert ends.count("goal") >= 8


@pytest.mark.parametrize("name", METHODS)
def test_frozen_parameters_never_move(name: str) -> None:
    network = Network([entry(4, "tanh", trainable="biases"), entry(3, "tanh", trainable=False), entry(1)], (2,))
    optimizer = made(name, weight_decay=0.01)
    state = TrainState.start(network, optimizer, seed=0, dtype="float64")
    before = network.layout.views(state.theta.copy())
    for _ in train(network, MSE(), optimizer, XOR, state, TrainOptions(epochs=20, batch_size=None)):
        pass
    after = network.layout.views(state.theta)
    moved = {key for key in after if not np.array_equal(before[key], after[key])}
    assert moved == {"dense_1.b", "dense_3.W", "dense_3.b"}


@pytest.mark.parametrize("name", METHODS)
def test_the_reported_loss_leaves_the_penalty_out(name: str) -> None:
    network = Network([entry(1)], (2,))
    _, reports = trained(name, network, XOR, epochs=2, keys={"weight_decay": 5.0})
    start = TrainState.start(network, made(name), seed=0, dtype="float64")
    error = predict(network, start.theta, XOR.x) - XOR.y
    assert reports[0].train_loss == pytest.approx(float((error**2).mean()), rel=1e-12)


@pytest.mark.parametrize("name", ["levenberg_marquardt", "lbfgs", "scaled_conjugate_gradient"])
def test_weight_decay_gives_ridge_regression(name: str) -> None:
    """L = |X w + b - y|^2 / N + (l2 / 2) |w|^2 is least at (Xc^T Xc / N + (l2 / 2) I)^-1 Xc^T yc / N, centred."""
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(30, 4)), rng.normal(size=(30, 1))
    network = Network([entry(1)], (4,))
    state, _ = trained(name, network, Samples(x, y), epochs=60, keys={"weight_decay": 0.4})
    xc, yc = x - x.mean(axis=0), y - y.mean(axis=0)
    expected = np.linalg.solve(xc.T @ xc / 30 + 0.2 * np.eye(4), xc.T @ yc / 30)
    np.testing.assert_allclose(network.layout.views(state.theta)["dense_1.W"], expected.T, atol=1e-7)


@pytest.mark.parametrize("name", METHODS)
def test_training_stops_quietly_where_no_better_point_is_found(name: str) -> None:
    network = Network([entry(2, trainable=False)], (2,))
    samples = Samples(XOR.x, np.zeros((4, 2)))
    state, reports = trained(name, network, samples, epochs=50)
    assert (reports[-1].stop, state.epoch) == ("no_descent", 1)


@pytest.mark.parametrize("name", METHODS)
def test_shards_and_threads_do_not_change_what_it_finds(name: str) -> None:
    network = Network([entry(4, "tanh"), entry(1)], (2,))
    one, _ = trained(name, network, XOR, epochs=4, shards=2)
    two, _ = trained(name, network, XOR, epochs=4, shards=2, threads=2)
    assert np.array_equal(one.theta, two.theta)


class Interrupted(LeastSquares):
    """Rosenbrock's problem, which ends an iteration at one evaluation, counted from 0."""

    def __init__(self, at: int) -> None:
        super().__init__(rosenbrock().residuals, rosenbrock().jacobian)
        self.left = at

    def value_and_grad(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        self.left -= 1
        if self.left == -1:
            raise UnfinishedIterationError
        return super().value_and_grad(theta)


@pytest.mark.parametrize("name", METHODS)
def test_an_iteration_that_was_given_up_at_any_evaluation_is_done_anew_with_the_same_result(name: str) -> None:
    whole = Run(made(name), rosenbrock(), [-1.2, 1.0]).iterate(8)
    given_up = 0
    for at in range(40):
        run = Run(made(name), Interrupted(at), [-1.2, 1.0])
        for _ in range(8):
            before = run.theta.copy()
            try:
                run.iterate()
            except UnfinishedIterationError:
                given_up += 1
                np.testing.assert_array_equal(run.theta, before)
                run.iterate()
        np.testing.assert_array_equal(run.theta, whole.theta)
        assert run.memory == whole.memory
        assert all(np.array_equal(run.vectors[key], vector) for key, vector in whole.vectors.items())
    assert given_up >= 10


def test_a_problem_asks_before_each_evaluation_whether_to_give_up() -> None:
    network, optimizer = Network([entry(1)], (2,)), made("lbfgs")
    state = TrainState.start(network, optimizer, seed=0, dtype="float64")
    gradient = BatchGradient(network, MSE(), state, np.empty_like(state.theta), n=4)
    problem = TrainingProblem(network, MSE(), XOR, gradient, state.theta.copy(), 0.0)
    problem.value(state.theta)
    problem.give_up = lambda: True  # asked at the same point too: a step that rounds to nothing leads there
    with pytest.raises(UnfinishedIterationError):
        problem.value(state.theta)


ENDLESS = {"mu_inc": 1.0 + 1e-9}  # from the minimum on, 10^10 tries without a lower loss


@pytest.mark.parametrize("limit", ["max_seconds", "should_stop"])
def test_an_iteration_without_end_heeds_the_time_limit_and_a_stop(limit: str) -> None:
    optimizer = made("levenberg_marquardt", **ENDLESS)
    network = Network([entry(1)], (2,))
    state = TrainState.start(network, optimizer, seed=0, dtype="float64")
    options = TrainOptions(batch_size=None, epochs=1000, max_seconds=0.4 if limit == "max_seconds" else None)
    started = time.monotonic()
    reports = list(
        train(
            network,
            MSE(),
            optimizer,
            XOR,
            state,
            options,
            should_stop=lambda: limit == "should_stop" and time.monotonic() - started > 0.4,
        )
    )
    last = reports[-1]
    assert last.stop == ("max_seconds" if limit == "max_seconds" else "interrupted")
    assert time.monotonic() - started < 2.0
    assert (last.complete, last.position, state.step) == (False, 0, last.epoch)
    assert np.isfinite(state.theta).all()


@pytest.mark.parametrize("name", METHODS)
def test_each_epoch_is_one_iteration(name: str) -> None:
    state, reports = trained(name, Network([entry(4, "tanh"), entry(1)], (2,)), XOR, epochs=3)
    assert [(report.epoch, report.step, report.iterations) for report in reports] == [(1, 1, 1), (2, 2, 1), (3, 3, 1)]
    assert all(np.isfinite(value) for value in state.scalars.values())


# --- Configs ---------------------------------------------------------------------------------------------------------

CONFIG = """
data: {train: xor.csv, target: y}
network:
  input: [2]
  layers: [{type: dense, units: 3, activation: tanh}, {type: dense, units: 1}]
loss: mse
optimizer: levenberg_marquardt
training: {epochs: 5, batch_size: full}
"""


@pytest.fixture
def complaint(tmp_path: Any) -> Callable[..., str]:
    """`complaint("training.batch_size=2")`: what is said of the config with these changes."""

    def call(*overrides: str) -> str:
        path = tmp_path / "config.yaml"
        path.write_text(CONFIG)
        with pytest.raises(ConfigError) as caught:
            check_alone(load_config(path, list(overrides)))
        return str(caught.value)

    return call


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (
            ["training.batch_size=2"],
            [
                "training.batch_size",
                "levenberg_marquardt works on the whole training set: set training.batch_size: full",
            ],
        ),
        (["schedule={type: cosine}"], ["schedule", "leave the schedule out"]),
        (["training.clip_norm=1"], ["training.clip_norm", "leave clip_norm out"]),
        (["training.clip_value=1"], ["training.clip_value", "leave clip_value out"]),
        (["loss=log_likelihood"], ["loss", "take mse or half_squared_error"]),
        (["network.layers[0].learning_rate_scale=2"], ["network.layers[0].learning_rate_scale", "trainable: false"]),
        (
            ["network.layers[0].learning_rate_scale=inverse_sqrt_fan_in"],
            ["network.layers[0].learning_rate_scale", "trainable: false"],
        ),
        (
            ["network.layers[0].bias_learning_rate_scale=2"],
            ["network.layers[0].bias_learning_rate_scale", "trainable: false"],
        ),
        (["network.layers[0]={type: dropout, rate: 0.5}"], ["network.layers[0]", "leave out dropout_1"]),
        (["network.layers[0]={type: batch_norm}"], ["network.layers[0]", "leave out batch_norm_1"]),
        (["network.layers[0].units=10000"], ["optimizer", "40,001 parameters needs 11.9 GiB", "take lbfgs"]),
    ],
)
def test_what_does_not_fit_a_full_batch_method_is_said_at_its_key(
    complaint: Callable[..., str], overrides: list[str], parts: list[str]
) -> None:
    said = complaint(*overrides)
    for part in parts:
        assert part in said


def test_lbfgs_takes_any_loss_and_size(tmp_path: Any) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG)
    assert (
        check_alone(load_config(path, ["optimizer=lbfgs", "loss=huber", "network.layers[0].units=10000"])) is not None
    )


def test_the_engine_itself_refuses_batches() -> None:
    network, optimizer = Network([entry(1)], (2,)), made("lbfgs")
    state = TrainState.start(network, optimizer, seed=0, dtype="float64")
    with pytest.raises(ValueError, match="works on the whole training set"):
        next(train(network, MSE(), optimizer, XOR, state, TrainOptions(epochs=1, batch_size=2)))


def test_methods_have_their_names_in_matlab() -> None:
    aliases = registry.optimizers.aliases()
    assert aliases["trainlm"] == aliases["lm"] == "levenberg_marquardt"
    assert aliases["trainscg"] == aliases["scg"] == "scaled_conjugate_gradient"
    assert aliases["traingdx"] == "gradient_descent_adaptive"
    assert all(dataclasses.is_dataclass(registry.optimizers.get(name)) for name in METHODS)
