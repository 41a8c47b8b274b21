"""All parameters of a network in one flat vector, with a named view for each array.

theta and grad have this layout, and so does every state vector of an optimizer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from bpcli.engine.arrays import Array, Shape
from bpcli.engine.protocols import ParamSpec


@dataclass(frozen=True)
class ParamLayout:
    """Where each named array lies in the flat vector."""

    specs: Mapping[str, ParamSpec]
    slices: Mapping[str, slice]
    size: int

    @classmethod
    def of(cls, specs: Mapping[str, ParamSpec]) -> ParamLayout:
        """Places the arrays one after the other, in the order given."""
        slices, start = {}, 0
        for name, spec in specs.items():
            stop = start + math.prod(spec.shape)
            slices[name] = slice(start, stop)
            start = stop
        return cls(specs=dict(specs), slices=slices, size=start)

    def views(self, vector: Array) -> dict[str, Array]:
        """Each array by name, as a view of the vector (size,): writing to a view writes to the vector."""
        return {name: vector[part].reshape(self.specs[name].shape) for name, part in self.slices.items()}

    def shapes(self) -> dict[str, Shape]:
        """Each array's shape by name."""
        return {name: spec.shape for name, spec in self.specs.items()}

    def owner(self, index: int) -> str:
        """The name of the array that contains this position of the vector."""
        return next(name for name, part in self.slices.items() if part.start <= index < part.stop)
