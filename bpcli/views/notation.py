"""Equations in plain text, such as "z^1 = W^1 a^0 + b^1", as LaTeX and as HTML.

`^` raises and `_` lowers the word or the bracket that follows; `*` multiplies element by element; `<-` assigns; words
in single quotes are text; a Greek letter is its name; dL/dW is a derivative.
"""

from __future__ import annotations

import html
import re

FUNCTIONS = {"exp", "ln", "max", "min", "tanh", "cosh", "cos", "sin"}
GREEK = {
    "eps": "&epsilon;",
    "beta1": "&beta;<sub>1</sub>",
    "beta2": "&beta;<sub>2</sub>",
    **{name: f"&{name};" for name in ("alpha", "beta", "gamma", "delta", "eta", "lambda", "mu", "pi", "Phi")},
}
_TOKEN = re.compile(
    r"'(?P<text>[a-z;][^']*)'"
    r"|d(?P<over>[Lm])/d(?P<under>\w+(?:\^\d+)?)"
    r"|(?P<script>[\^_])(?:\((?P<group>[^()]*)\)|(?P<plain>[A-Za-z]+|\d+(?:\.\d+)?))"
    r"|(?P<word>[A-Za-z]+(?:_[a-z]{2,}|\d)*)"
    r"|(?P<arrow><-)|(?P<dots>\.\.\.)|(?P<other>.)"
)
_LATEX = {"*": r"\odot ", "<": "<", "%": r"\%", "#": r"\#", "&": r"\&", "{": r"\{", "}": r"\}", "\\": r"\backslash "}


def plain(equation: str) -> str:
    """For a terminal: without the quotes of text."""
    return re.sub(r"'([a-z;][^']*)'", r"\1", equation)


def latex(equation: str) -> str:
    """For LaTeX's mathematical mode."""
    return "".join(_latex(match) for match in _TOKEN.finditer(equation))


def _latex(match: re.Match[str]) -> str:
    part = match.groupdict()
    if part["text"]:
        return rf"\text{{ {part['text']} }}"
    if part["over"]:
        return rf"\frac{{\partial {part['over']}}}{{\partial {latex(part['under'])}}}"
    if part["script"]:
        return f"{part['script']}{{{latex(part['group'] or part['plain'])}}}"
    if part["word"]:
        return _latex_word(part["word"])
    if part["arrow"]:
        return r"\leftarrow "
    if part["dots"]:
        return r"\cdots "
    return _LATEX.get(match[0], match[0])


def _latex_word(word: str) -> str:
    if word in FUNCTIONS or word == "sum":
        return f"\\{word} "
    if word == "sqrt":
        return r"\surd "
    if word in ("beta1", "beta2"):
        return rf"\beta_{word[-1]} "
    if word in GREEK:
        return r"\varepsilon " if word == "eps" else f"\\{word} "
    if len(word) == 1:
        return word
    return rf"\mathrm{{{word.replace('_', chr(92) + '_')}}}"


def html_of(equation: str) -> str:
    """For HTML; what could be a tag is escaped."""
    return "".join(_html(match) for match in _TOKEN.finditer(equation))


def _html(match: re.Match[str]) -> str:
    part = match.groupdict()
    if part["text"]:
        return html.escape(part["text"])
    if part["over"]:
        return f"∂<i>{part['over']}</i>/∂{html_of(part['under'])}"
    if part["script"]:
        tag = "sup" if part["script"] == "^" else "sub"
        return f"<{tag}>{html_of(part['group'] or part['plain'])}</{tag}>"
    if word := part["word"]:
        special = {"sum": "Σ", "sqrt": "√", **GREEK}
        return special.get(word) or (f"<i>{word}</i>" if len(word) == 1 else html.escape(word))
    if part["arrow"]:
        return "←"
    if part["dots"]:
        return "…"
    return {"*": "&#8857;", "-": "&minus;"}.get(match[0], html.escape(match[0]))
