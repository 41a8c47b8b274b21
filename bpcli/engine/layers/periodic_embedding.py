"""Each input x becomes a few learned functions of itself, linear in cosines cos(2 pi w x + p), beside x."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar

import numpy as np

from bpcli.engine.arrays import Array, Shape
from bpcli.engine.fields import AtLeast, MoreThan
from bpcli.engine.initializers import Normal, Uniform
from bpcli.engine.protocols import Bindings, ParamSpec, Trait
from bpcli.engine.registry import layers, part_of


@part_of(layers, "periodic_embedding", elsewhere="numerical_embedding pbld periodic periodic_embeddings plr")
class PeriodicEmbedding:
    """Puts, before the inputs, z_f = W_f cos(2 pi w_f x_f + p_f) + b_f for each of the first `columns` inputs x_f.

    That is the PBLD embedding of Holzmueller et al. 2024 (RealMLP, section 3: periodic, bias, linear, DenseNet), after
    Gorishniy et al. 2022. An input x_f takes `units` numbers: units - 1 in z_f, and x_f itself. w_f and p_f hold
    `frequencies` numbers each and start from N(0, sigma^2) and U[-pi, pi); W_f and b_f from U[-l, l) with
    l = 1 / sqrt(frequencies), as a PyTorch Linear. So D inputs become (units - 1) columns + D numbers: z of the first
    input, of the second, ..., then all inputs as they are.

    columns: how many; null is all. One-hot columns gain nothing, so place them last and leave them out. The inputs
    should be scaled, see data.scale. RealMLP gives the layer a tenth of the learning rate: `learning_rate_scale: 0.1`.
    Weight decay applies to w and W.
    """

    columns: Annotated[int, AtLeast(1)] | None = None
    frequencies: Annotated[int, AtLeast(1)] = 16
    units: Annotated[int, AtLeast(2)] = 4
    sigma: Annotated[float, MoreThan(0)] = 0.1

    traits: ClassVar[frozenset[Trait]] = frozenset({"free_output"})

    def out_shape(self, in_shape: Shape) -> Shape:
        if len(in_shape) != 1:
            raise ValueError(f"a periodic_embedding takes rows of numbers, not inputs of shape {in_shape}")
        if self._columns(in_shape) > in_shape[0]:
            raise ValueError(f"columns is {self.columns}, but a row has {in_shape[0]} numbers: take at most as many")
        return (in_shape[0] + (self.units - 1) * self._columns(in_shape),)

    def _columns(self, in_shape: Shape) -> int:
        return self.columns or in_shape[0]

    def param_specs(self, in_shape: Shape) -> Mapping[str, ParamSpec]:
        columns, k, units = self._columns(in_shape), self.frequencies, self.units - 1
        limit = 1.0 / math.sqrt(k)
        like_linear = Uniform(low=-limit, high=limit)
        return {
            "frequency": ParamSpec((columns, k), Normal(std=self.sigma)),
            "phase": ParamSpec((columns, k), Uniform(low=-math.pi, high=math.pi), decay=False),
            "W": ParamSpec((columns, units, k), like_linear),
            "b": ParamSpec((columns, units), like_linear, decay=False),
        }

    def build(self, bindings: Bindings) -> PeriodicEmbeddingLayer:
        return PeriodicEmbeddingLayer(bindings, self._columns(bindings.in_shape), self.frequencies, self.units - 1)


class PeriodicEmbeddingLayer:
    """A periodic embedding bound to memory. x (N, D) -> y (N, columns * units + D); dy -> dx.

    The work arrays have the batch innermost: (columns, k, N) for the waves, (columns, units, N) for z.
    """

    def __init__(self, bindings: Bindings, columns: int, k: int, units: int) -> None:
        params, grads, n, dtype = bindings.params, bindings.grads, bindings.n, bindings.dtype
        (inputs,) = bindings.in_shape
        self.w, self.phase, self.W, self.b = (params[name] for name in ("frequency", "phase", "W", "b"))
        self.dw, self.dphase, self.dW, self.db = (grads[name] for name in ("frequency", "phase", "W", "b"))
        self.columns, self.added = columns, columns * units
        self.y = bindings.empty((self.added + inputs,))
        self.dx = bindings.empty((inputs,)) if bindings.needs_dx else None
        self.x, self.slope = (np.empty((columns, 1, n), dtype) for _ in range(2))
        self.angle, self.wave = (np.empty((columns, k, n), dtype) for _ in range(2))
        self.z = np.empty((columns, units, n), dtype)
        self.turns = np.empty_like(self.w)

    def forward(self, x: Array, training: bool) -> Array:
        np.copyto(self.x[:, 0], x[:, : self.columns].T)
        np.multiply(self.w, 2.0 * math.pi, out=self.turns)
        np.multiply(self.x, self.turns[..., None], out=self.angle)
        np.add(self.angle, self.phase[..., None], out=self.angle)
        np.cos(self.angle, out=self.wave)
        np.matmul(self.W, self.wave, out=self.z)
        np.add(self.z, self.b[..., None], out=self.z)
        np.copyto(self.y[:, : self.added], self.z.reshape(self.added, -1).T)
        np.copyto(self.y[:, self.added :], x)
        return self.y

    def backward(self, dy: Array) -> Array:
        """With s = dL/dangle: dphase = sum of s, dw = 2 pi sum of s x, each over the batch; dx = 2 pi sum_k s_k w_k."""
        dz, s = self.z, self.wave
        np.copyto(dz.reshape(self.added, -1), dy[:, : self.added].T)
        np.add.reduce(dz, axis=-1, out=self.db)
        np.matmul(dz, self.wave.transpose(0, 2, 1), out=self.dW)
        np.matmul(self.W.transpose(0, 2, 1), dz, out=s)
        np.sin(self.angle, out=self.angle)
        np.multiply(s, self.angle, out=s)
        np.negative(s, out=s)
        np.add.reduce(s, axis=-1, out=self.dphase)
        np.matmul(s, self.x.transpose(0, 2, 1), out=self.dw[..., None])
        np.multiply(self.dw, 2.0 * math.pi, out=self.dw)
        if self.dx is None:
            return dy
        np.matmul(self.turns[:, None], s, out=self.slope)
        np.copyto(self.dx, dy[:, self.added :])
        np.add(self.dx[:, : self.columns], self.slope[:, 0].T, out=self.dx[:, : self.columns])
        return self.dx
