"""Mean of -ln p of the right class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.registry import metrics


@metrics.register("log_loss", "cross_entropy", elsewhere="bce binary_crossentropy categorical_crossentropy nll")
@dataclass(frozen=True, kw_only=True)
class LogLoss:
    """Mean over samples of -ln p of the right class, in nats; p is clipped to eps .. 1 - eps of its dtype.

    As scikit-learn's log_loss; the loss log_likelihood, computed from the logits, needs no clipping.
    """

    task: ClassVar[str] = "classification"
    higher_is_better: ClassVar[bool] = False

    def value(self, target: Array, prediction: Array) -> float:
        eps = np.finfo(prediction.dtype).eps
        p = prediction[np.arange(len(target)), target].clip(eps, 1 - eps)
        return float(-np.log(p).mean())
