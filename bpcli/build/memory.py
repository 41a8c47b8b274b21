"""How much memory training needs, and the errors if there is not enough."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bpcli.config.schema import Config, PlainNetwork
from bpcli.config.tree import KeyPath
from bpcli.engine.network import Network
from bpcli.errors import DataError

LONGEST_VECTOR = sys.maxsize // 8  # float64 numbers that an array can count by their bytes


@contextmanager
def fits_into_memory(data: str) -> Iterator[None]:
    """Turns a MemoryError into a DataError, while data are read, prepared or evaluated.

    Raises:
        DataError: it does not fit.
    """
    try:
        yield
    except MemoryError:
        raise DataError(f"{data}: does not fit into memory; use fewer rows or columns") from None


def beyond_counting(network: Network) -> int | None:
    """The index of the first layer with which there are more parameters than one array can hold; None if all fit."""
    for layout in (network.layout, network.stats_layout):
        for name, part in layout.slices.items():
            if part.stop > LONGEST_VECTOR:
                return network.names.index(name.rpartition(".")[0])
    return None


def parameter_bytes(network: Network, config: Config) -> int:
    """Bytes for the weights in training, with the gradient, work space and the optimizer's vectors."""
    vectors = 3 + len(config.optimizer.vector_names())
    return network.layout.size * vectors * _item(config)


def batch_bytes(network: Network, config: Config, n: int) -> int:
    """The least bytes for n samples in every layer: its outputs and their gradients."""
    return 2 * n * sum(math.prod(placed.out_shape) for placed in network.placed) * _item(config)


def lack_of_memory(network: Network, config: Config, n: int) -> tuple[KeyPath, str]:
    """The key that asks for too much memory, with batches of n samples, and the message."""
    weights, batch = parameter_bytes(network, config), batch_bytes(network, config, n)
    needs = f"not enough memory: training takes about {in_bytes(weights)} for the weights and {in_bytes(batch)} for a "
    needs += f"batch of {n} samples"
    if batch > 10 * weights:
        return ("training", "batch_size"), f"{needs}: take smaller batches"
    sizes = {name: part.stop - part.start for name, part in network.layout.slices.items()}
    largest = max(sizes, key=lambda name: sizes[name]).rpartition(".")[0]
    plain = isinstance(config.network, PlainNetwork)
    return ("network", "layers", network.names.index(largest) + plain), f"{needs}: take smaller layers"


def in_bytes(size: float) -> str:
    """A size with its unit: 12.3 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.4g} {unit}"
        size /= 1000
    return f"{size:.4g} TB"


def _item(config: Config) -> int:
    return 4 if config.dtype == "float32" else 8
