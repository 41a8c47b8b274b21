"""Convolution and pooling: gradients for every geometry, memory order, ties, and what is said where shapes do not fit.

Values are compared with PyTorch's in test_reference.py.
"""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from bpcli.engine import registry
from bpcli.engine.arrays import batch_array
from bpcli.engine.layers.avg_pool2d import AvgPool2d
from bpcli.engine.layers.conv2d import Conv2d
from bpcli.engine.layers.flatten import Flatten
from bpcli.engine.layers.global_avg_pool2d import GlobalAvgPool2d
from bpcli.engine.layers.max_pool2d import MaxPool2d
from bpcli.engine.protocols import Bindings, LayerSpec
from bpcli.engine.team import Products

SAME: Any = "same"


def random_layers() -> list[tuple[LayerSpec, tuple[int, int, int]]]:
    """Layers of random geometry, each with an input shape that it takes; no image is square."""
    rng = np.random.default_rng(11)

    def pair(low: int, high: int) -> tuple[int, int]:
        return int(rng.integers(low, high + 1)), int(rng.integers(low, high + 1))

    found: list[tuple[LayerSpec, tuple[int, int, int]]] = []
    while len(found) < 36:
        height, width = pair(2, 7)
        size, stride = pair(1, 3), pair(1, 3)
        same = bool(rng.integers(3) == 0)
        spec: LayerSpec
        if len(found) % 2:
            spec = Conv2d(
                filters=int(rng.integers(1, 4)),
                kernel=size,
                stride=stride,
                padding=SAME if same else pair(0, 3),
                dilation=pair(1, 2),
                bias=bool(rng.integers(2)),
                flip_kernel=bool(rng.integers(2)),
            )
        else:
            padding = SAME if same else (int(rng.integers(size[0] // 2 + 1)), int(rng.integers(size[1] // 2 + 1)))
            spec = (MaxPool2d if len(found) % 4 else AvgPool2d)(size=size, stride=stride, padding=padding)
        shape = (int(rng.integers(1, 4)), height, width)
        try:
            spec.out_shape(shape)
        except ValueError:
            continue
        if height != width:
            found.append((spec, shape))
    return [*found, (GlobalAvgPool2d(), (3, 4, 5)), (Flatten(), (2, 3, 4))]


class Bound:
    """A layer on memory of its own, with random weights."""

    def __init__(self, spec: LayerSpec, in_shape: tuple[int, ...], n: int = 3, dtype: Any = "float64") -> None:
        rng = np.random.default_rng(5)
        specs = spec.param_specs(in_shape)
        self.params = {name: rng.normal(size=one.shape).astype(dtype) for name, one in specs.items()}
        self.grads = {name: np.full(one.shape, np.nan, dtype) for name, one in specs.items()}
        self.layer = spec.build(
            Bindings(
                n=n,
                in_shape=in_shape,
                dtype=dtype,
                params=self.params,
                grads=self.grads,
                needs_dx=True,
                overwrite_x=False,
                noise=rng,
                products=Products(),
            )
        )


def central_differences(value: Any, at: np.ndarray, h: float = 1e-5) -> np.ndarray:
    """d value() / d at, element by element; changes `at` and puts it back."""
    found = np.empty_like(at)
    for index in np.ndindex(at.shape):
        centre, values = at[index], []
        for shift in (h, -h):
            at[index] = centre + shift
            values.append(value())
        at[index] = centre
        found[index] = (values[0] - values[1]) / (2 * h)
    return found


each_layer = pytest.mark.parametrize(("spec", "in_shape"), random_layers(), ids=str)


@each_layer
def test_gradients_by_inputs_and_weights_match_central_differences(spec: LayerSpec, in_shape: tuple[int, ...]) -> None:
    """All are linear, max pooling between kinks that are far away: no two inputs are nearer than 0.01."""
    bound, rng = Bound(spec, in_shape), np.random.default_rng(6)
    x = rng.permutation(3 * int(np.prod(in_shape))).reshape(3, *in_shape) * 0.01
    dy = rng.normal(size=(3, *spec.out_shape(in_shape)))

    def value() -> float:
        return float((bound.layer.forward(x, True) * dy).sum())

    value()
    dx = bound.layer.backward(dy.copy())
    np.testing.assert_allclose(dx, central_differences(value, x), rtol=1e-6, atol=1e-8)
    for name, grad in bound.grads.items():
        np.testing.assert_allclose(grad, central_differences(value, bound.params[name]), rtol=1e-6, atol=1e-8)


@each_layer
def test_results_do_not_depend_on_the_order_in_memory(spec: LayerSpec, in_shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(7)
    x, dy = rng.normal(size=(3, *in_shape)), rng.normal(size=(3, *spec.out_shape(in_shape)))
    batch_innermost = batch_array(3, in_shape, "float64")
    batch_innermost[...] = x
    one, other = Bound(spec, in_shape), Bound(spec, in_shape)
    assert np.array_equal(one.layer.forward(x, True), other.layer.forward(batch_innermost, True))
    dy_innermost = batch_array(3, dy.shape[1:], "float64")
    dy_innermost[...] = dy
    np.testing.assert_allclose(one.layer.backward(dy.copy()), other.layer.backward(dy_innermost), rtol=0, atol=1e-14)


@each_layer
def test_images_leave_with_the_batch_innermost(spec: LayerSpec, in_shape: tuple[int, ...]) -> None:
    bound = Bound(spec, in_shape)
    y = bound.layer.forward(batch_array(3, in_shape, "float64"), True)
    assert y.ndim < 4 or np.moveaxis(y, 0, -1).flags.c_contiguous
    assert np.moveaxis(bound.layer.backward(np.zeros(y.shape)), 0, -1).flags.c_contiguous


def test_flatten_of_images_is_a_view() -> None:
    x = batch_array(3, (2, 3, 4), "float64")
    x[...] = np.random.default_rng(8).normal(size=x.shape)
    y = Bound(Flatten(), (2, 3, 4)).layer.forward(x, True)
    assert np.shares_memory(x, y)
    assert np.array_equal(y, np.ascontiguousarray(x).reshape(3, -1))


def test_of_equal_inputs_the_first_row_by_row_gets_the_gradient() -> None:
    x = np.array([[1.0, 2.0, 0.0], [2.0, 2.0, 0.0], [3.0, 2.0, 3.0]]).reshape(1, 1, 3, 3)
    bound = Bound(MaxPool2d(size=2, stride=1), (1, 3, 3), n=1)
    assert bound.layer.forward(x, True).tolist() == [[[[2.0, 2.0], [3.0, 3.0]]]]
    # windows, row by row: the first 2 is at (0, 1), likewise for the second window; the 3s are alone in theirs
    dx = bound.layer.backward(np.array([[[[1.0, 10.0], [100.0, 1000.0]]]]))
    assert dx.tolist() == [[[[0.0, 11.0, 0.0], [0.0, 0.0, 0.0], [100.0, 0.0, 1000.0]]]]


def test_padding_never_wins_a_maximum_and_counts_as_zero_in_a_mean() -> None:
    x = np.full((1, 1, 2, 2), -3.0)
    largest = Bound(MaxPool2d(size=2, padding=1), (1, 2, 2), n=1).layer.forward(x, True)
    mean = Bound(AvgPool2d(size=2, padding=1), (1, 2, 2), n=1).layer.forward(x, True)
    assert (largest == -3.0).all()
    assert (mean == -0.75).all()


def test_a_flipped_kernel_is_the_mathematicians_convolution() -> None:
    """S[i] = sum over m of X[m] K[i - m]: a single 1 in the image puts the kernel there as it is, not turned."""
    bound = Bound(Conv2d(filters=1, kernel=3, padding="same", bias=False, flip_kernel=True), (1, 5, 5), n=1)
    x = np.zeros((1, 1, 5, 5))
    x[0, 0, 2, 2] = 1.0
    assert np.array_equal(bound.layer.forward(x, True)[0, 0, 1:4, 1:4], bound.params["W"][0, 0])


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_same_gives_as_many_outputs_as_strides_begin_in_the_image(size: int, stride: int) -> None:
    expected = (1, -(-7 // stride), -(-10 // stride))
    assert Conv2d(filters=1, kernel=size, stride=stride, padding="same").out_shape((2, 7, 10)) == expected
    assert MaxPool2d(size=size, stride=stride, padding="same").out_shape((1, 7, 10)) == expected


def test_same_with_a_stride_pads_the_odd_row_below() -> None:
    """TensorFlow's rule: 6 inputs, kernel 3, stride 2: one zero in all, behind the last input."""
    bound = Bound(Conv2d(filters=1, kernel=(3, 1), stride=(2, 1), padding="same", bias=False), (1, 6, 1), n=1)
    bound.params["W"][...] = 1.0
    x = np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0]).reshape(1, 1, 6, 1)
    assert bound.layer.forward(x, True).ravel().tolist() == [7.0, 28.0, 48.0]


@pytest.mark.parametrize(
    ("spec", "in_shape", "message"),
    [
        (
            Conv2d(filters=1, kernel=5),
            (784,),
            r"conv2d takes images \(C, H, W\), got \(784,\): set network.input: \[1, 28, 28\]",
        ),
        (MaxPool2d(size=2), (64,), r"max_pool2d takes images .*, got \(64,\): set network.input: \[1, 8, 8\]"),
        (AvgPool2d(size=2), (10,), r"avg_pool2d takes images .*: set network.input"),
        (GlobalAvgPool2d(), (5, 5), r"global_avg_pool2d takes images"),
        (Conv2d(filters=1, kernel=(5, 2)), (1, 4, 9), r"5 x 2 is larger than the image of 4 x 9: .*padding: same"),
        (
            Conv2d(filters=1, kernel=3, dilation=3, padding=1),
            (1, 4, 9),
            r"3 x 3 with its dilation spans 7 x 7, which is larger than the image of 4 x 9, padded to 6 x 11",
        ),
        (MaxPool2d(size=5), (1, 4, 9), r"5 x 5 is larger than the image"),
        (MaxPool2d(size=(2, 3), padding=(1, 2)), (1, 4, 9), r"padding: must be at most half the size of 2 x 3"),
    ],
)
def test_a_shape_that_does_not_fit_is_told_the_fix(spec: LayerSpec, in_shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        spec.out_shape(in_shape)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Conv2d(filters=0, kernel=3),
        lambda: Conv2d(filters=1, kernel=(3, 0)),
        lambda: Conv2d(filters=1, kernel=3, stride=0),
        lambda: Conv2d(filters=1, kernel=3, padding=(0, -1)),
        lambda: MaxPool2d(size=0),
        lambda: AvgPool2d(size=2, stride=(1, 0)),
    ],
)
def test_a_number_out_of_range_is_an_error_for_library_users_too(make: Any) -> None:
    with pytest.raises(ValueError, match=r"must be at least \d, got"):
        make()


@pytest.mark.parametrize("spec", [Conv2d(filters=2, kernel=3), MaxPool2d(size=2), AvgPool2d(size=2)], ids=str)
def test_a_step_makes_no_images(spec: LayerSpec) -> None:
    bound = Bound(spec, (4, 32, 32), n=32)
    x, dy = (batch_array(32, shape, "float64") for shape in ((4, 32, 32), spec.out_shape((4, 32, 32))))
    x[...], dy[...] = 1.0, 1.0
    bound.layer.forward(x, True)
    bound.layer.backward(dy)
    tracemalloc.start()
    bound.layer.forward(x, True)
    bound.layer.backward(dy)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 8192 * 8 + 20_000 < x.nbytes / 4  # NumPy's own buffers of 8192 numbers


@pytest.mark.parametrize("padding", [50_000, "same"])
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d", "conv2d"])
def test_a_window_of_a_billion_positions_is_refused_at_once(name, padding):
    size = {"filters": 1, "kernel": 100_000} if name == "conv2d" else {"size": 100_000}
    spec = registry.layers.get(name)(**size, padding=padding)
    with pytest.raises(ValueError, match=r"^a window of 100000 x 100000 has more than 262,144 positions"):
        spec.out_shape((1, 8, 8))
