"""The commented config that `bpcli init --data` writes: each choice for a table as a key, with its reason beside it."""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bpcli.build.recipes import Recipe, recipe_for
from bpcli.data.choices import Choices
from bpcli.data.encoding import amounts_of
from bpcli.data.input_columns import yaml_name
from bpcli.data.kinds import Category, Date, Number, YesNo, kinds
from bpcli.data.survey import Survey
from bpcli.data.types import ColumnKind
from bpcli.text import brief, listed, plural, printable, shown

Line = tuple[str, str]
"""A line of YAML and the comment beside it."""

_WIDTH = 120
_WIDEST = 60  # lines of YAML with a comment beside them; above longer ones it stands above
_LONGEST_COMMENT = 600
VALIDATION = 0.2


def table_config(survey: Survey, choices: Choices, *, name: str, train: str, call: str) -> str:
    """The config's text. name: of its file; train: the table's path as the config has it; call: the command."""
    recipe = recipe_for(survey.rows - choices.target_gaps)
    parts = [
        *_head(survey, choices, name, train, call),
        *_lines([("seed: 0", "of the first weights, the split and the shuffling; another one gives another network")]),
        "",
        *_data(survey, choices, train),
        "",
        *_network(choices, recipe),
        "",
        *_training(survey, choices, recipe),
    ]
    return "\n".join(parts) + "\n"


def _head(survey: Survey, choices: Choices, name: str, train: str, call: str) -> Iterator[str]:
    others = len(survey.columns) - len(choices.targets)
    used = len(choices.inputs)
    of = f"{used} of the other {others} columns" if used < others else f"the other {others} column{'s' * (others > 1)}"
    yield from _comment(f"Predicts {listed(choices.targets)} from {of} of {printable(train)} ({survey.rows:,} rows).")
    yield from _comment(f"Written by {call}, and trains as it stands: bpcli train {printable(name)}")
    yield from _comment(
        "The comments say why each line is as it is. Their figures are of the whole file; what the network learns "
        "from, down to medians and categories, is of the training part alone."
    )
    if not survey.table.has_header:
        yield from _comment("Line 1 of the file holds values and no names: the columns are c1, c2, ... in their order.")


def _data(survey: Survey, choices: Choices, train: str) -> Iterator[str]:
    yield "data:"
    top: list[Line] = [(f"train: {_text(train)}", "")]
    if survey.table.decimal == ",":
        top.append(('decimal: ","', "numbers are written such as 1,5"))
    targets = [yaml_name(name) for name in choices.targets]
    top.append(
        (f"target: {targets[0] if len(targets) == 1 else '[' + ', '.join(targets) + ']'}", choices.target_reason)
    )
    top.append((f"task: {choices.task}", _task_comment(choices)))
    yield from _lines(top, indent=2)
    if choices.left_out:
        yield "  exclude:"
        yield from _lines([(f"- {yaml_name(name)}", why) for name, why in choices.left_out], indent=4)
    yield "  columns:"
    columns = [
        (f"{yaml_name(column.name)}: {_kind(_explicit(column.kind, choices))}", "; ".join(column.remarks))
        for column in choices.inputs
    ]
    if choices.target_kind is not None:
        columns.append((f"{targets[0]}: {_kind(choices.target_kind)}", "the target's numbers, as they are written"))
    yield from _lines(columns, indent=4)
    yield from _lines(_splits(survey, choices), indent=2)


def _task_comment(choices: Choices) -> str:
    if not choices.classes:
        return choices.task_reason
    total = sum(choices.classes.values())
    shares = [
        f"{shown(text, 20)} {count:,} ({100 * count / total:.3g}%)" for text, count in list(choices.classes.items())[:5]
    ]
    more = f", and {len(choices.classes) - 5} more" if len(choices.classes) > 5 else ""
    return f"{len(choices.classes)} classes: {', '.join(shares)}{more}; {choices.task_reason}"


def _explicit(kind: ColumnKind, choices: Choices) -> ColumnKind:
    """With data.missing: drop, which is for the target's sake, each input has a rule of its own."""
    if not choices.target_gaps or kind.missing is not None:
        return kind
    if isinstance(kind, (Category, YesNo)):
        return dataclasses.replace(kind, missing="zeros")
    assert isinstance(kind, (Number, Date))
    return dataclasses.replace(kind, missing="median")


def _splits(survey: Survey, choices: Choices) -> list[Line]:
    lines: list[Line] = []
    if choices.target_gaps:
        lines.append(
            (
                "missing: drop",
                f"{plural(choices.target_gaps, 'row')} without a target "
                f"{'is' if choices.target_gaps == 1 else 'are'} left out; inputs have rules of their own",
            )
        )
    else:
        lines.append(
            ("missing: median", "what new rows may lack: numbers become the median, categories 0 in all inputs")
        )
    lines.append(
        (
            f"val: {VALIDATION}",
            "a part of the rows that is not trained on: it chooses the best epoch, so its score is a little too good",
        )
    )
    lines.append(
        (
            "test: null",
            "none, so that no rows are lost; 0.2 holds back rows that nothing is chosen by, for an unbiased bpcli eval",
        )
    )
    if choices.group is not None:
        lines.append((f"group: {yaml_name(choices.group)}", choices.group_reason))
    if choices.in_order:
        lines.append(("split: in_order", choices.order_reason))
    else:
        lines.append(("split: shuffled", choices.order_reason or "nothing in the file suggests an order in time"))
        if choices.classes and choices.group is None:
            lines.append(("stratify: true", "each part has each class with the same share"))
    if choices.is_unbalanced:
        lines.append(
            (
                "class_weights: null",
                "the classes are unbalanced, and weights would distort the probabilities; balanced finds more of the "
                "rare ones, and errs more often in all",
            )
        )
    robust = (
        "numbers: (x - median) / interquartile range, then smoothly kept within -3 to 3, so that outliers do no harm"
    )
    if choices.task == "regression":
        lines.append(
            ("scale: {x: robust, y: standard}", f"{robust}; the target has mean 0 and deviation 1 in training")
        )
    else:
        lines.append(("scale: {x: robust, y: none}", robust))
    return lines


def _network(choices: Choices, recipe: Recipe) -> Iterator[str]:
    activation = "selu" if choices.task == "classification" else "mish"
    yield from _comment(
        "Network and training are the recipe of RealMLP-TD-S (Holzmueller et al. 2024, arXiv 2407.04491), whose values "
        "did well on many tables; the fewer the rows, the narrower the layers."
    )
    yield "network:"
    yield "  layers:"
    numbers = sum(amounts_of(column.kind) for column in choices.inputs)
    if recipe.embeds_numbers and numbers:
        embedding = f"- {{type: periodic_embedding, columns: {numbers}, learning_rate_scale: 0.1}}"
        yield from _lines(
            [(embedding, "a few learned waves of each number, which come first among the inputs")], indent=4
        )
    yield from _lines(
        [("- {type: scale, learning_rate_scale: 6.0}", "a learned factor for each input: how much it counts")], indent=4
    )
    yield from _lines(
        [("", "hidden layers; the more inputs a layer has, the smaller the rate of its weights")], indent=4
    )
    rates = "learning_rate_scale: inverse_sqrt_fan_in, bias_learning_rate_scale: 0.1"
    for units in recipe.hidden:
        yield f"    - {{type: dense, units: {units}, activation: {activation}, init: lecun_normal,"
        yield f"       bias_init: {{type: normal, std: 1.0}}, {rates}}}"
    units, end, why = len(choices.targets), "", "a number for each target"
    if choices.classes:
        units, end, why = len(choices.classes), ", activation: softmax", "a probability for each class"
    elif choices.task == "classification":
        end, why = ", activation: sigmoid", "a probability for each target"
    yield from _lines([("", f"{why}; the weights start at 0, so that at first all rows get the same")], indent=4)
    yield f"    - {{type: dense, units: {units}, init: zeros{end},"
    yield f"       {rates}}}"


def _training(survey: Survey, choices: Choices, recipe: Recipe) -> Iterator[str]:
    rate = recipe.learning_rate[choices.task == "regression"]
    kind = "adamw" if recipe.weight_decay else "adam"
    decay = f", weight_decay: {recipe.weight_decay}" if recipe.weight_decay else ""
    lines: list[Line] = [
        _loss(choices, recipe),
        (
            f"optimizer: {{type: {kind}, learning_rate: {rate}, beta2: 0.95{decay}}}",
            "the largest rate; the schedule varies it",
        ),
        ("schedule: {type: coslog, cycles: 4}", "the rate rises and falls 4 times, each time for twice as long"),
    ]
    if choices.is_unbalanced:
        lines.append(("metrics: [accuracy, balanced_accuracy, f1]", "accuracy alone says little of rare classes"))
    yield from _lines(lines)
    yield "training:"
    monitor, why = "val_rmse", "the smallest error"
    if choices.task == "classification":
        monitor, why = "val_loss", "the smallest loss, which says more of few rows than accuracy does,"
    keys: list[Line] = [(f"epochs: {recipe.epochs}", ""), (f"batch_size: {recipe.batch_size}", "")]
    if (survey.rows - choices.target_gaps) * (1 - VALIDATION) >= 2 * recipe.batch_size:
        keys.append(("drop_last: true", "a short last batch would count as much as a full one"))
    keys.append(
        (
            f"early_stopping: {{monitor: {monitor}, patience: null, ties: last}}",
            f"never stops early; the result is the epoch with {why} on the validation part",
        )
    )
    yield from _lines(keys, indent=2)


def _loss(choices: Choices, recipe: Recipe) -> Line:
    if choices.task == "regression":
        return "loss: mse", ""
    smoothing = recipe.label_smoothing
    if smoothing and choices.classes and not choices.is_unbalanced:
        return (
            f"loss: {{type: log_likelihood, label_smoothing: {smoothing}}}",
            "smoothing raises the accuracy a little; 0.0 where probabilities matter",
        )
    why = "no label smoothing, for which rare classes are too rare" if choices.is_unbalanced else ""
    return "loss: log_likelihood", why


def _kind(kind: ColumnKind) -> str:
    """A column's kind as YAML on one line, without what is default."""
    name = kinds.name_of(kind)
    given = {
        field.name: getattr(kind, field.name)
        for field in dataclasses.fields(kind)  # type: ignore[arg-type]  # every kind is a dataclass
        if getattr(kind, field.name) != field.default or (field.name == "parts" and name == "date")
    }
    if not given:
        return name
    return f"{{kind: {name}, {', '.join(f'{key}: {_value(value)}' for key, value in given.items())}}}"


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) and value.isidentifier() else json.dumps(value, ensure_ascii=False)


def _text(text: str) -> str:
    """A path as YAML."""
    plain = text.replace("/", "").replace(".", "").replace("-", "").replace("_", "")
    return (
        text if plain.isascii() and plain.isalnum() and text[0] not in "-" and not text.isdigit() else json.dumps(text)
    )


def _lines(lines: Sequence[Line], indent: int = 0) -> Iterator[str]:
    """The lines, their comments one below the other, wrapped where they are long."""
    column = max((len(text) for text, comment in lines if comment and len(text) <= _WIDEST), default=0) + 2
    for text, comment in lines:
        is_long = len(text) + 2 > column
        start = indent if is_long or not text else indent + column
        pieces = [f"# {piece}" for piece in textwrap.wrap(brief(comment, _LONGEST_COMMENT), _WIDTH - start - 2)]
        if pieces and text and not is_long:
            yield (" " * indent + text).ljust(start) + pieces.pop(0)
            text = ""
        yield from (" " * start + piece for piece in pieces)
        if text:
            yield " " * indent + text


def _comment(text: str) -> Iterable[str]:
    return (f"# {line}" for line in textwrap.wrap(text, _WIDTH - 2, break_long_words=False, break_on_hyphens=False))
