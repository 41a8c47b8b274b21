"""How text from files is shown: what cannot be seen as its escape, names that look alike with their code points."""

from __future__ import annotations

import os
import subprocess
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpcli.text import brief, did_you_mean, listed, nearest, printable, shown, told_apart, typed

UNSEEN = {
    "a control character": ("\x1b[31m", "\\x1b[31m"),
    "a line break": ("a\nb", "a\\nb"),
    "a C1 control character": ("\x9b2J", "\\x9b2J"),
    "a line separator": ("a\u2028b", "a\\u2028b"),
    "a direction mark": ("a\u202eb", "a\\u202eb"),
    "a zero-width space": ("a\u200bb", "a\\u200bb"),
    "a soft hyphen": ("a\u00adb", "a\\xadb"),
    "a blank of another width": ("a\u2003b", "a\\u2003b"),
    "a letter drawn as nothing": ("a\u3164", "a\\u3164"),
    "a variation selector": ("a\ufe0f", "a\\ufe0f"),
    "a tag": ("a\U000e0041", "a\\U000e0041"),
    "a byte that is not UTF-8": ("a\udcff", "a\\udcff"),
}


@pytest.mark.parametrize("name", UNSEEN)
def test_what_cannot_be_seen_is_shown_as_its_escape(name):
    text, expected = UNSEEN[name]
    assert printable(text) == expected


@pytest.mark.parametrize("text", ["", "iris setosa", "Löwe", "кошка", "猫", "a\\b", "😀", "e\u0301"])
def test_what_can_be_seen_stays_as_it_is(text):
    assert printable(text) == text


@given(st.text(st.characters(exclude_categories=())))
def test_shown_text_is_one_printable_line_of_limited_length(text):
    for result in (printable(text), shown(text), brief(text)):
        assert result.isprintable()
    assert len(shown(text)) <= 2 + 41 * len("\\U00000000")


def test_quotes_and_backslashes_in_a_quoted_text_are_escaped():
    assert shown('a"b\\n\n') == r'"a\"b\\n\n"'


def test_a_long_text_is_cut():
    assert shown("x" * 41) == f'"{"x" * 40}…"'
    assert brief("x" * 61) == f"{'x' * 57}..."


ALIKE = {
    "composed and decomposed": (("é", "e\u0301"), ["é (U+00E9)", "e\u0301 (U+0065 U+0301)"]),
    "another script": (("sepal", "s\u0435pal"), ["sepal (U+0065)", "s\u0435pal (U+0435)"]),
    "a blank at the end": (("a", "a "), ["a", "a  (U+0020)"]),
    "fullwidth": (("x1", "\uff581"), ["x1 (U+0078)", "\uff581 (U+FF58)"]),
    "a minus sign": (("-1", "\u22121"), ["-1 (U+002D)", "\u22121 (U+2212)"]),
}


@pytest.mark.parametrize("name", ALIKE)
def test_names_that_look_alike_are_told_apart_by_their_code_points(name):
    names, expected = ALIKE[name]
    assert told_apart(names) == expected


def test_other_names_have_no_code_points():
    assert told_apart(["red", "Red", "réd", "red"]) == ["red", "Red", "réd", "red"]


@given(st.lists(st.text(st.sampled_from("ae\u0301é \u0430\u200b"), max_size=4), unique=True))
def test_different_names_are_never_shown_alike(names):
    assert len({unicodedata.normalize("NFC", name) for name in told_apart(names, shown)}) == len(names)


def test_a_list_is_cut_and_says_how_many_more():
    assert listed(["a", "b", "c"], 2) == '"a", "b" and 1 more'
    assert listed([]) == "none"


@pytest.mark.parametrize("given_name", ["Sepal_Length", "sepal length", "SEPALLENGTH", "sepal-length", "sepal.length"])
def test_a_name_that_differs_only_in_capitals_or_separators_is_the_one_meant(given_name):
    known = ["petal_length", "sepal_width", "sepal_length"]
    assert did_you_mean(given_name, known) == ' (did you mean "sepal_length"?)'
    assert nearest(given_name, known) == "sepal_length"


def test_a_suggestion_that_looks_like_what_was_given_says_how_they_differ():
    text = did_you_mean("s\u0435pal", ["sepal", "petal"])
    assert text == ' (did you mean "sepal" (U+0065)? It is not "s\u0435pal" (U+0435))'


def test_another_tools_word_wins_over_a_misspelling():
    assert nearest("bce", ["mae", "log_likelihood"], {"log_likelihood": ["bce"]}) == "log_likelihood"
    assert nearest("mea", ["mae", "log_likelihood"], {"log_likelihood": ["bce"]}) == "mae"
    assert nearest("zzzzz", ["mae"], {}) is None


@pytest.mark.skipif(os.name == "nt", reason="the quotes of POSIX shells")
@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("runs/iris-2", "runs/iris-2"),
        ("my run", "'my run'"),
        ("$(touch x)", "'$(touch x)'"),
        ("a'b", "'a'\"'\"'b'"),
        ("-rf", "./-rf"),
        ("größe", "'größe'"),
        ("C:\\x;y", "'C:\\x;y'"),
    ],
)
def test_a_path_in_a_command_is_quoted_as_a_shell_takes_it(path, word):
    assert typed(path) == word
    printed = subprocess.run(["sh", "-c", f"printf %s {word}"], capture_output=True, text=True, check=True).stdout
    assert printed.removeprefix("./") == path
