"""The output of `bpcli summary` and `bpcli validate`."""

from __future__ import annotations

import math

from bpcli.build.memory import in_bytes, parameter_bytes
from bpcli.build.session import Session
from bpcli.config.schema import Config
from bpcli.engine import registry
from bpcli.engine.activations import Identity
from bpcli.engine.layers.activation import ActivationSpec
from bpcli.engine.network import LayerEntry, Network, PlacedLayer, by_layer
from bpcli.text import listed, plural, printable, table


def summary_text(network: Network, config: Config) -> str:
    """The table of layers: output shape, activation, parameters; then the totals and the memory for training."""
    rows = [["layer", "type", "activation", "output", "parameters"], ["input", "", "", _shape(network.in_shape), "0"]]
    shapes = {placed.name: placed.out_shape for placed in network.placed}
    specs = by_layer(network.layout.specs)
    for name, entry in zip(network.names, network.entries, strict=True):
        count = sum(math.prod(spec.shape) for spec in specs.get(name, {}).values())
        rows.append([name, registry.layers.name_of(entry.spec), _functions(entry), _shape(shapes[name]), f"{count:,}"])
    size = network.layout.size
    item = 4 if config.dtype == "float32" else 8
    all_learn = all(entry.trainable is True for entry in network.entries)
    frozen = 0 if all_learn else size - int(network.trainable_mask.sum())
    lines = [table(rows, left=4), "", f"{plural(size, 'parameter')}{f', {frozen:,} of them frozen' if frozen else ''}"]
    lines.append(
        f"{config.dtype}: weights {in_bytes(size * item)}; in training {in_bytes(parameter_bytes(network, config))} "
        f"with the gradient, work space and the optimizer's vectors"
    )
    return "\n".join(lines)


def _functions(entry: LayerEntry) -> str:
    """The activation functions of a layer: that of an activation layer, and the `activation` key of any layer."""
    own = entry.spec.function if isinstance(entry.spec, ActivationSpec) else None
    if isinstance(own, Identity) and entry.activation:  # such as a final activation layer before the output activation
        own = None
    return ", ".join(registry.activations.name_of(function) for function in (own, entry.activation) if function)


def data_text(session: Session) -> str:
    """Samples, task and network sizes."""
    preparation, network = session.model.preparation, session.model.network
    counts = ", ".join(f"{len(part):,} {name}" for name, part in session.datasets.parts.items())
    lines = [f"data     {counts} samples of {_shape(preparation.in_shape)}"]
    if preparation.classes is not None:
        named = listed(preparation.classes, 10, printable)
        lines.append(f"task     classification, {len(preparation.classes)} classes: {named}")
    else:
        names = f": {listed(preparation.target_names, show=printable)}" if preparation.target_names else ""
        lines.append(f"task     {preparation.task}, {plural(math.prod(network.out_shape), 'output')}{names}")
    sizes = "-".join(_shape(shape) for shape in (network.in_shape, *(p.out_shape for p in _sized(network))))
    lines.append(f"network  {sizes}, {plural(network.layout.size, 'parameter')}")
    return "\n".join(lines)


def _sized(network: Network) -> list[PlacedLayer]:
    """The layers with units, and those that change the number of values; not flatten or dropout."""
    return [
        placed
        for placed in network.placed
        if _has_units(placed) or math.prod(placed.out_shape) != math.prod(placed.in_shape)
    ]


def _has_units(placed: PlacedLayer) -> bool:
    """Whether each output is a weighted sum of several inputs; a normalisation scales each input separately."""
    specs = placed.spec.param_specs(placed.in_shape)
    return "W" in specs and len(specs["W"].shape) > len(placed.in_shape)


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))
