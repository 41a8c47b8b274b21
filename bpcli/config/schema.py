"""The keys of a config, their types and defaults. Ranges and the keys of parts come from the engine's dataclasses."""

from __future__ import annotations

import dataclasses
import math
import os
import re
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, Field, GetJsonSchemaHandler, ValidationInfo, field_validator

from bpcli.config.part_models import build, checked, construct, model_of, part, part_schema, plain, read_type, within
from bpcli.config.strict import (
    FULL_KEYS,
    KEYS_ELSEWHERE,
    Read,
    Strict,
    expected,
    how_to_write,
    problem,
    problem_at,
    read_each,
    read_items,
    shown,
)
from bpcli.data.kinds import Number
from bpcli.data.types import ColumnKind, Images, Scaling
from bpcli.engine import registry
from bpcli.engine.fields import AtLeast, Finite
from bpcli.engine.layers.dense import Dense
from bpcli.engine.network import LayerEntry
from bpcli.engine.protocols import Activation, Initializer, Loss, Metric, Optimizer, Schedule
from bpcli.engine.training.options import EarlyStopping, TrainOptions
from bpcli.text import known_as

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue
LONGEST_LAYER_NAME = 200

ON_WINDOWS = os.name == "nt"
# device names, also with a suffix, and names whose last character Windows drops
_NO_FOLDER_ON_WINDOWS = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9¹²³])( *\..*)?|.*[. ]", re.IGNORECASE)


class Pair(Strict):
    """Inputs and targets in one file each: npy or IDX."""

    x: str
    y: str | None = None


Fraction = Annotated[float, Field(gt=0, lt=1)]
Weight = Annotated[float, Field(ge=0)]
Whole = Annotated[int, Field(ge=1)]


def _location(value: Any) -> Any:
    if isinstance(value, (str, Pair)) and value:
        return value
    if isinstance(value, dict):
        return Pair.model_validate(value)
    raise problem(f"expected a path, or {{x: PATH, y: PATH}}, got {shown(value)}")


def _location_or_fraction(value: Any) -> Any:
    if value is None or (isinstance(value, (str, dict, Pair)) and value and not how_to_write(value)):
        return None if value is None else _location(value)
    if isinstance(value, float) and 0 < value < 1:
        return value
    raise problem(expected("a path like data.train's, or a fraction of it between 0 and 1", value))


def _names(value: Any) -> Any:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)) and value and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise problem(f"expected a name or a list of names, got {shown(value)}")


class Scale(Strict):
    """How inputs and targets are scaled, separately. What `robust` makes of a value cannot be undone in full."""

    x: Scaling = "none"
    y: Literal["none", "standard", "minmax"] = "none"


def _scale(value: Any) -> Any:
    words = get_args(Scaling)
    if isinstance(value, Scale) or value in words:
        return value
    if isinstance(value, dict):
        return Scale.model_validate(value)
    raise problem(expected(f"{', '.join(words)}, or {{x: ..., y: ...}}", value, words))


def _class_weights(value: Any) -> Any:
    if value is None or value == "balanced":
        return value
    if not isinstance(value, dict) or not value:
        raise problem(expected("balanced, or a number for each class such as {yes: 3, no: 1}", value, ("balanced",)))
    for label, weight in value.items():
        if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight < math.inf:
            raise problem_at(label, f"must be at least 0, got {shown(weight)}")
    return {label: float(weight) for label, weight in value.items()}


def _excluded(value: Any) -> Any:
    return () if isinstance(value, (list, tuple)) and not value else _names(value)


def _column(value: Any) -> Any:
    """A column's kind; in a list of categories numbers and words of YAML stand for their texts."""
    if isinstance(value, dict) and isinstance(value.get("categories"), list):
        value = {**value, "categories": [_category(item) for item in value["categories"]]}
    return part(ColumnKind).read(value)


def _category(item: Any) -> Any:
    if isinstance(item, float):
        raise problem_at(
            "categories", f"a category is a text as in the file: put {item!r} in quotes, as it stands there"
        )
    return str(item) if type(item) is int else item


def _columns(value: Any) -> Any:
    """The kinds of columns by name."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise problem(expected("a kind for each column, such as {age: number, sex: category}", value))
    return read_items(_column, value.items())


def _images(value: Any) -> Any:
    return value if value is None or isinstance(value, Images) else build(Images, value)


def _images_schema(handler: GetJsonSchemaHandler) -> JsonSchemaValue:
    keys = handler(model_of(Images).__pydantic_core_schema__)
    return {"anyOf": [keys, {"type": "null"}]}


class Data(Strict):
    """The data files and how they are prepared."""

    train: Annotated[str | Pair, Read(_location)]
    val: Annotated[str | Pair | Fraction | None, Read(_location_or_fraction)] = None
    test: Annotated[str | Pair | Fraction | None, Read(_location_or_fraction)] = None
    target: Annotated[str | tuple[str, ...] | None, Read(_names)] = None
    features: Annotated[str | tuple[str, ...] | None, Read(_names)] = None
    header: bool | None = None
    decimal: Literal[".", ","] = "."
    missing: Literal["error", "drop", "mean", "median"] = "error"
    sample_weight: str | None = None
    class_weights: Annotated[Literal["balanced"] | dict[str, Weight] | None, Read(_class_weights)] = None
    task: Literal["auto", "classification", "regression"] = "auto"
    stratify: bool = True
    split: Literal["shuffled", "in_order"] = "shuffled"
    scale: Annotated[Scaling | Scale, Read(_scale)] = "none"
    exclude: Annotated[str | tuple[str, ...] | None, Read(_excluded)] = None
    columns: Annotated[dict[str, Annotated[ColumnKind, part(ColumnKind)]] | None, Read(_columns)] = None
    group: str | None = None
    split_seed: Annotated[int | None, within(AtLeast(0))] = None
    images: Annotated[Images | None, Read(_images, _images_schema)] = None

    @field_validator("test")
    @classmethod
    def _leaves_some(cls, test: Any, info: ValidationInfo) -> Any:
        val = info.data.get("val")
        if isinstance(val, float) and isinstance(test, float) and val + test >= 1:
            raise problem(f"with val: {val} nothing is left to train on: take less than 1 together, got {test}")
        return test

    @field_validator("columns")
    @classmethod
    def _marks_differ(cls, columns: Any, info: ValidationInfo) -> Any:
        for name, kind in (columns or {}).items():
            if isinstance(kind, Number) and kind.thousands and kind.thousands == info.data.get("decimal"):
                raise problem_at(name, f"thousands: {shown(kind.thousands)} is the decimal mark too, see data.decimal")
        return columns


def _integers(value: Any) -> Any:
    """A list as a tuple, each item a whole number of at least 1."""
    if not isinstance(value, (list, tuple)) or not value:
        raise problem(f"expected a list of whole numbers, got {shown(value)}")
    for item in value:
        if isinstance(item, bool) or not isinstance(item, int) or item < 1:
            raise problem(f"{expected('whole numbers of at least 1', item)} in {shown(value)}")
    return tuple(value)


def _sizes(value: Any) -> Any:
    """The sizes of a stack of layers as a tuple; the first and the last may be `auto`."""
    if not isinstance(value, (list, tuple)) or not value:
        raise problem(f"expected a list of whole numbers, got {shown(value)}")
    for place, size in enumerate(value):
        if size == "auto" and place not in (0, len(value) - 1):
            raise problem(
                f"auto is the number of inputs as the first size, or of outputs as the last; got {shown(list(value))}: "
                "give the hidden layers their sizes, as in [auto, 64, auto]"
            )
        if size != "auto" and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
            raise problem(f"{expected('whole numbers of at least 1', size, ('auto',))} in {shown(list(value))}")
    if len(value) < 2:
        raise problem(f"expected at least two sizes, inputs first and outputs last, got {shown(list(value))}")
    return tuple(value)


def _activations(value: Any) -> Any:
    read = part(Activation).read
    return read_each(read, value) if isinstance(value, (list, tuple)) else read(value)


HiddenActivation = Annotated[Any, part(Activation)]


class PlainNetwork(Strict):
    """A stack of dense layers, given by their sizes. `activation`: one for all hidden layers, or one for each.

    The first and the last size may be `auto`, until the data are known.
    """

    layers: Annotated[tuple[Whole | Literal["auto"], ...], Field(min_length=2), Read(_sizes)]
    activation: Annotated[HiddenActivation | tuple[HiddenActivation, ...], Read(_activations)] = Field(
        default_factory=lambda: registry.activations.get("sigmoid")()
    )
    output_activation: Annotated[Any, part(Activation, also=("auto",))] = "auto"
    init: Annotated[Initializer | None, part(Initializer, optional=True)] = None
    bias: bool = True

    @property
    def input(self) -> tuple[int, ...] | None:
        """The shape of one sample, where both ends are known."""
        return None if isinstance(self.layers[0], str) or isinstance(self.layers[-1], str) else (self.layers[0],)

    def with_sizes(self, inputs: int, outputs: int) -> PlainNetwork:
        """With these in place of `auto`."""
        first, *hidden, last = self.layers
        first, last = (inputs if first == "auto" else first), (outputs if last == "auto" else last)
        return self.model_copy(update={"layers": (first, *hidden, last)})

    def entries(self) -> tuple[LayerEntry, ...]:
        """The layers, hidden ones first; the last one's activation is not chosen yet if it is `auto`."""
        hidden = len(self.layers) - 2
        given = self.activation
        functions: list[Any] = list(given) if isinstance(given, tuple) else [given] * hidden
        functions.append(None if self.output_activation == "auto" else self.output_activation)
        return tuple(
            LayerEntry(spec=Dense(units=int(units), bias=self.bias, init=self.init), activation=function)
            for units, function in zip(self.layers[1:], functions, strict=True)
        )


def _numbers(value: Any) -> Any:
    """Nested lists of finite numbers, unchanged; null stays null."""
    if value is not None:
        _check_numbers(value)
    return value


def _check_numbers(value: Any) -> None:
    if isinstance(value, (list, tuple)):
        for item in value:
            _check_numbers(item)
    elif isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise problem(expected("lists of finite numbers", value))


def _trainable(value: Any) -> Any:
    if isinstance(value, bool) or value in ("weights", "biases"):
        return value
    raise problem(expected("true, false, weights or biases", value, ("weights", "biases")))


def _rate_scale(value: Any) -> Any:
    if value == "inverse_sqrt_fan_in":
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise problem(expected("a number or inverse_sqrt_fan_in", value, ("inverse_sqrt_fan_in",)))
    return within(AtLeast(0))(float(value))


def _layer_name(value: str | None) -> str | None:
    """A layer's name, which must be valid as a member of an npz file: NAME.W. An empty name counts as none."""
    if not value:
        return None
    parts_are_named = not {"", ".", ".."} & set(value.split("/"))
    if not (parts_are_named and value.isprintable() and value == value.strip() and "\\" not in value):
        raise problem(
            f"must be a layer name: printable characters, with / between parts as in block1/dense, got {shown(value)}"
        )
    if len(value) > LONGEST_LAYER_NAME:
        raise problem(f"must be a layer name of at most {LONGEST_LAYER_NAME} characters, got {len(value)}")
    return value


class LayerKeys(Strict):
    """The keys that all layers share."""

    name: Annotated[str | None, AfterValidator(_layer_name)] = None
    activation: Annotated[Activation | None, part(Activation, optional=True)] = None
    learning_rate_scale: Annotated[Weight | Literal["inverse_sqrt_fan_in"], Read(_rate_scale)] = 1.0
    bias_learning_rate_scale: Annotated[float | None, within(AtLeast(0))] = None
    trainable: Annotated[bool | Literal["weights", "biases"], Read(_trainable)] = True
    weights: Annotated[list[Any] | float | None, Read(_numbers)] = None
    biases: Annotated[list[Any] | float | None, Read(_numbers)] = None


def _layer(value: Any) -> LayerEntry:
    if isinstance(value, LayerEntry):
        return value
    name, fields = read_type(registry.layers, value)
    cls = registry.layers.get(name)
    values: Any = model_of(cls, LayerKeys).model_validate(fields)
    common = {key: getattr(values, key) for key in LayerKeys.model_fields}
    return LayerEntry(spec=construct(cls, values), **common)


def _layer_schema(handler: GetJsonSchemaHandler) -> JsonSchemaValue:
    return part_schema(registry.layers, handler, base=LayerKeys)


class LayeredNetwork(Strict):
    """A network layer by layer."""

    not_here: ClassVar[dict[str, str]] = dict.fromkeys(
        ("activation", "bias", "init", "output_activation"),
        "is for layers given by their sizes; here each layer has its own",
    )

    input: Annotated[tuple[Whole, ...] | None, Read(lambda v: None if v is None else _integers(v))] = None
    layers: Annotated[list[Annotated[LayerEntry, Read(_layer, _layer_schema)]], Field(min_length=1)]

    def entries(self) -> tuple[LayerEntry, ...]:
        """The layers as written."""
        return tuple(self.layers)


def _network(value: Any) -> Any:
    if isinstance(value, (PlainNetwork, LayeredNetwork)):
        return value
    layers = value.get("layers") if isinstance(value, dict) else None
    if isinstance(layers, list) and "auto" in layers and any(isinstance(item, dict) for item in layers):
        raise problem_at(
            "layers",
            "auto belongs to a list of sizes, as in [auto, 64, auto]; layer by layer, leave the inputs out, and give "
            "the last dense layer as many units as there are classes or targets",
        )
    if isinstance(layers, list) and layers and not any(isinstance(i, (int, float)) or i == "auto" for i in layers):
        return LayeredNetwork.model_validate(value)
    if isinstance(value, dict) and "input" in value and isinstance(layers, list) and layers:
        raise problem_at("input", "belongs to layers written one by one; in a list of sizes the first is the input")
    return PlainNetwork.model_validate(value)


def _number_or(word: str, *, owner: type | None = None, name: str = "") -> Read:
    """A whole number, checked as the owner's field or as at least 1; or the word, unchanged."""
    in_range = checked(owner, name) if owner else within(AtLeast(1))

    def read(value: Any) -> Any:
        if value == word:
            return value
        if isinstance(value, bool) or not isinstance(value, int):
            raise problem(expected(f"a whole number or {word}", value, (word,)))
        return in_range(value)

    return Read(read)


def _early_stopping(value: Any) -> Any:
    if value is True or (type(value) is int and value > 0):
        patience = EarlyStopping.patience if value is True else value
        got = expected(f"a mapping with the keys {', '.join(model_of(EarlyStopping).model_fields)}", value)
        raise problem(f"{got} (write {{patience: {patience}}})")
    return value if value is None or isinstance(value, EarlyStopping) else build(EarlyStopping, value)


def _early_stopping_schema(handler: GetJsonSchemaHandler) -> JsonSchemaValue:
    keys = handler(model_of(EarlyStopping).__pydantic_core_schema__)
    return {"anyOf": [keys, {"type": "null"}]}


class Training(Strict):
    """How long to train, in which batches, and when to stop."""

    epochs: Annotated[int, checked(TrainOptions, "epochs")]
    batch_size: Annotated[Whole | Literal["full"], _number_or("full", owner=TrainOptions, name="batch_size")] = 32
    drop_last: bool = False
    shuffle: bool = True
    shards: Annotated[Whole | Literal["auto"], _number_or("auto", owner=TrainOptions, name="shards")] = "auto"
    clip_norm: Annotated[float | None, checked(TrainOptions, "clip_norm")] = None
    clip_value: Annotated[float | None, checked(TrainOptions, "clip_value")] = None
    early_stopping: Annotated[EarlyStopping | None, Read(_early_stopping, _early_stopping_schema)] = None
    goal: Annotated[float | None, within(Finite())] = None
    min_change: Annotated[float | None, checked(TrainOptions, "min_change")] = None
    max_seconds: Annotated[float | None, checked(TrainOptions, "max_seconds")] = None
    on_divergence: Literal["stop", "halve_rate"] = "stop"
    log_every: Annotated[int, within(AtLeast(1))] = 1

    def options(self, *, threads: int) -> TrainOptions:
        """The engine's options, with None for `full` and `auto`."""
        names = {field.name for field in dataclasses.fields(TrainOptions)} & set(type(self).model_fields)
        values = {name: getattr(self, name) for name in names}
        for name in ("batch_size", "shards"):
            values[name] = None if isinstance(values[name], str) else values[name]
        return TrainOptions(**values, threads=threads)


class Output(Strict):
    """What a run writes to disk, and how often."""

    dir: str = "runs"
    checkpoint_every: Annotated[Whole | Literal["auto"], _number_or("auto")] = "auto"
    keep: Annotated[int, within(AtLeast(1))] = 2


def _run_name(value: str | None) -> str | None:
    if value is not None and (not re.fullmatch(r"[\w][\w .+-]{0,99}", value) or value != value.strip()):
        raise problem(
            "must be a folder name: letters, digits, . _ + - and spaces, starting with a letter or digit, "
            f"got {shown(value)}"
        )
    if value is not None and ON_WINDOWS and _NO_FOLDER_ON_WINDOWS.fullmatch(value):
        raise problem(f"must be a folder name, but Windows does not allow {shown(value)}: take another, such as run-1")
    return value


def _metrics(value: Any) -> Any:
    if value is None:
        return None
    if not isinstance(value, (list, tuple)) or not value:
        raise problem(expected("a list of metrics such as [accuracy]", value))
    return read_each(part(Metric).read, value)


class Config(Strict):
    """A whole config."""

    name: Annotated[str | None, AfterValidator(_run_name)] = None
    seed: Annotated[int, within(AtLeast(0))] = 0
    dtype: Literal["float32", "float64"] = "float32"
    data: Data
    network: Annotated[PlainNetwork | LayeredNetwork, Read(_network)]
    loss: Annotated[Loss, part(Loss, default="mse")] = Field(default_factory=lambda: registry.losses.get("mse")())
    optimizer: Annotated[Optimizer, part(Optimizer, default="sgd")] = Field(
        default_factory=lambda: registry.optimizers.get("sgd")()
    )
    schedule: Annotated[Schedule | None, part(Schedule, optional=True)] = None
    metrics: Annotated[tuple[Annotated[Metric, part(Metric)], ...] | None, Read(_metrics)] = None
    training: Training
    output: Output = Field(default_factory=Output)

    def to_plain(self) -> dict[str, Any]:
        """The config as plain values, defaults filled in: `parse` reads back an equal one."""
        values = {name: plain(getattr(self, name)) for name in type(self).model_fields}
        values["data"] = {
            key: value for key, value in values["data"].items() if key not in _OF_TABLES or value not in (None, {})
        }
        if isinstance(self.network, LayeredNetwork):
            values["network"]["layers"] = [_plain_layer(entry) for entry in self.network.layers]
        return values


_OF_TABLES = ("exclude", "columns", "group", "split_seed", "images")  # written only where they are given


def _plain_layer(entry: LayerEntry) -> dict[str, Any]:
    """A layer's own keys, and the shared keys that differ from their defaults."""
    values: dict[str, Any] = plain(entry.spec)
    for field in dataclasses.fields(LayerEntry):
        value = getattr(entry, field.name)
        if field.name != "spec" and value != field.default:
            values[field.name] = plain(value)
    return values


def _full_keys() -> dict[str, str]:
    """The full name of each key of a section; for a key in several sections, the first."""
    sgd: Any = registry.optimizers.get("sgd")
    sections = {
        "training": Training.model_fields,
        "data": Data.model_fields,
        "network": PlainNetwork.model_fields,
        "optimizer": [field.name for field in dataclasses.fields(sgd)],
        "training.early_stopping": [field.name for field in dataclasses.fields(EarlyStopping)],
        "output": Output.model_fields,
    }
    keys = {key: key for key in Config.model_fields}
    for section, names in sections.items():
        keys = {**{name: f"{section}.{name}" for name in names}, **keys}
    return keys


FULL_KEYS.update(_full_keys())


def full_key(name: str) -> str | None:
    """The full name of a key, by its name here or in other tools: training.epochs for epochs. None if there is none."""
    return FULL_KEYS.get(known_as(name, FULL_KEYS, KEYS_ELSEWHERE) or "")
