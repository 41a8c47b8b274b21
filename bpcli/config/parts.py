"""From engine dataclasses to config models: a part's fields are its keys, its annotations their checks.

A part is written as its name, `adam`, or as a mapping, `{type: adam, learning_rate: 0.01}`. Nothing here knows any
part: a class that registers itself in the engine can be named in a config.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from bpcli.engine import registry
from bpcli.engine.fields import Constraint, check, constraints
from bpcli.engine.protocols import Activation, Initializer, LayerSpec, Loss, Metric, Optimizer, Schedule
from bpcli.engine.registry import Registry

REGISTRIES: dict[Any, Registry[Any]] = {
    LayerSpec: registry.layers,
    Activation: registry.activations,
    Loss: registry.losses,
    Optimizer: registry.optimizers,
    Schedule: registry.schedules,
    Metric: registry.metrics,
    Initializer: registry.initializers,
}


class Strict(BaseModel):
    """A mapping of a config: unknown keys and values of another kind are errors, each with a plain message."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)

    @model_validator(mode="wrap")
    @classmethod
    def _plain_messages(cls, value: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        if not isinstance(value, (dict, cls)):
            raise problem(f"expected a mapping with the keys {', '.join(cls.model_fields)}, got {shown(value)}")
        try:
            return handler(value)
        except ValidationError as error:
            details = [
                InitErrorDetails(
                    type=problem(_message(item, tuple(cls.model_fields))),
                    loc=item["loc"],
                    input=item["input"],
                )
                for item in error.errors(include_url=False)
            ]
            raise ValidationError.from_exception_data(cls.__name__, details) from None


@dataclasses.dataclass(frozen=True)
class Read:
    """Annotation of a key whose value is read by a function alone, whatever its static type."""

    read: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.read)


def problem(message: str) -> PydanticCustomError:
    """An error whose message is shown as it stands."""
    return PydanticCustomError("problem", "{message}", {"message": message})


def shown(value: Any) -> str:
    """A value as a user would recognise it, cut short if it is long."""
    if value is None:
        text = "nothing (null)"
    elif isinstance(value, bool):
        text = "true" if value else "false"
    else:
        text = f'"{value}"' if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


EXPECTED = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "tuple_type": "a list",
}


def _message(item: Any, fields: tuple[str, ...]) -> str:
    kind, loc, got = item["type"], item["loc"], item["input"]
    if kind == "problem":
        return str(item["ctx"]["message"])
    if kind == "extra_forbidden":
        return unknown("key", str(loc[-1]), fields)
    if kind == "missing":
        return f"required, but not given: add `{loc[-1]}:`"
    if kind == "value_error":
        return str(item["ctx"]["error"])
    if kind == "literal_error":
        return f"expected {item['ctx']['expected']}, got {shown(got)}"
    if kind in EXPECTED:
        hint = f" (write {got} without quotes)" if isinstance(got, str) and _reads_as_number(got) else ""
        return f"expected {EXPECTED[kind]}, got {shown(got)}{hint}"
    return f"{item['msg']}, got {shown(got)}"


def _reads_as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def unknown(kind: str, name: str, known: tuple[str, ...]) -> str:
    """`unknown key "epoch", did you mean "epochs"?`, or all that are known where none is near."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f'did you mean "{near[0]}"?' if near else f"expected one of {', '.join(sorted(known))}"
    return f'unknown {kind} "{name}", {hint}'


def checked(owner: type, name: str) -> AfterValidator:
    """The range check that the dataclass `owner` declares for its field `name`."""
    return within(*constraints(get_type_hints(owner, include_extras=True)[name]))


def within(*found: Constraint) -> AfterValidator:
    """The check that a value, unless it is None, meets every constraint."""

    def run(value: Any) -> Any:
        for constraint in found:
            check(constraint, value)
        return value

    return AfterValidator(run)


def part(kind: Any, *, optional: bool = False, also: tuple[str, ...] = (), default: str | None = None) -> Read:
    """Reads a part of a kind, such as Loss: gives the engine's dataclass.

    optional: null is allowed and stays None. also: words that stand for themselves, such as "auto".
    default: the type of a mapping that names none.
    """
    return Read(_PartReader(REGISTRIES[kind], optional, also, default))


@dataclasses.dataclass(frozen=True)
class _PartReader:
    parts: Registry[Any]
    optional: bool
    also: tuple[str, ...]
    default: str | None

    def __call__(self, value: Any) -> Any:
        if (value is None and self.optional) or (isinstance(value, str) and value in self.also):
            return value
        if type(value) in {self.parts.get(name) for name in self.parts.names()}:
            return value
        if self.default and isinstance(value, dict):
            value = {"type": self.default, **value}
        name, fields = read_type(self.parts, value, self.also)
        return build(self.parts.get(name), fields)


def read_type(parts: Registry[Any], value: Any, also: tuple[str, ...] = ()) -> tuple[str, dict[str, Any]]:
    """(name, the other keys) of a part as written: a name, or a mapping with the key `type`."""
    fields = {"type": value} if isinstance(value, str) else value
    example = next(iter(parts.names()), "NAME")
    if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
        raise problem(f"expected the name of {_a(parts.kind)}, or {{type: {example}, ...}}, got {shown(value)}")
    name = fields["type"]
    known = (*parts.names(), *parts.aliases(), *also)
    if name not in known:
        raise problem(unknown(parts.kind, name, known))
    return name, {key: item for key, item in fields.items() if key != "type"}


def _a(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def build(cls: type, fields: Any) -> Any:
    """The dataclass from the keys of a config.

    Raises:
        ValidationError: every key that is wrong, at its own place.
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
    """The config model of a dataclass: the same fields, types, defaults and range checks, beside those of `base`."""
    hints = get_type_hints(cls, include_extras=True)
    fields: dict[str, Any] = {
        field.name: (field_type(hints[field.name]), _default(field)) for field in dataclasses.fields(cls)
    }
    return create_model(cls.__name__, __base__=base, **fields)


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
        return Union[tuple(field_type(item) for item in get_args(annotation))]  # noqa: UP007
    if origin is tuple:
        return Annotated[annotation, BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)]
    return annotation


def plain(value: Any) -> Any:
    """A part as plain values that a config can hold: {"type": name, its fields}; lists and numbers as they are."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        for parts in REGISTRIES.values():
            if any(type(value) is parts.get(name) for name in parts.names()):
                return {"type": parts.name_of(value), **fields}
        return fields
    if isinstance(value, BaseModel):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
