"""What the page of `bpcli step` holds, whatever its format: each number of a step beside the equation it comes from."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bpcli.engine import registry
from bpcli.engine.activations import Identity
from bpcli.engine.arrays import Array
from bpcli.engine.measure.trace import LayerTrace, StepTrace
from bpcli.engine.network import LayerEntry
from bpcli.views.equations import (
    WITH,
    LayerEquations,
    activation_equations,
    layer_equations,
    loss_equations,
    update_equations,
)
from bpcli.workflows.step import Steps


@dataclass(frozen=True)
class Line:
    """A value with its name, "W", and its symbol, "W^1"; and the equation that it comes from, "" for a given value."""

    name: str
    symbol: str
    value: Array | float
    equation: str = ""

    @property
    def rule(self) -> str:
        """What the value is equal to, without the definitions of symbols that follow."""
        return self.equation.partition(WITH)[0] or self.symbol

    @property
    def definitions(self) -> str:
        """Those definitions, or ""."""
        return self.equation.partition(WITH)[2]


@dataclass(frozen=True)
class Block:
    """The lines of one layer; without a title, those of the step."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Section:
    """One pass of a step: forward, backward or update."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """title and the layers' names come from the config: they may hold anything."""

    title: str
    note: str
    sections: tuple[Section, ...]


def page_of(steps: Steps) -> Page:
    """The page of all steps."""
    several = len(steps.traces) > 1
    sections = []
    for trace in steps.traces:
        prefix = f"step {trace.number}: " if several else ""
        found = _StepPage(steps, trace)
        optimizer = steps.model.config.optimizer
        title = f"update by {registry.optimizers.name_of(optimizer)}, learning rate {trace.learning_rate:g}"
        sections += [
            Section(f"{prefix}forward", tuple(found.forward())),
            Section(f"{prefix}backward", tuple(found.backward())),
            Section(f"{prefix}{title}{_settings(optimizer)}, t {trace.number}", tuple(found.update())),
        ]
    first = steps.traces[0]
    note = "superscripts number the layers, and layer 0 is x; each equation is for one sample, written as a column"
    if len(first.x) > 1:
        note += f"; x, z, a and delta have a row for each of the {len(first.x)} samples, over which sums run"
    return Page(f"training step of {steps.model.config.name or 'a network'}", note, tuple(sections))


class _StepPage:
    """The blocks of one step."""

    def __init__(self, steps: Steps, trace: StepTrace) -> None:
        self.network, self.config, self.trace = steps.model.network, steps.model.config, trace
        self.layers = list(zip(range(1, len(trace.layers) + 1), trace.layers, self.network.entries, strict=True))
        self.equations = equations_of(steps, trace)

    def forward(self) -> Iterator[Block]:
        yield Block("", (Line("x", "a^0", self.trace.x),))
        for number, layer, entry in self.layers:
            equations = self.equations[layer.name]
            lines = [Line(name, f"{name}^{number}", value) for name, value in layer.params.items()]
            lines += self._moments(number, entry)
            lines.append(Line("z", f"z^{number}", layer.z, equations["z"]))
            lines.append(Line("a", f"a^{number}", layer.a, equations["a"]))
            lines += [Line(name, name, value, equations.get(name, "")) for name, value in layer.stats.items()]
            yield Block(_title(number, layer, entry), tuple(lines))
        end = [Line("y", "y", self.trace.y)]
        if self.trace.weights is not None:
            end.append(Line("weight of each sample's loss", "s", self.trace.weights))
        yield Block("", (*end, Line("loss", "L", self.trace.loss, self.equations[""]["loss"])))

    def _moments(self, number: int, entry: LayerEntry) -> list[Line]:
        """The mean and variance that a normalisation subtracts and divides by."""
        name = registry.layers.name_of(entry.spec)
        if name not in ("batch_norm", "layer_norm"):
            return []
        x = self.trace.x if number == 1 else self.trace.layers[number - 2].a
        axes = (0, *range(2, x.ndim)) if name == "batch_norm" else tuple(range(1, x.ndim))
        over = "samples and pixels" if name == "batch_norm" else "the numbers of a sample"
        input_ = f"a^{number - 1}"
        return [
            Line("mean", "mean", x.mean(axis=axes), f"mean = 1 / m sum {input_} 'over {over}'"),
            Line("var", "var", x.var(axis=axes), f"var = 1 / m sum ({input_} - mean)^2 'over {over}'"),
        ]

    def backward(self) -> Iterator[Block]:
        for number, layer, entry in reversed(self.layers):
            equations = self.equations[layer.name]
            lines = [Line("delta = dL/dz", f"delta^{number}", layer.delta, equations["delta"])]
            lines += [
                Line(f"dL/d{name}", f"dL/d{name}^{number}", value, equations[f"dL/d{name}"])
                for name, value in layer.grads.items()
            ]
            yield Block(_title(number, layer, entry), tuple(lines))

    def update(self) -> Iterator[Block]:
        for number, layer, entry in self.layers:
            lines = []
            equations = self.equations[layer.name]
            for name, after in layer.after.items():
                used, symbol = layer.used[name], f"{name}^{number}"
                if not _is_used(layer, name):
                    lines.append(Line(f"g of {name}", "g", used, equations[f"g of {name}"]))
                for vector, values in layer.vectors.items():
                    lines.append(Line(f"{vector} of {name}", vector, values[name], equations[f"{vector} of {name}"]))
                lines.append(Line(f"{name} after", symbol, after, equations[f"{name} after"]))
            if lines:
                yield Block(_title(number, layer, entry) + _own_rates(layer, self.trace), tuple(lines))
        equation = self.equations[""]["loss"] + " 'with the new weights'"
        yield Block("", (Line("loss after", "L", self.trace.loss_after, equation),))


def _title(number: int, layer: LayerTrace, entry: LayerEntry) -> str:
    """`dense_1` is layer 1: dense, units 2, activation sigmoid."""
    words = [registry.layers.name_of(entry.spec)]
    for field in dataclasses.fields(entry.spec):  # type: ignore[arg-type]  # a part is a dataclass
        value = getattr(entry.spec, field.name)
        if isinstance(value, (bool, int, float, str, tuple)) and value != field.default:
            words.append(f"{field.name} {'x'.join(map(str, value)) if isinstance(value, tuple) else value}")
    if entry.activation is not None:
        words.append(registry.activations.name_of(entry.activation))
    return f"{layer.name} (layer {number}: {', '.join(words)})"


def _own_rates(layer: LayerTrace, trace: StepTrace) -> str:
    """Where they are not that of the step, the learning rates of a layer."""
    return "".join(f", eta {rate:g} for {name}" for name, rate in layer.rates.items() if rate != trace.learning_rate)


def _settings(optimizer: object) -> str:
    """The optimizer's hyperparameters that are not 0, beside its learning rate."""
    values = {field.name: getattr(optimizer, field.name) for field in dataclasses.fields(optimizer)}  # type: ignore[arg-type]
    return "".join(f", {name} {value:g}" for name, value in values.items() if value and name != "learning_rate")


def equations_of(steps: Steps, trace: StepTrace) -> dict[str, dict[str, str]]:
    """By layer and quantity, "z", "delta", "dL/dW" or "W after", the equation; the loss's under the name ""."""
    network, config = steps.model.network, steps.model.config
    n, several = len(trace.x), "sum_n " if len(trace.x) > 1 else ""
    found: dict[str, dict[str, str]] = {}
    known = [layer_equations(entry) for entry in network.entries]
    last = len(trace.layers)
    for index, (layer, entry) in enumerate(zip(trace.layers, network.entries, strict=True)):
        number = index + 1
        fill = _names(number, layer, several)
        own = known[index] or LayerEquations("'its layer of' {x}", "")
        function = activation_equations(entry)
        equations = {"z": f"z^{number}{own.place} = {own.z.format(**fill)}"}
        equations["a"] = f"a^{number} = z^{number}"
        if function is not None and entry.activation is not None:
            equations["a"] = f"a^{number} = {function.value.format(**fill)}"
        if number == last:
            equations["delta"] = _output_delta(steps, trace, fill)
        else:
            behind = known[index + 1]
            names = _names(number + 1, trace.layers[index + 1], several)
            da = f"dL/da^{number}" if behind is None else behind.dx.format(**names)
            equations["delta"] = f"delta^{number} = {_times_slope(da, entry, fill)}"
        for name in layer.grads:
            rule = own.gradients.get(name)
            equations[f"dL/d{name}"] = f"dL/d{name}^{number} = {rule.format(**fill)}" if rule else ""
        for name in layer.after:
            equations |= _update(steps, layer, name, number)
        if "running_mean" in layer.stats:
            equations["running_mean"] = "running_mean <- (1 - momentum) running_mean + momentum mean"
            equations["running_var"] = "running_var <- (1 - momentum) running_var + momentum var m / (m - 1)"
        found[layer.name] = equations
    loss, _ = loss_equations(config.loss, network.output_activation)
    value = "l" if loss is None else loss.value.format(**_names(last, trace.layers[-1], several))
    factor = _factor(config.loss.reduction, n, weighted=trace.weights is not None)
    total = f"L = {factor}{several}l{WITH}l = {value.replace(WITH, ', ')}" if factor or several else f"L = {value}"
    return {**found, "": {"loss": total}}


def _names(number: int, layer: LayerTrace, several: str) -> dict[str, str]:
    own = {name: f"{name}^{number}" for name in layer.params}
    return {
        "z": f"z^{number}",
        "a": f"a^{number}",
        "x": f"a^{number - 1}",
        "delta": f"delta^{number}",
        "W": f"W^{number}",
        "b": f"b^{number}",
        "sum": several,
        **own,
    }


def _factor(reduction: str, n: int, *, weighted: bool) -> str:
    """What each sample's loss is multiplied by."""
    mean = f"1 / {n} " if reduction == "mean" and n > 1 else ""
    return mean + ("s * " if weighted else "")


def _output_delta(steps: Steps, trace: StepTrace, fill: dict[str, str]) -> str:
    """That of the last layer: from the loss, and the output activation unless the two are computed together."""
    network, config = steps.model.network, steps.model.config
    loss, fused = loss_equations(config.loss, network.output_activation)
    if loss is None:
        return ""
    factor = _factor(config.loss.reduction, len(trace.x), weighted=trace.weights is not None)
    gradient = factor + loss.gradient.format(**fill)
    rule = gradient if fused else _times_slope(gradient, network.entries[-1], fill)
    return f"{fill['delta']} = {rule}"


def _times_slope(da: str, entry: LayerEntry, fill: dict[str, str]) -> str:
    """dL/dz from dL/da."""
    function = activation_equations(entry) if entry.activation is not None else None
    if function is None or isinstance(entry.activation, Identity):
        return da
    slope = function.slope.format(**fill)
    name = registry.activations.name_of(entry.activation)
    if name == "softmax":
        return slope.replace(f"d = dL/d{fill['a']}", f"d = {da.replace(WITH, ', ')}")
    head, _, definitions = da.partition(WITH)
    if " + " in head or "'" in head:
        head = f"({head})"
    where = f"f'({fill['z']}) = {slope}" + (f", {definitions}" if definitions else "")
    return f"{head} * f'({fill['z']}){WITH}{where.replace(WITH, ', ')}"


def _update(steps: Steps, layer: LayerTrace, name: str, number: int) -> dict[str, str]:
    """What becomes of one parameter and of the optimizer's vectors for it."""
    network, optimizer = steps.model.network, steps.model.config.optimizer
    rules = update_equations(optimizer)
    symbol, decays = f"{name}^{number}", network.layout.specs[f"{layer.name}.{name}"].decay
    found = {f"g of {name}": _gradient_used(steps, symbol, decays=decays)}
    gradient = f"dL/d{symbol}" if _is_used(layer, name) else "g"
    for vector, rule in rules.items():
        if gradient != "g":
            rule = rule.replace("g^2", f"({gradient})^2")
        if not decays:
            rule = rule.replace("weight_decay W - eta ", "")
        rule = re.sub(r"(?<![\w'])W(?![\w'])", symbol, re.sub(r"(?<![\w'])g(?![\w'])", gradient, rule))
        key, left = (
            (f"{name} after", symbol) if vector == "W" else (f"{vector} of {name}", _VECTORS.get(vector, vector))
        )
        found[key] = f"{left} <- {rule}"
    return {f"{vector} of {name}": "" for vector in layer.vectors} | {f"{name} after": ""} | found


_VECTORS = {"sum": "S"}  # the symbols of vectors that are not called by their names


def _is_used(layer: LayerTrace, name: str) -> bool:
    """Whether the optimizer took the gradient as it is."""
    return np.array_equal(layer.used[name], layer.grads[name], equal_nan=True)


def _gradient_used(steps: Steps, symbol: str, *, decays: bool) -> str:
    """g where it is not simply the gradient."""
    optimizer, training = steps.model.config.optimizer, steps.model.config.training
    clips = [f"{key} {value:g}" for key in ("clip_value", "clip_norm") if (value := getattr(training, key)) is not None]
    terms = [f"dL/d{symbol}" + (f" 'clipped to {', '.join(clips)}'" if clips else "")]
    if decays and optimizer.weight_decay and not optimizer.decoupled_decay:
        terms.append(f"weight_decay {symbol}")
    if decays and optimizer.l1:
        terms.append(f"l1 sign({symbol})")
    return f"g = {' + '.join(terms)}" + ("" if clips or len(terms) > 1 else " '; 0 where frozen'")
