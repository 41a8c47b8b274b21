"""What `bpcli data` shows: the columns of a table or the shape of arrays, classes, findings, and lines of a config."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from bpcli.data.input_columns import yaml_name
from bpcli.data.kinds import Date, YesNo
from bpcli.data.survey import ColumnSurvey, Survey
from bpcli.text import brief, json_text, listed, plural, printable, shown, table, told_apart
from bpcli.views.pictures import pictures
from bpcli.workflows.findings import Finding, Mend, together
from bpcli.workflows.findings_of_columns import Use, kind_in_config, kind_of
from bpcli.workflows.findings_of_rows import NAMES
from bpcli.workflows.inspection import Inspection

MARKS = {"warning": "!", "note": "-"}
MOST_COLUMNS = 100  # in the table; --json has them all
MOST_CLASSES = 20
MOST_ALIKE = 3  # findings of one kind that are shown in full
LEAST_WIDTH, NAME_WIDTH, LEAST_ROOM = 60, 24, 12


def data_text(found: Inspection, *, width: int, shades: str) -> str:
    """Everything, no wider than `width` characters where names allow it. shades: of the images, dark to light."""
    width = max(width, LEAST_WIDTH)
    blocks = [_wrapped(_heading(found), width)]
    if found.survey is not None and found.use is not None:
        blocks.append(_column_table(found, found.survey, found.use, width))
    if found.arrays is not None:
        blocks.append(_wrapped(_arrays(found), width))
    if found.drawn is not None:
        blocks.append(pictures(found.drawn.images, found.drawn.classes, width=width, shades=shades))
    if found.classes:
        blocks.append(_class_table(found.classes))
    blocks.append("\n".join([_counts(found), *_finding_lines(found.findings, width)]))
    if merged := together(found.findings, found.use.excluded if found.use else ()):
        blocks.append("These lines of a config mend the warnings:\n" + "\n".join(_config_lines(merged, width)))
    if found.is_file and found.use is not None and found.error is None:
        targets = " ".join(f"--target {shlex.quote(name)}" for name in found.use.target)
        blocks.append(
            f"A whole config, with all of this in it:\n  bpcli init --data {shlex.quote(found.name)} {targets}"
        )
    return "\n\n".join(blocks)


def _wrapped(text: str, width: int, indent: str = "") -> str:
    """The text in lines of at most `width`; words that are longer stay whole."""
    return textwrap.fill(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _heading(found: Inspection) -> str:
    counts = [
        plural(rows, "row") if len(found.parts) == 1 else f"{rows:,} {NAMES[part]}" for part, rows in _parts(found)
    ]
    text = f"{printable(found.name)}: {', '.join(counts)}" + ("" if len(found.parts) == 1 else " rows")
    if found.survey is not None:
        text += f", {plural(len(found.survey.columns), 'column')}"
    if found.use is not None:
        text += f"; target {listed(found.use.target, 5, printable)}"
        if found.classes:
            text += f", {len(found.classes['train'])} classes"
        elif found.error is None:
            text += ", numbers"
    if found.parameters is not None and found.parts:
        each = found.parameters / found.parts["train"]
        text += f"; a network of {plural(found.parameters, 'parameter')}, {each:.3g} for each row of training"
    if found.survey is not None and found.survey.step > 1:
        text += f"; quartiles and different values are those of every {found.survey.step}th row"
    return text


def _parts(found: Inspection) -> Iterator[tuple[str, int]]:
    yield from found.parts.items()


def _column_table(found: Inspection, survey: Survey, use: Use, width: int) -> str:
    marks = _marks(found.findings)
    columns = survey.columns[:MOST_COLUMNS]
    names = [name if len(name) <= NAME_WIDTH else name[: NAME_WIDTH - 3] + "..." for name in _names(columns)]
    rows = [["", "column", "used as", "missing", "different"]]
    for column, name in zip(columns, names, strict=True):
        missing = f"{column.missing:,}" if column.missing else ""
        rows.append([marks.get(column.name, ""), name, _role(column, use), missing, f"{column.different:,}"])
    if not any(column.missing for column in columns):
        rows = [[*row[:3], row[4]] for row in rows]
    lines = table(rows, left=3).split("\n")
    longest = max(map(len, lines))
    room = max(width - longest - 2, LEAST_ROOM)
    values = ["values", *(brief(_values(column), room) for column in columns)]
    lines = [f"{line.ljust(longest)}  {value}".rstrip() for line, value in zip(lines, values, strict=True)]
    if len(survey.columns) > MOST_COLUMNS:
        lines.append(f"and {len(survey.columns) - MOST_COLUMNS:,} more columns; --json has them all")
    return "\n".join(lines)


def _names(columns: Sequence[ColumnSurvey]) -> list[str]:
    return told_apart(column.name for column in columns)


def _marks(findings: Sequence[Finding]) -> dict[str, str]:
    """Of each column that a finding is about the mark of the most important one."""
    marks: dict[str, str] = {}
    for finding in findings:
        for name in finding.columns:
            marks.setdefault(name, MARKS[finding.level])
    return marks


def _role(column: ColumnSurvey, use: Use) -> str:
    kind = kind_in_config(kind_of(column, use))
    word = str(kind["kind"] if isinstance(kind, Mapping) else kind)
    if column.name in use.target:
        return "target"
    if column.name == use.group:
        return "group"
    if column.name in use.left_out:
        return "left out"
    return word if column.present else "no values"


def _values(column: ColumnSurvey) -> str:
    """What the column holds, in a few words."""
    if not column.present:
        return ""
    if isinstance(column.kind, Date):
        return f"{_day(column.minimum)} to {_day(column.maximum)}"
    if column.kind is None or isinstance(column.kind, YesNo) or (column.wrong and column.texts):
        return ", ".join(f"{brief(text, 20)} {count:,}" for text, count in list(column.texts.items())[:5]) or (
            f"such as {shown(column.example)}"
        )
    if column.different == 1:
        return f"{column.minimum:.6g}"
    return f"{column.minimum:.6g} to {column.maximum:.6g}, median {column.quartiles[1]:.6g}"


def _day(days: float) -> str:
    moment = datetime(1970, 1, 1) + timedelta(days=days)
    return moment.date().isoformat() if days.is_integer() else moment.isoformat(" ", "minutes")


def _arrays(found: Inspection) -> str:
    facts = found.arrays
    assert facts is not None
    shape = " x ".join(map(str, facts.shape[1:]))
    what = "images" if facts.are_images else "vectors"
    text = (
        f"{facts.shape[0]:,} {what} of {shape} in training, {facts.dtype}, from {facts.minimum:.6g} to "
        f"{facts.maximum:.6g}, mean {facts.mean:.5g}, standard deviation {facts.std:.5g}"
    )
    if facts.constant:
        size = math.prod(facts.shape[1:])
        text += f"; {facts.constant:,} of {size:,} numbers are the same in every sample"
    return text + (f"; {plural(facts.missing, 'value')} missing" if facts.missing else "")


def _class_table(classes: Mapping[str, Mapping[str, int]]) -> str:
    """Rows and shares of each class by part."""
    names = list(classes["train"])
    names = sorted(names, key=lambda name: -classes["train"][name]) if len(names) > MOST_CLASSES else names
    rows = [["class", *(cell for part in classes for cell in (NAMES[part], "%"))]]
    labels = told_apart(names[:MOST_CLASSES])
    for name, label in zip(names, labels, strict=False):
        row = [brief(label, NAME_WIDTH)]
        for counts in classes.values():
            count = counts.get(name, 0)
            row += [f"{count:,}", f"{100 * count / max(1, sum(counts.values())):.1f}"]
        rows.append(row)
    text = table(rows)
    more = len(names) - MOST_CLASSES
    return text + (f"\nand {more:,} more classes; --json has them all" if more > 0 else "")


def _counts(found: Inspection) -> str:
    warnings = sum(finding.level == "warning" for finding in found.findings)
    notes = len(found.findings) - warnings
    if not found.findings:
        return "Nothing to warn of." if found.error is None else "Training refuses this data, see below."
    return f"{plural(warnings, 'warning')} (!) and {plural(notes, 'note')} (-)"


def _finding_lines(findings: Sequence[Finding], width: int) -> Iterator[str]:
    """The findings; of many of one kind the first ones in full, and the names of the others."""
    for (level, _, _), group in itertools.groupby(findings, lambda each: (each.level, each.code, each.part)):
        alike = list(group)
        most = MOST_ALIKE if level == "warning" else 1
        in_full = alike if len(alike) <= most + 1 else alike[:most]
        for finding in in_full:
            yield _wrapped(f"{MARKS[level]} {_sentence(finding)}", width, "  ")
            yield from (f"    {line}" for line in _mend_lines(finding.mend))
        others = [name for each in alike[len(in_full) :] for name in each.columns]
        if others:
            yield _wrapped(
                f"{MARKS[level]} the same of {len(others)} more: {listed(others, 20, printable)}", width, "  "
            )


def _sentence(finding: Finding) -> str:
    subject = f"{listed(finding.columns, 5, printable)}: " if finding.columns else ""
    rows = ", ".join(f"{row:,}" for row in finding.first_rows)
    more = ", ..." if finding.rows is not None and finding.rows > len(finding.first_rows) else ""
    where = f" (row{'' if len(finding.first_rows) == 1 and not more else 's'} {rows}{more})" if rows else ""
    return f"{subject}{printable(finding.what)}{where}"


def _mend_lines(mend: Mend) -> list[str]:
    return [f"{key}: {flow(value)}" for key, value in mend.items()]


def _config_lines(merged: Mapping[str, Any], width: int) -> Iterator[str]:
    """Keys with points between them as sections of YAML."""
    sections: dict[str, list[str]] = {}
    for key, value in merged.items():
        section, _, name = key.partition(".")
        lines = sections.setdefault(section, [])
        if key == "data.columns":
            lines += [f"  {name}:", *(f"    {yaml_name(column)}: {flow(kind)}" for column, kind in value.items())]
        elif isinstance(value, list):
            lines += _list_lines(name, list(map(flow, value)), width)
        else:
            lines.append(f"  {name}: {flow(value)}")
    for section, lines in sections.items():
        yield f"{section}:"
        yield from lines


def _list_lines(name: str, items: Sequence[str], width: int) -> list[str]:
    """A list of YAML in square brackets, in lines of at most `width` where its items allow it."""
    lines = [f"  {name}: ["]
    for item, end in zip(items, [*(", " for _ in items[1:]), "]"], strict=True):
        if len(lines[-1] + item + end.rstrip()) > width:
            lines[-1] = lines[-1].rstrip()
            lines.append("    ")
        lines[-1] += item + end
    return lines


def flow(value: Any) -> str:
    """A value as YAML on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return yaml_name(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{yaml_name(str(key))}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(map(flow, value)) + "]"
    return json.dumps(value)


def data_json(found: Inspection) -> str:
    """The same facts as JSON, nothing rounded or left out."""
    values: dict[str, Any] = {
        "data": found.name,
        "rows": dict(found.parts),
        "target": list(found.use.target) if found.use else [],
        "classes": {part: dict(counts) for part, counts in found.classes.items()},
        "parameters": found.parameters,
    }
    if found.survey is not None and found.use is not None:
        use = found.use
        values["columns"] = [_column_values(column, use) for column in found.survey.columns]
    if found.arrays is not None:
        facts = dataclasses.asdict(found.arrays)
        count, first = facts.pop("blank")
        values["arrays"] = {**facts, "blank_images": count if found.arrays.are_images else None, "first_blank": first}
    values["findings"] = [
        {**dataclasses.asdict(finding), "mend": dict(finding.mend), "config": _mend_lines(finding.mend)}
        for finding in found.findings
    ]
    values["config"] = together(found.findings, found.use.excluded if found.use else ())
    values["errors"] = list(found.error.problems) if found.error is not None else []
    return json_text(values)


def _column_values(column: ColumnSurvey, use: Use) -> dict[str, Any]:
    first, median, third = column.quartiles
    return {
        "name": column.name,
        "used_as": _role(column, use),
        "kind": kind_in_config(kind_of(column, use)),
        "rows": column.rows,
        "missing": column.missing,
        "wrong": column.wrong,
        "different": column.different,
        "minimum": column.minimum,
        "first_quartile": first,
        "median": median,
        "third_quartile": third,
        "maximum": column.maximum,
        "far": column.far,
        "most_frequent": column.common,
        "most_frequent_count": column.common_count,
        "texts": dict(column.texts) if column.kind is None or isinstance(column.kind, YesNo) else {},
    }
