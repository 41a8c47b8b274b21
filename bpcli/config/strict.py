"""Mappings without unknown keys, values read by functions, and what is said of those that do not fit."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

if TYPE_CHECKING:
    from pydantic.json_schema import JsonSchemaValue

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


MOST_KEYS = 100  # no mapping has so many; each unknown one is compared with all that are known
MOST_PROBLEMS = 20  # that are told of one list


class Strict(BaseModel):
    """A mapping of a config: unknown keys and values of another kind are errors, each with a plain message."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)
    also_known: ClassVar[
        tuple[str, ...]
    ] = ()  # keys that were taken out before: still the right word for a misspelling

    @model_validator(mode="wrap")
    @classmethod
    def _plain_messages(cls, value: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        known = (*cls.model_fields, *cls.also_known)
        if not isinstance(value, (dict, cls)):
            raise problem(f"expected a mapping with the keys {', '.join(known)}, got {shown(value)}")
        if isinstance(value, dict) and len(value) > MOST_KEYS:
            raise problem(f"expected a mapping with the keys {', '.join(known)}, got one of {len(value)} keys")
        try:
            return handler(value)
        except ValidationError as error:
            raise ValidationError.from_exception_data(cls.__name__, _details(error, known)) from None


def _details(error: ValidationError, known: tuple[str, ...]) -> list[InitErrorDetails]:
    """Each error with its message in plain words; a key that is missing because it is misspelt is said only once."""
    items = error.errors(include_url=False)
    unknown_keys = [str(item["loc"][-1]) for item in items if item["type"] == "extra_forbidden"]
    return [
        InitErrorDetails(type=problem(_message(item, known)), loc=item["loc"], input=item["input"])
        for item in items
        if item["type"] != "missing" or all(edits(key, str(item["loc"][-1])) > 2 for key in unknown_keys)
    ]


def _message(item: Any, known: tuple[str, ...]) -> str:
    kind, loc, got = item["type"], item["loc"], item["input"]
    if kind == "problem":
        return str(item["ctx"]["message"])
    if kind == "extra_forbidden":
        return unknown("key", str(loc[-1]), known)
    if kind == "missing":
        return f"required, but not given: add `{loc[-1]}:`"
    if kind == "value_error":
        return str(item["ctx"]["error"])
    if kind == "literal_error":
        return expected(item["ctx"]["expected"].replace("'", ""), got)
    if kind in EXPECTED:
        return expected(EXPECTED[kind], got)
    return f"{item['msg']}, got {shown(got)}"


@dataclasses.dataclass(frozen=True)
class Read:
    """Annotation of a key whose value is read by a function, so that one message covers all that it accepts.

    json_schema: gives the JSON Schema of what it accepts; None takes that of the annotated type.
    """

    read: Callable[[Any], Any]
    json_schema: Callable[[GetJsonSchemaHandler], JsonSchemaValue] | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        accepted = None if self.json_schema else handler.generate_schema(source)
        return core_schema.no_info_plain_validator_function(self.read, json_schema_input_schema=accepted)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return self.json_schema(handler) if self.json_schema else handler(schema)


def problem(message: str) -> PydanticCustomError:
    """An error whose message is shown as it stands."""
    return PydanticCustomError("problem", "{message}", {"message": message})


def problem_at(key: str | int, message: str) -> ValidationError:
    """The same, at a key or item of the value that is being read."""
    return ValidationError.from_exception_data("", [InitErrorDetails(type=problem(message), loc=(key,), input=None)])


def read_each(read: Callable[[Any], Any], values: Sequence[Any]) -> tuple[Any, ...]:
    """Every item read; what does not fit is reported at its own item.

    Raises:
        ValidationError: the items that are wrong, the first MOST_PROBLEMS of them.
    """
    read_values, details = [], []
    for index, value in enumerate(values):
        try:
            read_values.append(read(value))
        except ValidationError as error:
            details += [
                InitErrorDetails(type=problem(str(item["ctx"]["message"])), loc=(index, *item["loc"]), input=None)
                for item in error.errors(include_url=False)
            ]
        except PydanticCustomError as error:
            details.append(InitErrorDetails(type=error, loc=(index,), input=None))
        if len(details) >= MOST_PROBLEMS:
            break
    if details:
        raise ValidationError.from_exception_data("", details)
    return tuple(read_values)


def shown(value: Any) -> str:
    """A value as a user would recognise it, cut short if it is long."""
    if value is None:
        text = "nothing (null)"
    elif isinstance(value, bool):
        text = "true" if value else "false"
    else:
        text = f'"{value}"' if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def expected(what: str, got: Any) -> str:
    """`expected a number, got "0.1" (write 0.1 without quotes)`."""
    hint = f" (write {got} without quotes)" if is_number(got) else ""
    return f"expected {what}, got {shown(got)}{hint}"


def is_number(text: Any) -> bool:
    """Whether it is a text that reads as a number."""
    try:
        return isinstance(text, str) and "_" not in text and float(text) is not None
    except ValueError:
        return False


def unknown(kind: str, name: str, known: tuple[str, ...]) -> str:
    """`unknown key "epoch", did you mean "epochs"?`, or all that are known where none is near."""
    if not known:
        return f'unknown {kind} "{name}": there are none here'
    near = nearest(name, known)
    hint = f'did you mean "{near}"?' if near else f"expected one of {', '.join(sorted(known))}"
    return f'unknown {kind} "{name}", {hint}'


# What other tools call it.
FOREIGN = {
    "lr": "learning_rate",
    "eta": "learning_rate",
    "logloss": "log_likelihood",
    "crossentropy": "log_likelihood",
    "crossentropyloss": "log_likelihood",
    "categoricalcrossentropy": "log_likelihood",
    "binarycrossentropy": "log_likelihood",
    "batchsize": "batch_size",
    "neurons": "units",
    "valacc": "val_accuracy",
}


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that another tool's word stands for, or with the fewest edits between.

    The edits must be at most 2 and not the whole of a name; capitals count as small letters.
    """
    known, name = list(known), name.casefold()
    foreign = FOREIGN.get(name.replace("_", "").replace("-", ""))
    if foreign in known:
        return foreign
    known = [other for other in known if abs(len(other) - len(name)) <= 2]  # no others are within 2 edits
    ranked = sorted(known, key=lambda other: (edits(name, other), -difflib.SequenceMatcher(a=name, b=other).ratio()))
    if not ranked:
        return None
    distance = edits(name, ranked[0])
    return ranked[0] if distance <= 2 and distance < max(len(name), len(ranked[0])) else None


def edits(a: str, b: str) -> int:
    """Insertions, deletions, substitutions and swaps of neighbours that lead from a to b (optimal string alignment)."""
    rows = [list(range(len(b) + 1))]
    for i, x in enumerate(a, start=1):
        row = [i]
        for j, y in enumerate(b, start=1):
            cost = min(row[j - 1] + 1, rows[-1][j] + 1, rows[-1][j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]
