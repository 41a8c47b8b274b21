"""L-BFGS: quasi-Newton steps from the last few changes of theta and of its gradient."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.fields import AtLeast, Between
from bpcli.engine.optimizers._line_search import Trial, strong_wolfe
from bpcli.engine.protocols import FullBatchOptimizer, Problem
from bpcli.engine.registry import optimizers, part_of


@part_of(optimizers, "lbfgs", "l_bfgs", elsewhere="bfgs lbfgsb quasi_newton trainbfg trainoss")
class LBFGS(FullBatchOptimizer):
    """theta <- theta - alpha H g: H from the last `history` pairs s = d theta, y = dg, alpha by a line search.

    Nocedal & Wright 2006: the two-loop recursion (algorithm 7.4) in algorithm 7.5, with H0 = (s^T y / y^T y) I and a
    line search for the strong Wolfe conditions with c1, c2 (algorithms 3.5 and 3.6), of at most max_evaluations.
    The reported learning rate is alpha. If no step along -H g lowers the loss, the history is cleared and -g is tried.
    If that does not help either, theta does not change and training stops. float64 gets closer to the minimum than
    float32.

    weight_decay adds (weight_decay / 2) |w|^2 to the loss, without biases; it equals scikit-learn's alpha / N.
    """

    history: Annotated[int, Between(1, 100)] = 10
    max_evaluations: Annotated[int, AtLeast(1)] = 25
    c1: Annotated[float, Between(0, 0.5, end=False)] = 1e-4
    c2: Annotated[float, Between(0.5, 1, end=False)] = 0.9
    weight_decay: Annotated[float, AtLeast(0)] = 0.0

    @property
    def learning_rate(self) -> float:
        return 1.0  # the first alpha to try

    def vector_names(self) -> tuple[str, ...]:
        return tuple(f"{kind}_{k}" for kind in "sy" for k in range(self.history))

    def iterate(
        self, problem: Problem, theta: Array, vectors: Mapping[str, Array], memory: dict[str, float], *, t: int
    ) -> float:
        loss, g = problem.value_and_grad(theta)
        g = g.copy()
        found = None
        if memory.get("pairs"):
            d = self._direction(g, vectors, memory)
            found = self._search(problem, theta, d, loss, g, first=1.0)
        if found is None:
            memory["pairs"] = 0.0
            d = -g
            size = float(np.linalg.norm(g))
            found = self._search(problem, theta, d, loss, g, first=min(1.0, 1.0 / size) if size else 1.0)
        if found is None:
            return loss
        trial = theta + found.alpha * d
        _, g_after = problem.value_and_grad(trial)
        self._remember(trial - theta, g_after - g, vectors, memory)
        np.copyto(theta, trial)
        memory["learning_rate"] = found.alpha
        return loss

    def _direction(self, g: Array, vectors: Mapping[str, Array], memory: dict[str, float]) -> Array:
        """-H g: algorithm 7.4."""
        newest, count = memory.get("newest", 0.0), min(int(memory["pairs"]), self.history)
        newest_first = [int(newest - k) % self.history for k in range(count)]
        pairs = [(s, y) for k in newest_first if (s := vectors[f"s_{k}"]) @ (y := vectors[f"y_{k}"]) > 0]
        q = -g
        if not pairs:  # not possible in a checkpoint that a run saved
            return q
        parts = []
        for s, y in pairs:
            part = float(s @ q) / float(s @ y)
            q -= part * y
            parts.append(part)
        s, y = pairs[0]
        q *= float(s @ y) / float(y @ y)
        for (s, y), part in zip(reversed(pairs), reversed(parts), strict=True):
            q += (part - float(y @ q) / float(s @ y)) * s
        return q

    def _search(self, problem: Problem, theta: Array, d: Array, loss: float, g: Array, *, first: float) -> Trial | None:
        """The step along d; None if there is none, or if d is not a descent direction."""
        start = Trial(0.0, loss, float(g @ d))
        if not start.slope < 0:
            return None

        def phi(alpha: float) -> Trial:
            value, grad = problem.value_and_grad(theta + alpha * d)
            return Trial(alpha, value, float(grad @ d))

        return strong_wolfe(phi, start, first, c1=self.c1, c2=self.c2, max_evaluations=self.max_evaluations)

    def _remember(self, s: Array, y: Array, vectors: Mapping[str, Array], memory: dict[str, float]) -> None:
        """Keeps the pair in place of the oldest one, if the curvature along s is clearly positive."""
        least = float(np.finfo(y.dtype).eps) * float(y @ y)
        if not 0.0 < least < float(s @ y):
            return
        newest = int(memory.get("newest", -1.0) + 1) % self.history
        np.copyto(vectors[f"s_{newest}"], s)
        np.copyto(vectors[f"y_{newest}"], y)
        memory["newest"] = float(newest)
        memory["pairs"] = min(memory.get("pairs", 0.0) + 1.0, float(self.history))
