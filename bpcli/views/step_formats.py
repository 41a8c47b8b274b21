"""The page of `bpcli step` as text, Markdown, LaTeX, HTML and JSON."""

from __future__ import annotations

import html
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from bpcli.engine.arrays import Array
from bpcli.engine.measure.trace import StepTrace
from bpcli.text import json_text, printable
from bpcli.views.notation import html_of, latex, plain
from bpcli.views.step_page import Block, Line, equations_of, page_of
from bpcli.workflows.step import Steps

MOST_NUMBERS = 100  # of an array that is shown in full
WIDTH = 110  # characters of a line of numbers
MATRIX_WIDTH = 70  # characters of a row of a matrix on paper
FORMATS = ("text", "markdown", "latex", "html", "json")


def step_text(steps: Steps, digits: int | None = None) -> str:
    """As in a textbook: forward from the first layer, backward from the last, then the update.

    Each value stands below its equation. digits: after the decimal point, 12 by default.
    """
    digits = 12 if digits is None else digits
    page = page_of(steps)
    lines = []
    for section in page.sections:
        lines += ["", section.title]
        for block in section.blocks:
            lines += [f"  {printable(block.title)}"] if block.title else []
            for line in block.lines:
                lines += _text_lines(line, digits)
    return "\n".join([page.note, *lines])


def _text_lines(line: Line, digits: int) -> list[str]:
    indent = "  " if isinstance(line.value, float) else "    "
    equation = [f"{indent}{plain(line.equation)}"] if line.equation else []
    if isinstance(line.value, float):
        return [*equation, f"{indent}{line.name} = {line.value:.{digits}g}"]
    return [*equation, _row(line.name, line.value, digits)]


def _row(name: str, value: Array, digits: int) -> str:
    return f"    {name} = " + _numbers(value, digits).replace("\n", "\n" + " " * (7 + len(name)))


def _numbers(value: Array, digits: int) -> str:
    if value.size > MOST_NUMBERS:
        return summary_of(value, digits)
    text = np.array2string(value, precision=digits, separator=", ", max_line_width=WIDTH, threshold=sys.maxsize)
    return "\n".join(line for line in text.split("\n") if line.strip())  # without the empty lines between images


def summary_of(value: Array, digits: int) -> str:
    """What a large array is shortened to."""
    shape, digits = " x ".join(map(str, value.shape)), min(digits, 6)
    with np.errstate(all="ignore"):
        norm, low, high = float(np.linalg.norm(value.ravel())), float(value.min()), float(value.max())
    return (
        f"{shape} numbers: norm {norm:.{digits}g}, from {low:.{digits}g} to {high:.{digits}g} (--format json has all)"
    )


def step_markdown(steps: Steps, digits: int | None = None) -> str:
    """Markdown with equations in LaTeX between dollar signs, as GitHub, GitLab and notebooks show them."""
    digits = 6 if digits is None else digits
    page = page_of(steps)
    lines = [f"# {_markdown(_capital(page.title))}", "", f"{_markdown(_capital(page.note))}."]
    for section in page.sections:
        lines += ["", f"## {_markdown(_capital(section.title))}"]
        for block in section.blocks:
            lines += ["", f"### {_markdown(block.title)}"] if block.title else []
            for line in block.lines:
                lines += ["", *_markdown_lines(line, digits)]
    return "\n".join(lines)


def _markdown_lines(line: Line, digits: int) -> list[str]:
    matrix, definitions = _matrix(line.value, digits), _latex_definitions(line)
    if matrix is not None:
        return ["$$", f"{latex(line.rule)} = {matrix}{definitions}", "$$"]
    assert not isinstance(line.value, float)  # a number always fits
    return ["$$", f"{latex(line.rule)}{definitions}", "$$", "", "```", _numbers(line.value, digits), "```"]


def _latex_definitions(line: Line) -> str:
    return rf" \quad\text{{with }} {latex(line.definitions)}" if line.definitions else ""


def _markdown(text: str) -> str:
    """Text in which nothing means anything to Markdown, HTML or mathematics."""
    return "".join(f"&#{ord(c)};" if c in "\\`*_{}[]<>#|$&~^!" else c for c in printable(text))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def step_latex(steps: Steps, digits: int | None = None) -> str:
    """A document of its own for pdflatex; it needs amsmath and nothing else."""
    digits = 6 if digits is None else digits
    page = page_of(steps)
    lines = [
        r"\documentclass[a4paper]{article}",
        r"\usepackage[utf8]{inputenc}",
        r"\usepackage{amsmath}",
        r"\setcounter{MaxMatrixCols}{30}",
        r"\setlength{\textwidth}{17cm}\setlength{\oddsidemargin}{-0.5cm}\setlength{\parindent}{0pt}",
        r"\allowdisplaybreaks",
        r"\begin{document}",
        rf"\section*{{{_latex_text(_capital(page.title))}}}",
        f"{_latex_text(_capital(page.note))}.",
    ]
    for section in page.sections:
        lines.append(rf"\subsection*{{{_latex_text(_capital(section.title))}}}")
        for block in section.blocks:
            lines += [rf"\paragraph{{{_latex_text(block.title)}}}~"] if block.title else []
            for line in block.lines:
                lines += _latex_lines(line, digits)
    return "\n".join([*lines, r"\end{document}"])


def _latex_lines(line: Line, digits: int) -> list[str]:
    matrix, rule, definitions = _matrix(line.value, digits), latex(line.rule), _latex_definitions(line)
    if definitions:
        definitions = rf" \\ {definitions}"
    if matrix is not None:
        equal = " \\\\ = " if len(line.rule) > 60 else " = "
        return [r"\begin{gather*}", f"{rule}{equal}{matrix}{definitions}", r"\end{gather*}"]
    assert not isinstance(line.value, float)  # a number always fits
    numbers = _numbers(line.value, digits)
    formula = [r"\begin{gather*}", f"{rule}{definitions}", r"\end{gather*}"]
    return [*formula, r"{\scriptsize\begin{verbatim}", numbers, r"\end{verbatim}}"]


_LATEX_TEXT = {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    **{c: f"\\{c}" for c in "#$%&_{}"},
}


def _latex_text(text: str) -> str:
    """Text in which nothing is a command; characters that the font may lack as their code points."""
    cleaned = printable(text)
    return "".join(_LATEX_TEXT.get(c, c if c.isascii() else f"U+{ord(c):04X}") for c in cleaned)


def _matrix(value: Array | float, digits: int) -> str | None:
    """A number, or a row or matrix in brackets; None for what does not fit on paper so."""
    if isinstance(value, float):
        return _latex_number(value, digits)
    if not _fits(value, digits):
        return None
    rows = [" & ".join(_latex_number(float(cell), digits) for cell in row) for row in np.atleast_2d(value)]
    inside = r" \\ ".join(rows)
    return rf"\begin{{pmatrix}} {inside} \end{{pmatrix}}"


def _fits(value: Array, digits: int) -> bool:
    """Whether it is a row or matrix that fits on a page."""
    if value.ndim > 2 or not 0 < value.size <= MOST_NUMBERS:
        return False
    rows = [[number_text(float(cell), digits) for cell in row] for row in np.atleast_2d(value)]
    return len(rows) <= 20 and max(sum(len(cell) + 3 for cell in row) for row in rows) <= MATRIX_WIDTH


def number_text(value: float, digits: int) -> str:
    """With so many digits after the point; very small and very large ones with an exponent."""
    value += 0.0  # -0 becomes 0
    if not np.isfinite(value) or value == 0 or 1e-4 <= abs(value) < 1e8:
        return str(np.format_float_positional(value, precision=digits, trim="-"))
    return str(np.format_float_scientific(value, precision=digits, trim="-"))


def _latex_number(value: float, digits: int) -> str:
    if not np.isfinite(value):
        return rf"\mathrm{{{number_text(value, digits)}}}"
    mantissa, _, exponent = number_text(value, digits).partition("e")
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa


_STYLE = """
body { font: 16px/1.5 Georgia, serif; max-width: 60em; margin: 2em auto; padding: 0 1em; color: #111; background: #fff }
h2 { border-bottom: 1px solid #999; margin-top: 2em } h3 { margin: 1.2em 0 0.2em; font-size: 1.05em }
.line { display: flex; flex-wrap: wrap; align-items: center; gap: 0.5em; margin: 0.5em 0; overflow-x: auto }
table { border-collapse: collapse; border-left: 2px solid; border-right: 2px solid; border-radius: 8px }
td { padding: 0 0.5em; text-align: right; font: 13px/1.5 monospace }
pre { font-size: 13px; overflow-x: auto; margin: 0 }
@media print { h2, h3 { break-after: avoid } .line { break-inside: avoid } }
""".strip()


def step_html(steps: Steps, digits: int | None = None) -> str:
    """One file that needs no other."""
    digits = 6 if digits is None else digits
    page = page_of(steps)
    title = html.escape(printable(_capital(page.title)))
    parts = [
        "<!DOCTYPE html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{title}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>\n{_STYLE}\n</style></head><body>",
        f"<h1>{title}</h1>",
        f"<p>{html.escape(_capital(page.note))}.</p>",
    ]
    for section in page.sections:
        parts.append(f"<h2>{html.escape(printable(_capital(section.title)))}</h2>")
        for block in section.blocks:
            parts += _html_block(block, digits)
    return "\n".join([*parts, "</body></html>"])


def _html_block(block: Block, digits: int) -> list[str]:
    title = [f"<h3>{html.escape(printable(block.title))}</h3>"] if block.title else []
    return [*title, *(_html_line(line, digits) for line in block.lines)]


def _html_line(line: Line, digits: int) -> str:
    definitions = f" <span>with {html_of(line.definitions)}</span>" if line.definitions else ""
    rule = f"<span>{html_of(line.rule)} =</span>"
    return f'<div class="line">{rule} {_html_value(line.value, digits)}{definitions}</div>'


def _html_value(value: Array | float, digits: int) -> str:
    if isinstance(value, float):
        return f"<span>{number_text(value, digits)}</span>"
    if not _fits(value, digits):
        return f"<pre>{html.escape(_numbers(value, digits))}</pre>"
    rows = (
        "<tr>" + "".join(f"<td>{number_text(float(cell), digits)}</td>" for cell in row) + "</tr>"
        for row in np.atleast_2d(value)
    )
    return f"<table>{''.join(rows)}</table>"


def step_json(steps: Steps, digits: int | None = None) -> str:
    """Every number of the first step, and of more under "next_steps"; values that are not finite are null.

    digits: significant ones; by default nothing is rounded.
    """
    first, *more = (_values(steps, trace) for trace in steps.traces)
    values = {**first, "next_steps": more}
    return json_text(values if digits is None else _rounded(values, digits))


def _values(steps: Steps, trace: StepTrace) -> dict[str, Any]:
    equations = equations_of(steps, trace)
    layers: list[dict[str, Any]] = [
        {
            "name": layer.name,
            "z": layer.z.tolist(),
            "a": layer.a.tolist(),
            "delta": layer.delta.tolist(),
            "before": _lists(layer.params),
            "gradient": _lists(layer.grads),
            "used_gradient": _lists(layer.used),
            "optimizer": {vector: _lists(values) for vector, values in layer.vectors.items()},
            "learning_rate": dict(layer.rates),
            "after": _lists(layer.after),
            "statistics": _lists(layer.stats),
            "equations": {name: plain(text) for name, text in equations[layer.name].items() if text},
        }
        for layer in trace.layers
    ]
    return {
        "step": trace.number,
        "x": trace.x.tolist(),
        "y": trace.y.tolist(),
        "sample_weight": None if trace.weights is None else trace.weights.tolist(),
        "loss": trace.loss,
        "loss_equation": plain(equations[""]["loss"]),
        "layers": layers,
        "learning_rate": trace.learning_rate,
        "loss_after": trace.loss_after,
    }


def _lists(arrays: Any) -> dict[str, Any]:
    return {name: value.tolist() for name, value in arrays.items()}


def _rounded(values: Any, digits: int) -> Any:
    if isinstance(values, dict):
        return {key: _rounded(value, digits) for key, value in values.items()}
    if isinstance(values, list):
        return [_rounded(value, digits) for value in values]
    return float(f"{values:.{digits}g}") if isinstance(values, float) else values


WRITERS: dict[str, Callable[[Steps, int | None], str]] = {
    "text": step_text,
    "markdown": step_markdown,
    "latex": step_latex,
    "html": step_html,
    "json": step_json,
}
