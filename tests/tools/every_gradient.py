"""Compares the gradients of every layer x activation x loss with central differences, in float64.

    cd tests && python -m tools.every_gradient --seeds 50

Each combination is checked with this many seeds, each with its own weights, inputs and targets. The output activation
and the reduction change from seed to seed, so that with 26 seeds or more every combination meets each output
activation and reduction its loss allows. Prints the number of checks and the worst relative error.

The networks are as small as possible, because central differences take six values of the loss for each weight.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import math
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from contract import fits, make, network_with, smooth_point

from bpcli.engine import registry
from bpcli.system import one_blas_thread

LAYERS = registry.layers.names()
ACTIVATIONS = registry.activations.names()
LOSSES = registry.losses.names()
TOLERANCE = 1e-6
LARGEST_LOSS = 3.0
# The shape of one sample that a layer takes, where it is not a row of three numbers: with rows and columns enough that
# windows overlap, jump and stand on the padding.
SMALL_SHAPES: dict[str, tuple[int, ...]] = {
    "flatten": (2, 2, 3),
    "conv2d": (2, 4, 3),
    "max_pool2d": (2, 4, 2),
    "avg_pool2d": (2, 3, 3),
    "global_avg_pool2d": (2, 2, 3),
}


@dataclasses.dataclass(frozen=True, order=True)
class Checked:
    """One gradient check: its worst relative error, and the combination."""

    worst: float
    combination: str


def check(layer: str, activation: str, loss_name: str, seed: int) -> Checked:
    """The gradients of a small network with these parts at a random point, by the seed's output and reduction."""
    loss = make(registry.losses, loss_name)
    outputs = [name for name in ACTIVATIONS if fits(loss, make(registry.activations, name))]
    output, reduction = list(itertools.product(outputs, ("mean", "sum")))[seed % (2 * len(outputs))]
    rng = np.random.default_rng(seed)
    units, n = int(rng.integers(1, 3)) + (output == "softmax"), int(rng.integers(2, 4))
    network = network_with(
        make(registry.layers, layer),
        SMALL_SHAPES.get(layer, (3,)),
        make(registry.activations, activation),
        make(registry.activations, output),
        units,
        inputs=2,
    )
    names = (layer, activation, loss_name, output, reduction, f"seed {seed}")
    try:
        found, _ = smooth_point(network, dataclasses.replace(loss, reduction=reduction), n, rng, LARGEST_LOSS)
    except AssertionError as error:
        return Checked(math.inf, f"{', '.join(names)}: {error}")
    return Checked(found.worst, ", ".join((*names, found.where)))


def block(layer: str, activation: str, seeds: int) -> Iterator[Checked]:
    """Every loss and seed for one layer and activation."""
    with one_blas_thread():
        for loss, seed in itertools.product(LOSSES, range(seeds)):
            yield check(layer, activation, loss, seed)


def worst_of_block(layer: str, activation: str, seeds: int) -> tuple[int, Checked]:
    """(number of checks, the worst of them) of a block."""
    found = list(block(layer, activation, seeds))
    return len(found), max(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=50, help="for each layer x activation x loss")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    started, total, worst = time.perf_counter(), 0, Checked(0.0, "")
    print("| layer | checks | worst relative error | where |\n| --- | --- | --- | --- |")
    with ProcessPoolExecutor(options.processes) as pool:
        blocks = {
            layer: [pool.submit(worst_of_block, layer, activation, options.seeds) for activation in ACTIVATIONS]
            for layer in LAYERS
        }
        for layer, futures in blocks.items():
            results = [future.result() for future in futures]
            count, found = sum(one for one, _ in results), max(one for _, one in results)
            print(f"| {layer} | {count} | {found.worst:.1e} | {found.combination} |", flush=True)
            total, worst = total + count, max(worst, found)
    print(
        f"\n{len(LAYERS)} layers x {len(ACTIVATIONS)} activations x {len(LOSSES)} losses x {options.seeds} seeds: "
        f"{total} checks in {(time.perf_counter() - started) / 60:.1f} minutes, worst relative error {worst.worst:.1e}",
        flush=True,
    )
    if not worst.worst < TOLERANCE:
        raise SystemExit(f"that is not below {TOLERANCE:g}: {worst.combination}")


if __name__ == "__main__":
    main()
