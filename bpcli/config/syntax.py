"""Explains PyYAML's syntax errors in plain words: where, what is wrong, and what to write instead."""

from __future__ import annotations

import re

import yaml

LINE_BREAK = re.compile(r"\r\n?|\n")

TAB = "indented with a tab; use spaces"
TAG = "tags (`!...`) are not supported; write the plain value"
DIRECTIVE = "directives (`%...`) are not supported; remove this line"
DOCUMENTS = "a second document starts here; keep one document in a file"

_MISFIT = "this does not fit what comes before it; check the indentation, and for text after a quoted value"
# A part of PyYAML's or libyaml's message -> plain words. _UNFINISHED is reported at the line where the construct began;
# {noticed} is the line where the parser stopped. _MISPLACED is reported where it stopped.
_UNFINISHED = {
    "could not find expected ':'": "not of the form `key: value`, with a space after the colon",
    "expected ',' or ']'": "the `[` here is not closed, or a comma is missing (noticed in line {noticed})",
    "expected ',' or '}'": "the `{{` here is not closed, or a comma is missing (noticed in line {noticed})",
    "unexpected end of stream": "the quote opened here is not closed",
}
_MISPLACED = {
    "mapping values are not allowed": "a `:` that does not fit here; indent the line like its neighbours, "
    "or put a text that holds a colon in quotes",
    "cannot start any token": "a text cannot begin with this character; put it in quotes",
    "unknown escape character": "unknown escape; write a backslash in double quotes as `\\\\`, or use single quotes",
    "Unicode character escape": "an escape in double quotes that is not a character",
    "node content": "a value is missing here, or there is a comma or bracket too many",
    "expected key": _MISFIT,
    "expected <block end>": _MISFIT,
    "expected '-' indicator": _MISFIT,
    "sequence entries are not allowed": "a list item cannot begin here; put it on a line of its own",
    "tag handle": TAG,
    "<document start>": DOCUMENTS,
}


def explain(error: yaml.YAMLError, text: str) -> tuple[int | None, str]:
    """The 1-based line of `text` to look at (None if unknown) and a sentence that explains the syntax error."""
    mark = getattr(error, "problem_mark", None)
    words = " ".join(str(getattr(error, "problem", None) or error).split())
    if mark is None:
        return None, words
    lines = LINE_BREAK.split(text.rstrip("\r\n"))
    noticed = min(mark.line + 1, len(lines))  # an error at the end of the text is reported at its last line
    line = lines[noticed - 1]
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent or line.startswith("\t", mark.column):
        return noticed, TAB
    if line.startswith("%"):
        return noticed, DIRECTIVE
    for part, advice in _UNFINISHED.items():
        if part in words:
            began = getattr(error, "context_mark", None) or mark
            return began.line + 1, advice.format(noticed=noticed)
    return noticed, next((advice for part, advice in _MISPLACED.items() if part in words), words)
