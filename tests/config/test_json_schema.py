"""The JSON Schema of a config says what the reader takes: editors and other programs rely on it."""

from __future__ import annotations

import math
from typing import Any

import pytest
from test_schema import (
    EXAMPLES,
    VALUE_KEYS,
    at_limits,
    inside,
    other_values,
    outside,
    problems_or_none,
    with_value,
    wrong_values,
)

from bpcli.config.load import load_config
from bpcli.config.schema import Config
from bpcli.config.tree import read_yaml

jsonschema = pytest.importorskip("jsonschema")
SCHEMA = jsonschema.Draft202012Validator(Config.model_json_schema())


def test_it_is_a_json_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA.schema)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_fits(path) -> None:
    assert list(SCHEMA.iter_errors(read_yaml(path).value)) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_with_its_defaults_filled_in_fits(path) -> None:
    assert list(SCHEMA.iter_errors(load_config(path).config.to_plain())) == []


@pytest.mark.parametrize("key", VALUE_KEYS, ids=lambda key: key.id)
def test_every_value_that_the_reader_takes_fits(key) -> None:
    for value in other_values(key):
        values = with_value(key.home, key.path, value)
        assert problems_or_none(values) or SCHEMA.is_valid(values), value


@pytest.mark.parametrize(("key", "kind", "value"), list(wrong_values()))
def test_a_value_of_the_wrong_kind_does_not_fit(key, kind, value) -> None:
    assert not SCHEMA.is_valid(with_value(key.home, key.path, value))


def finite(cases: Any) -> list[Any]:
    """Those of the cases (key, limit, value) that JSON has a number for."""
    return [case for case in cases if math.isfinite(case.values[2])]


@pytest.mark.parametrize(("key", "limit", "value"), finite(at_limits(outside)))
def test_a_value_just_out_of_range_does_not_fit(key, limit, value) -> None:
    assert not SCHEMA.is_valid(with_value(key.home, key.path, value))


@pytest.mark.parametrize(("key", "limit", "value"), finite(at_limits(inside)))
def test_a_value_on_the_boundary_fits(key, limit, value) -> None:
    assert list(SCHEMA.iter_errors(with_value(key.home, key.path, value))) == []


@pytest.mark.parametrize("key", VALUE_KEYS, ids=lambda key: key.id)
def test_an_unknown_key_does_not_fit(key) -> None:
    assert not SCHEMA.is_valid(with_value(key.home, (*key.path[:-1], "no_such_key"), 1))
