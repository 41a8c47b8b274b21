"""Config models from engine dataclasses: a part's fields become its keys, and their annotations the checks.

A part is written as its name, `adam`, or as a mapping, `{type: adam, learning_rate: 0.01}`. This module names no part:
a class that is registered in the engine can be used in a config.
"""

from __future__ import annotations

import dataclasses
import types
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import (
    BaseModel,
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    create_model,
)
from pydantic_core import CoreSchema, InitErrorDetails, core_schema

from bpcli.config.strict import Read, Strict, expected, problem, problem_at, shown, unknown, unknown_key
from bpcli.data.kinds import kinds
from bpcli.data.types import ColumnKind
from bpcli.engine import registry
from bpcli.engine.fields import AtLeast, Between, Constraint, MoreThan, check, constraints
from bpcli.engine.protocols import Activation, Initializer, LayerSpec, Loss, Metric, Optimizer, Schedule
from bpcli.engine.registry import Registry
from bpcli.text import edits

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue

REGISTRIES: dict[Any, Registry[Any]] = {
    LayerSpec: registry.layers,
    Activation: registry.activations,
    Loss: registry.losses,
    Optimizer: registry.optimizers,
    Schedule: registry.schedules,
    Metric: registry.metrics,
    Initializer: registry.initializers,
    ColumnKind: kinds,
}


def checked(owner: type, name: str) -> Within:
    """The range check that the dataclass `owner` declares for its field `name`."""
    return within(*constraints(get_type_hints(owner, include_extras=True)[name]))


def within(*found: Constraint) -> Within:
    """The check that a value, unless it is None, meets every constraint."""
    return Within(found)


@dataclasses.dataclass(frozen=True)
class Within:
    """Annotation of a key whose value must meet constraints; in a list, each number must."""

    constraints: tuple[Constraint, ...]

    def __call__(self, value: Any) -> Any:
        for constraint in self.constraints:
            check(constraint, value)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        json_schema = handler(schema)
        for constraint in self.constraints:
            _limit(json_schema, _keywords(constraint))
        return json_schema


def _keywords(constraint: Constraint) -> dict[str, float]:
    """The constraint as JSON Schema keywords; every number in JSON is finite."""
    match constraint:
        case AtLeast(low=low):
            return {"minimum": low}
        case MoreThan(low=low):
            return {"exclusiveMinimum": low}
        case Between(low=low, high=high, end=end):
            return {"minimum": low, "maximum" if end else "exclusiveMaximum": high}
    return {}


def _limit(json_schema: JsonSchemaValue, keywords: dict[str, float]) -> None:
    """Adds the keywords wherever the schema allows a number."""
    if json_schema.get("type") in ("integer", "number"):
        json_schema.update(keywords)
    for inner in (*json_schema.get("anyOf", ()), *json_schema.get("prefixItems", ())):
        _limit(inner, keywords)


def part(kind: Any, *, optional: bool = False, also: tuple[str, ...] = (), default: str | None = None) -> Read:
    """Reads a part of a kind, such as Loss, as the engine's dataclass.

    optional: null is allowed and stays None. also: words that are returned unchanged, such as "auto".
    default: the type of a mapping without the key `type`.
    """
    reader = _PartReader(REGISTRIES[kind], optional, also, default)
    return Read(reader, reader.json_schema)


@dataclasses.dataclass(frozen=True)
class _PartReader:
    parts: Registry[Any]
    optional: bool
    also: tuple[str, ...]
    default: str | None

    def __call__(self, value: Any) -> Any:
        if (value is None and self.optional) or (isinstance(value, str) and value in self.also):
            return value
        if dataclasses.is_dataclass(value):  # already read
            return value
        if self.default and isinstance(value, dict) and not _named_by_a_key(self.parts, value):
            value = {"type": self.default, **value}
        name, fields = read_type(self.parts, value, self.also)
        return build(self.parts.get(name), fields)

    def json_schema(self, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """A name, or a mapping with the keys of one of the parts."""
        schema = part_schema(self.parts, handler, also=self.also, default=self.default)
        return {"anyOf": [*schema["anyOf"], {"type": "null"}]} if self.optional else schema


def part_schema(
    parts: Registry[Any],
    handler: GetJsonSchemaHandler,
    *,
    base: type[Strict] = Strict,
    also: tuple[str, ...] = (),
    default: str | None = None,
) -> JsonSchemaValue:
    """The JSON Schema of a part: its name, or a mapping of its keys and those of `base`."""
    names = {name: [name] for name in parts.names()}
    for alias, name in parts.aliases().items():
        names[name].append(alias)
    mappings = []
    for name, spellings in names.items():
        cls: Any = parts.get(name)
        model = model_of(cls, base)
        schema = dict(handler.resolve_ref_schema(handler(model.__pydantic_core_schema__)))
        schema["properties"] = {parts.key: {"enum": spellings}, **schema.get("properties", {})}
        schema["required"] = [*schema.get("required", ()), *(() if name == default else (parts.key,))]
        mappings.append(schema)
    return {"anyOf": [{"enum": [*parts.names(), *parts.aliases(), *also]}, *mappings]}


def read_type(parts: Registry[Any], value: Any, also: tuple[str, ...] = ()) -> tuple[str, dict[str, Any]]:
    """(name, the other keys) of a part as written: a name, or a mapping with the key `type`, or the registry's own."""
    if isinstance(value, str):
        if value not in parts:
            raise problem(_unknown(parts, value, also))
        return value, {}
    if not isinstance(value, dict):
        raise problem(f"expected the name of {_a(parts.kind)}, or {_example(parts)}, got {shown(value)}")
    if parts.key not in value:
        if name := _named_by_a_key(parts, value):
            raise problem(f"expected the key `{parts.key}`, as in {{{parts.key}: {name}, ...}}, got {shown(value)}")
        meant = [key for key in value if edits(key, parts.key) <= 3]
        if meant:
            raise problem_at(meant[0], unknown_key(meant[0], (parts.key,)))
        raise problem(f"expected the key `{parts.key}`, as in {_example(parts)}, got {shown(value)}")
    name = value[parts.key]
    if not isinstance(name, str):
        raise problem_at(parts.key, f"expected the name of {_a(parts.kind)}, got {shown(name)}")
    if name not in parts:
        raise problem_at(parts.key, _unknown(parts, name, also))
    return name, {key: item for key, item in value.items() if key != parts.key}


def _named_by_a_key(parts: Registry[Any], value: dict[str, Any]) -> str | None:
    """The part whose name is the only key of a mapping, as in {sgd: {learning_rate: 0.1}}; None if there is none."""
    name = next(iter(value), "")
    return name if len(value) == 1 and name in parts else None


def _unknown(parts: Registry[Any], name: str, also: tuple[str, ...]) -> str:
    word = name.removesuffix("()").rpartition(".")[2]  # torch.nn.Tanh()
    meant = _with_option(parts, name) or parts.nearest(word, also) or (word if word in parts else None)
    return unknown(parts.kind, name, (*parts.names(), *parts.aliases(), *also), meant)


def _with_option(parts: Registry[Any], name: str) -> str | None:
    """`{type: f1, average: micro}` for f1_micro: a part and a value of one of its keys; None if there is none."""
    for part_name in parts.names():
        word = name.removeprefix(f"{part_name}_")
        hints = get_type_hints(parts.get(part_name)) if word != name else {}
        for key, hint in hints.items():
            if get_origin(hint) is Literal and word in get_args(hint):
                return f"{{type: {part_name}, {key}: {word}}}"
    return None


def _example(parts: Registry[Any]) -> str:
    return f"{{{parts.key}: {next(iter(parts.names()), 'NAME')}, ...}}"


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def build(cls: type, fields: Any) -> Any:
    """The dataclass from the keys of a config.

    Raises:
        ValidationError: every wrong key, at its location.
    """
    return construct(cls, model_of(cls).model_validate(fields))


def construct(cls: type, values: BaseModel) -> Any:
    """The dataclass from a validated model; a ValueError that names a field is reported at that key."""
    names = {field.name for field in dataclasses.fields(cls)}
    try:
        return cls(**{name: getattr(values, name) for name in names & set(type(values).model_fields)})
    except ValueError as error:
        details = []
        for line in str(error).splitlines():
            name, colon, message = line.partition(": ")
            loc: tuple[str, ...] = (name,) if colon and name in names else ()
            details.append(InitErrorDetails(type=problem(message if loc else line), loc=loc, input=None))
        raise ValidationError.from_exception_data(cls.__name__, details) from None


@cache
def model_of(cls: type, base: type[Strict] = Strict) -> type[Strict]:
    """The config model of a dataclass: its fields, types, defaults and range checks, in addition to those of `base`."""
    hints = get_type_hints(cls, include_extras=True)
    fields: dict[str, Any] = {
        field.name: (field_type(hints[field.name]), _default(field)) for field in dataclasses.fields(cls)
    }
    model = create_model(cls.__name__, __base__=base, **fields)
    model.also_known = tuple(parts.key for parts in REGISTRIES.values() if parts.has_class(cls))
    return model


def _default(field: dataclasses.Field[Any]) -> Any:
    return ... if field.default is dataclasses.MISSING else field.default


def field_type(annotation: Any) -> Any:
    """The annotation as pydantic should read it: constraints become checks, protocols parts, lists may be tuples."""
    if annotation in REGISTRIES:
        return Annotated[Any, part(annotation)]
    origin = get_origin(annotation)
    if hasattr(annotation, "__metadata__"):
        return Annotated[field_type(annotation.__origin__), within(*constraints(annotation))]
    if origin in (Union, types.UnionType):
        kinds = [item for item in get_args(annotation) if item is not type(None)]
        if len(kinds) == 1 and kinds[0] in REGISTRIES:
            return Annotated[Any, part(kinds[0], optional=True)]
        union: Any = Union[tuple(field_type(item) for item in get_args(annotation))]  # noqa: UP007
        return Annotated[union, _one_message(kinds)] if len(kinds) > 1 else union
    if origin is tuple:
        return Annotated[annotation, BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)]
    return annotation


NAMES = {int: "integer", float: "number", bool: "true or false", str: "text"}


def _one_message(kinds: list[Any]) -> WrapValidator:
    """Wraps a value of one of several kinds: gives one message for all of them, while pydantic gives one for each."""
    texts: list[str] = []
    for kind in kinds:
        items = get_args(kind)
        if get_origin(kind) is Literal:
            texts += items
        elif get_origin(kind) is tuple:
            texts.append(f"a list of {len(items)} {NAMES[items[0]]}s")
        else:
            texts.append(NAMES[kind] if kind is bool else _a(NAMES[kind]))

    def run(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
        try:
            return read(value)
        except ValidationError:
            raise problem(expected(f"{', '.join(texts[:-1])} or {texts[-1]}", value)) from None

    return WrapValidator(run)


def plain(value: Any) -> Any:
    """A part as plain values for a config: {"type": name, its fields}; lists and numbers are unchanged."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        for parts in REGISTRIES.values():
            if parts.holds(value):
                return {parts.key: parts.name_of(value), **fields}
        return fields
    if isinstance(value, BaseModel):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value
