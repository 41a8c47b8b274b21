"""One neuron as a computational graph: each operation with its value, and the derivatives going back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from bpcli.engine.activations import Identity, Sigmoid, Softmax
from bpcli.engine.arrays import Array, Scratch
from bpcli.engine.protocols import Activation


@dataclass(frozen=True)
class Operation:
    """A node of the graph: symbol = expression, and its value.

    local: the derivative of the next operation with respect to this value; 1 for the output f itself. total: df/d(this
    value), the product of all local derivatives from the output down to here.
    """

    symbol: str
    expression: str
    value: float
    local: float
    total: float


@dataclass(frozen=True)
class NodeTrace:
    """The operations of a neuron, first to last, and what follows for its inputs and parameters.

    x, w, dx, dw: (D,), with dw = df/dw; b and db are None without a bias. delta: dL/dz of the neuron in its network.
    """

    operations: tuple[Operation, ...]
    x: Array
    w: Array
    dx: Array
    dw: Array
    b: float | None
    db: float | None
    delta: float


def trace_node(activation: Activation, x: Array, w: Array, b: float | None, delta: float) -> NodeTrace:
    """f(w x + b), operation by operation, and backwards by the chain rule.

    The sigmoid is taken apart into -z, exp, 1 + and 1 /; any other activation is one operation.

    Raises:
        ValueError: the activation is softmax, in which the neurons of a layer depend on each other.
    """
    if isinstance(activation, Softmax):
        raise ValueError("in a softmax layer no neuron is on its own: take one of another layer")
    x, w = x.astype(np.float64), w.astype(np.float64)
    chain: list[tuple[str, str, float, float]] = []  # symbol, expression, value, d(value) / d(the value before)
    chain.append(("s", "w x" if len(x) == 1 else "w_1 x_1 + ... + w_D x_D", float(w @ x), math.nan))
    if b is not None:
        chain.append(("z", "s + b", chain[-1][2] + b, 1.0))
    chain += _activation_steps(activation, chain[-1][2], "s" if b is None else "z")
    operations: list[Operation] = []
    local = total = 1.0
    for symbol, expression, value, slope in reversed(chain):
        operations.insert(0, Operation(symbol, expression, value, local, total))
        local, total = slope, total * slope
    ds = operations[0].total
    return NodeTrace(tuple(operations), x, w, ds * w, ds * x, b, None if b is None else ds, delta)


def _activation_steps(activation: Activation, z: float, name: str) -> list[tuple[str, str, float, float]]:
    if isinstance(activation, Identity):
        return [("f", name, z, 1.0)]
    if isinstance(activation, Sigmoid):
        with np.errstate(over="ignore"):
            e = float(np.exp(-z))
        return [
            ("m", f"-1 {name}", -z, -1.0),
            ("e", "exp(m)", e, e),
            ("d", "1 + e", 1.0 + e, 1.0),
            ("f", "1 / d", 1.0 / (1.0 + e), -1.0 / (1.0 + e) / (1.0 + e)),
        ]
    before, a, slope = np.array([[z]]), np.empty((1, 1)), np.ones((1, 1))
    scratch = Scratch.beside((1, 1), "float64")
    activation.forward(before, a, scratch)
    activation.backward(slope, before, a, scratch)
    return [("f", f"f({name})", float(a[0, 0]), float(slope[0, 0]))]
