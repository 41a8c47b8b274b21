"""L = sum_j (r_j - y_j ln r_j) for one sample: counts y, predicted rates r or their logarithms."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np

from bpcli.engine.arrays import Array, Scale, Scratch
from bpcli.engine.fields import MoreThan
from bpcli.engine.protocols import Activation, Loss
from bpcli.engine.registry import activations, losses, part_of


@part_of(losses, "poisson", elsewhere="poisson_loss poisson_nll poisson_nll_loss")
class Poisson(Loss):
    """Negative log-likelihood of counts y >= 0, in nats, for one sample summed over the outputs, without ln y!.

    log_input: the output is z = ln r: L = sum_j (exp(z_j) - y_j z_j), dL/dz = exp(z) - y. Beyond z = 88 in float32, or
    709 in float64, the rate itself is infinite. Otherwise the output is r, from an activation without negative values:
    L = sum_j (r_j - y_j ln(r_j + eps)). As PyTorch's PoissonNLLLoss, except that it also takes the mean over the
    outputs. Keras's does so too; its output is r.
    """

    log_input: bool = True
    eps: Annotated[float, MoreThan(0)] = 1e-8
    reduction: Literal["mean", "sum"] = "mean"

    for_numbers: ClassVar[bool] = True

    def from_logits(self, activation: Activation) -> Loss | None:
        if not self.log_input and _goes_below_zero(activation):
            raise ValueError(
                "poisson with log_input: false goes with an output activation without negative values, such as "
                f"softplus, not {activations.name_of(activation)}"
            )
        return None

    def value_and_grad(self, output: Array, target: Array, d_output: Array, scratch: Scratch, scale: Scale) -> float:
        rate, log_rate = d_output, scratch.full
        if self.log_input:
            np.exp(output, out=rate)
            np.multiply(output, target, out=log_rate)
        else:
            np.add(output, self.eps, out=log_rate)
            np.log(log_rate, out=log_rate)
            np.multiply(log_rate, target, out=log_rate)
            np.copyto(rate, output)
        np.subtract(rate, log_rate, out=log_rate)
        np.multiply(log_rate, scale, out=log_rate)
        value = float(np.add.reduce(log_rate, axis=None))
        if self.log_input:
            np.subtract(rate, target, out=d_output)
        else:
            np.add(output, self.eps, out=d_output)
            np.divide(target, d_output, out=d_output)
            np.subtract(1.0, d_output, out=d_output)
        np.multiply(d_output, scale, out=d_output)
        return value


def _goes_below_zero(activation: Activation) -> bool:
    """Whether the activation has negative values. Found by evaluating it, so that it holds for new activations too."""
    z = np.linspace(-10.0, 10.0, 201).reshape(-1, 1)
    a = np.empty_like(z)
    activation.forward(z, a, Scratch.beside(z.shape, "float64"))
    return bool(a.min() < 0.0)
