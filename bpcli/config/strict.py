"""Mappings that reject unknown keys, values read by functions, and the messages for wrong ones."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
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

from bpcli.text import MOST_EDITS, edits, known_as, nearest

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


MOST_KEYS = 100  # more than any mapping has; each unknown key is compared with all known ones
MOST_PROBLEMS = 20  # reported for one list


class Strict(BaseModel):
    """A mapping of a config: unknown keys and values of the wrong type are errors, each with a plain message."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)
    also_known: ClassVar[tuple[str, ...]] = ()  # keys that were removed before validation but can still be suggested
    not_here: ClassVar[dict[str, str]] = {}  # the messages for keys that belong to another form of the same section

    @model_validator(mode="wrap")
    @classmethod
    def _plain_messages(cls, value: Any, handler: ModelWrapValidatorHandler[Any]) -> Any:
        known = (*cls.model_fields, *cls.also_known)
        if not isinstance(value, (dict, cls)):
            raise problem(f"expected a mapping with the keys {', '.join(known)}, got {shown(value)}")
        if isinstance(value, dict) and len(value) > MOST_KEYS:
            raise problem(f"expected a mapping with the keys {', '.join(known)}, got one with {len(value)} keys")
        try:
            return handler(value)
        except ValidationError as error:
            raise ValidationError.from_exception_data(cls.__name__, _details(error, known, cls.not_here)) from None


def _details(error: ValidationError, known: tuple[str, ...], not_here: Mapping[str, str]) -> list[InitErrorDetails]:
    """Each error with its message in plain words; a key that is missing because it is misspelt is reported once."""
    items = error.errors(include_url=False)
    unknown_keys = [str(item["loc"][-1]) for item in items if item["type"] == "extra_forbidden"]
    return [
        InitErrorDetails(type=problem(_message(item, known, not_here)), loc=item["loc"], input=item["input"])
        for item in items
        if item["type"] != "missing" or not any(_means(key, str(item["loc"][-1])) for key in unknown_keys)
    ]


def _means(key: str, name: str) -> bool:
    return edits(key, name) <= MOST_EDITS or known_as(key, [name], KEYS_ELSEWHERE) is not None


def _message(item: Any, known: tuple[str, ...], not_here: Mapping[str, str]) -> str:
    kind, loc, got = item["type"], item["loc"], item["input"]
    if kind == "problem":
        return str(item["ctx"]["message"])
    if kind == "extra_forbidden":
        return not_here.get(str(loc[-1])) or unknown_key(str(loc[-1]), known)
    if kind == "missing":
        return f"required, but not given: add `{loc[-1]}:`"
    if kind == "value_error":
        return str(item["ctx"]["error"])
    if kind == "literal_error":
        words = item["ctx"]["expected"]
        return expected(_bare(words), got, re.findall("'([^']*)'", words))
    if kind in EXPECTED:
        return expected(EXPECTED[kind], got)
    return f"{item['msg']}, got {shown(got)}"


def _bare(words: str) -> str:
    """pydantic's list of accepted values: words without quotes, and marks such as a comma or a blank in them."""
    return re.sub(r"""'(\w+)'""", r"\1", words)


@dataclasses.dataclass(frozen=True)
class Read:
    """Annotation of a key whose value is read by a function, so that one message covers everything it accepts.

    json_schema: returns the JSON Schema of the accepted values; None: the schema of the annotated type.
    """

    read: Callable[[Any], Any]
    json_schema: Callable[[GetJsonSchemaHandler], JsonSchemaValue] | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        accepted = None if self.json_schema else handler.generate_schema(source)
        return core_schema.no_info_plain_validator_function(self.read, json_schema_input_schema=accepted)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return self.json_schema(handler) if self.json_schema else handler(schema)


def problem(message: str) -> PydanticCustomError:
    """An error whose message is shown unchanged."""
    return PydanticCustomError("problem", "{message}", {"message": message})


def problem_at(key: str | int, message: str) -> ValidationError:
    """The same, at a key or item of the value being read."""
    return ValidationError.from_exception_data("", [InitErrorDetails(type=problem(message), loc=(key,), input=None)])


def read_each(read: Callable[[Any], Any], values: Sequence[Any]) -> tuple[Any, ...]:
    """Reads every item; errors are reported at the item.

    Raises:
        ValidationError: lists the wrong items, at most MOST_PROBLEMS.
    """
    return tuple(read_items(read, enumerate(values)).values())


def read_items(read: Callable[[Any], Any], items: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Reads the value of every (key, value); errors are reported at the key.

    Raises:
        ValidationError: lists the wrong values, at most MOST_PROBLEMS.
    """
    read_values, details = {}, []
    for key, value in items:
        try:
            read_values[key] = read(value)
        except ValidationError as error:
            details += [
                InitErrorDetails(type=problem(str(item["ctx"]["message"])), loc=(key, *item["loc"]), input=None)
                for item in error.errors(include_url=False)
            ]
        except PydanticCustomError as error:
            details.append(InitErrorDetails(type=error, loc=(key,), input=None))
        if len(details) >= MOST_PROBLEMS:
            break
    if details:
        raise ValidationError.from_exception_data("", details)
    return read_values


def shown(value: Any) -> str:
    """A value as a user would recognise it, cut short if it is long."""
    if value is None:
        text = "nothing (null)"
    elif isinstance(value, bool):
        text = "true" if value else "false"
    else:
        text = f'"{value}"' if isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def expected(what: str, got: Any, words: Sequence[str] = ()) -> str:
    """`expected a number, got "0.1" (write 0.1 without quotes)`. words: the accepted words."""
    near = nearest(got, words, WORDS_ELSEWHERE) if isinstance(got, str) else None
    hint = f" (did you mean {near}?)" if near else how_to_write(got, whole="integer" in what or "whole" in what)
    return f"expected {what}, got {shown(got)}{hint}"


# What other tools call the words that are values of keys.
WORDS_ELSEWHERE = {
    word: tuple(words.split())
    for word, words in {
        "minmax": "map_min_max min_max_scaler normalize range",
        "standard": "map_std standard_scaler standardize std z_score",
        "none": "false no off",
        "float64": "double f64",
        "float32": "f32 float float16 half single",
        "classification": "binary classifier classify multiclass",
        "regression": "numeric regress regressor",
        "drop": "dropna omit skip",
        "mean": "average impute",
        "in_order": "chronological ordered sequential time_series",
        "shuffled": "random shuffle",
        "full": "all",
    }.items()
}

_COMMA_NUMBER = re.compile(r"[-+]?[0-9]*,[0-9]+(?:[eE][-+]?[0-9]+)?")
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+")
_PERCENT = re.compile(r"[0-9]+(?:\.[0-9]+)?(?= ?%$)")
_RATIO = re.compile(r"([0-9]{1,9}) ?/ ?([1-9][0-9]{0,8})")


def how_to_write(text: Any, *, whole: bool = False) -> str:
    """` (write 0.01 with a point)` for a text that means a number, else "". whole: an integer is expected."""
    if is_number(text):
        return f" (write {text} without quotes)"
    if whole and isinstance(text, float) and text.is_integer():
        return f" (write {text:.0f})"
    if whole:
        grouped = isinstance(text, str) and _THOUSANDS.fullmatch(text)
        return f" (write {text.replace(',', '')})" if grouped else ""
    if isinstance(text, str) and _COMMA_NUMBER.fullmatch(text):
        return f" (write {text.replace(',', '.')} with a point)"
    if isinstance(text, str) and (share := _PERCENT.match(text)):
        return f" (write {float(share[0]) / 100:.12g})"
    if isinstance(text, str) and (ratio := _RATIO.fullmatch(text)):
        return f" (write {int(ratio[1]) / int(ratio[2]):.6g})"
    return ""


def is_number(text: Any) -> bool:
    """Whether it is a text that can be read as a number."""
    try:
        return isinstance(text, str) and "_" not in text and float(text) is not None
    except ValueError:
        return False


def unknown(kind: str, name: str, known: Sequence[str], meant: str | None) -> str:
    """`unknown key "epoch", did you mean "epochs"?`, or the list of known keys if none is close."""
    if not known:
        return f'unknown {kind} "{name}": there are none here'
    hint = f'did you mean "{meant}"?' if meant else f"expected one of {', '.join(sorted(known))}"
    return f'unknown {kind} "{name}", {hint}'


def unknown_key(name: str, known: Sequence[str]) -> str:
    """The same for a key that may belong elsewhere in the config: `did you mean "training.epochs"?`."""
    # an exact name comes before a misspelling; one optimizer's keys are not suggested for another
    full = {key: where for key, where in FULL_KEYS.items() if "type" not in known or "optimizer." not in where}
    meant = known_as(name, known, KEYS_ELSEWHERE) or full.get(known_as(name, full, KEYS_ELSEWHERE) or "")
    meant = meant or nearest(name, known) or full.get(nearest(name, full) or "")
    if meant == name:
        return f'unknown key "{name}" here: it belongs at the top level of the config'
    return unknown("key", name, known, meant)


FULL_KEYS: dict[str, str] = {}  # the keys of a config's sections, each with its full name; filled by the schema


# What other tools call a key.
KEYS_ELSEWHERE = {
    key: tuple(words.split())
    for key, words in {
        "type": "class class_name kind name",
        "learning_rate": "alpha base_lr eta initial_lr learn_rate learning_rate_init lr step_size",
        "momentum": "mc mu",
        "weight_decay": "decay l2 l2_penalty lambda regularization",
        "beta1": "beta_1",
        "beta2": "beta_2",
        "eps": "epsilon",
        "epochs": "iterations max_epochs max_iter n_epochs n_iter nb_epoch num_epochs",
        "batch_size": "batch mini_batch mini_batch_size minibatch",
        "max_seconds": "max_time time timeout",
        "goal": "target_loss",
        "patience": "max_fail n_iter_no_change",
        "min_delta": "tol",
        "restore_best": "restore_best_weights",
        "clip_norm": "clip clipnorm grad_clip gradient_clipping max_grad_norm",
        "clip_value": "clipvalue",
        "early_stopping": "earlystop",
        "val": "dev valid validation validation_data validation_fraction validation_split",
        "test": "test_fraction test_size test_split",
        "target": "class label label_column labels output target_column targets y",
        "features": "columns feature_columns input inputs x",
        "scale": "normalization normalize scaler scaling standardize",
        "class_weights": "class_weight",
        "missing": "nan",
        "units": "hidden neurons nodes out_features width",
        "filters": "channels n_filters out_channels",
        "kernel": "filter_size kernel_size",
        "size": "kernel_size pool_size",
        "padding": "pad",
        "rate": "p prob dropout_rate",
        "bias": "use_bias",
        "init": "initializer kernel_initializer weight_init",
        "bias_init": "bias_initializer",
        "learning_rate_scale": "lr_factor lr_mult lr_scale",
        "bias_learning_rate_scale": "bias_lr_factor bias_lr_scale",
        "every": "step_size",
        "gamma": "decay_rate factor",
        "at": "boundaries milestones",
        "period": "t_0 t_max",
        "multiplier": "t_mult",
        "warmup": "warmup_epochs warmup_iterations warmup_steps",
        "input": "input_dim input_shape",
        "layers": "hidden hidden_layer_sizes hidden_layers hidden_units neurons nodes sizes units",
        "activation": "act transfer_fcn",
        "output_activation": "final_activation out_activation",
        "network": "model net",
        "loss": "cost criterion loss_function objective",
        "optimizer": "algorithm method optim solver train_fcn",
        "schedule": "lr_schedule lr_scheduler scheduler",
        "metrics": "metric",
        "training": "fit",
        "seed": "random_seed random_state rng",
        "dtype": "precision",
        "output": "out",
        "val_accuracy": "val_acc",
    }.items()
}
