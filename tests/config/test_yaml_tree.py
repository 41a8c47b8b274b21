"""Strict YAML: YAML 1.2's meaning or an error with its line, and only ConfigError for any input."""

import math
import os
import pathlib
import subprocess
import sys

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bpcli.config import reader as yaml_reader
from bpcli.config.tree import (
    YamlTree,
    dotted,
    dump_yaml,
    parse_override,
    parse_yaml,
    read_yaml,
    set_value,
)
from bpcli.errors import ConfigError

XOR = """\
# XOR: two inputs, one hidden layer
name: xor
seed: 7
data:
  train: ../datasets/xor.csv
  target: y
network:
  layers:
    - {type: dense, units: 4, activation: sigmoid}
    -
      type: dense
      units: 1
loss: mse
optimizer: {type: sgd, learning_rate: 0.5}
training: {batch_size: 4, epochs: 5000}
"""


def problems(text: str | bytes) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse_yaml(text, "c.yaml")
    return caught.value.problems


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def _loader(request, monkeypatch):
    """Both of PyYAML's parsers: libyaml's, and its own for installations without it."""
    if not hasattr(yaml, request.param):
        pytest.skip("PyYAML was built without libyaml")
    monkeypatch.setattr(yaml_reader, "_LOADER", getattr(yaml, request.param))


VALUES = [
    # null
    ("", None),
    ("~", None),
    ("null", None),
    ("Null", None),
    ("NULL", None),
    ("nULL", "nULL"),
    ("none", "none"),
    # booleans: true and false alone
    ("true", True),
    ("True", True),
    ("TRUE", True),
    ("false", False),
    ("False", False),
    ("FALSE", False),
    ("tRUE", "tRUE"),
    ("on", "on"),
    ("off", "off"),
    ("On", "On"),
    ("yes", "yes"),
    ("no", "no"),
    ("NO", "NO"),
    ("y", "y"),
    ("n", "n"),
    # integers
    ("0", 0),
    ("300", 300),
    ("-7", -7),
    ("+7", 7),
    ("017", 17),
    ("0o17", 15),
    ("0x1F", 31),
    ("0x1f", 31),
    ("0b11", "0b11"),
    ("0o18", "0o18"),
    ("-0x1F", "-0x1F"),
    ("1_000", "1_000"),
    ("1,000", "1,000"),
    ("1:30", "1:30"),
    ("190:20:30", "190:20:30"),
    ("٣", "٣"),
    ("9" * 100, int("9" * 100)),
    # floats
    ("1e-3", 1e-3),
    ("1E5", 1e5),
    ("1e+22", 1e22),
    ("-2.5e-3", -2.5e-3),
    (".5", 0.5),
    ("-.5", -0.5),
    ("1.", 1.0),
    ("1.e3", 1000.0),
    ("0.1", 0.1),
    ("-0.0", -0.0),
    ("017.5", 17.5),
    ("1e-999", 0.0),
    (".inf", math.inf),
    ("+.INF", math.inf),
    ("-.Inf", -math.inf),
    (".nan", math.nan),
    (".NaN", math.nan),
    ("inf", "inf"),
    ("nan", "nan"),
    ("+.nan", "+.nan"),
    (".", "."),
    ("1e", "1e"),
    ("e3", "e3"),
    ("1.2.3", "1.2.3"),
    ("1.5e3_0", "1.5e3_0"),
    # strings
    ("2024-01-01", "2024-01-01"),
    ("2024-01-01 10:00:00", "2024-01-01 10:00:00"),
    ("=", "="),
    ("../datasets/xor.csv", "../datasets/xor.csv"),
    ("a b  # a comment", "a b"),
    ("a#b", "a#b"),
    ('"1"', "1"),
    ("'true'", "true"),
    ('""', ""),
    ("'it''s'", "it's"),
    (r'"tab\tline\nx\u00e9\U0001F600"', "tab\tline\nxé😀"),
    ("'C:\\data'", "C:\\data"),
    ("größe 😀", "größe 😀"),
    ('"<<"', "<<"),
    ("|\n  1\n  2\n", "1\n2\n"),
    (">-\n  1\n  2\n", "1 2"),
    ("|\n  a\tb\n", "a\tb\n"),
    # collections
    ("[]", []),
    ("{}", {}),
    ("[1, 2.0, x, ]", [1, 2.0, "x"]),
    ("[784, 30,\n  10]", [784, 30, 10]),
    ("[a: 1]", [{"a": 1}]),
    ("{type: sgd, learning_rate: 1e-3}", {"type": "sgd", "learning_rate": 1e-3}),
    ("{on: 1, no: 2, '1': 3}", {"on": 1, "no": 2, "1": 3}),
    ("{a: , b}", {"a": None, "b": None}),
    ("{a:1}", {"a:1": None}),
    ("\n- 1\n- - 2\n  -\n", [1, [2, None]]),
    ("\n  ? b\n  : 1\n", {"b": 1}),
]


@pytest.mark.usefixtures("_loader")
@pytest.mark.parametrize(("text", "expected"), VALUES, ids=[repr(text) for text, _ in VALUES])
def test_value_has_its_yaml_1_2_meaning(text, expected):
    value = parse_yaml(f"a: {text}", "c.yaml").value["a"]
    assert (type(value), repr(value)) == (type(expected), repr(expected))  # repr: nan, and -0.0


ERRORS = [
    # text: the line of the error, part of the message
    ("", None, "empty"),
    ("# only a comment\n", None, "empty"),
    ("---\n", None, "empty"),
    ("~", None, "empty"),
    ("5", 1, "`key: value`"),
    ("epochs:10", 1, "a space after the colon"),
    ("\n- 1\n- 2\n", 2, "`key: value`"),
    # keys
    ("a: 1\nb: 2\na: 3\n", 3, "`a` is given twice, first in line 1"),
    ("a: {b: 1,\n  b: 2}", 2, "`b` is given twice, first in line 1"),
    ('a: 1\n"a": 2', 2, "`a` is given twice"),
    ("a:\n  x: 1\nb:\n  - y: 1\n    y: 2", 5, "`y` is given twice, first in line 4"),
    ("a: 1\n1: 2", 2, "the key 1 is not text"),
    ("1e-3: 2", 1, "not text"),
    ("true: 2", 1, "not text"),
    ("~: 2", 1, "not text"),
    ("?\n: 2", 1, "no key before the colon"),
    (": 2", 1, "does not fit"),
    ("? [1]\n: 2", 1, "cannot be a key"),
    ("a: {{x}}", 1, "cannot be a key"),
    ("k" * 101 + ": 1", 1, "a key of 101 characters"),
    # what is left out of YAML on purpose
    ("a: 1\nb: &x 2", 2, "the anchor &x"),
    ("a: &x {c: 1}\n", 1, "the anchor &x"),
    ("a: 1\nb: *x", 2, "the alias *x"),
    ("a: 1\n*x : 2", 2, "the alias *x"),
    ("a: {}\n<<: {b: 1}", 2, "the merge key `<<`"),
    ("a: !!python/object/apply:os.system [ls]", 1, "tags"),
    ("a: !!str 1", 1, "tags"),
    ("a: !foo 1", 1, "tags"),
    ("a: ! 1", 1, "tags"),
    ("a: !<tag:x> 1", 1, "tags"),
    ("a: !e!x 1", 1, "tags"),
    ("!foo {a: 1}", 1, "tags"),
    ("a: 1\n---\nb: 2", 2, "second document"),
    ("a: 1\n...\nb: 2", 3, "second document"),
    ("%YAML 1.2\n---\na: 1", 1, "directives"),
    ("# x\n%TAG !e! tag:x:\n---\na: 1", 2, "directives"),
    ("%YAML 9.9\n---\na: 1", 1, "directives"),
    ("%FOO\n---\na: 1", 1, "directives"),
    # numbers
    ("a: 1\nb: " + "9" * 5000, 2, "a number of 5000 characters"),
    ("a: 0." + "0" * 5000, 1, "a number of 5002 characters"),
    ("a: 0x" + "f" * 98, 1, "more than 100 digits"),
    ("a: 1e999", 1, "beyond the largest float"),
    # tabs
    ("a:\n\tb: 1", 2, "use spaces"),
    ("a:\n  b: 1\n\tc: 2", 3, "use spaces"),
    ("\ta: 1", 1, "use spaces"),
    ("a: [1,\n\t2]", 2, "use spaces"),
    ("a: |\n\tx\n", 2, "use spaces"),
    ("a:\n-\t1", 2, "use spaces"),
    # characters
    ("a: 1\nb: \0", 2, "U+0000"),
    ("a: 1\r\nb: 2\r\nc: \x1b[2J", 3, "U+001B"),
    ("a: \x85", 1, "U+0085"),
    ("a: x\u2028y", 1, "U+2028"),
    ("a: \ud800", 1, "U+D800"),
    ("a: x\ufeff", 1, "U+FEFF"),
    (r'a: "\0"', 1, "NUL"),
    (b"a: 1\nb: \xff", 2, "byte 0xFF at offset 8"),
    ("ä: 1\n".encode("latin-1"), 1, "byte 0xE4 at offset 0"),
    ("a: 1".encode("utf-16"), 1, "save the file as UTF-8"),
    # syntax
    ("a: 1\nb: c: d", 2, "`:` that does not fit"),
    ("a: 1\n  b: 2", 2, "`:` that does not fit"),
    ("a: 1\nb:2\nc: 3", 2, "`key: value`"),
    ("x: 1\na: [1,\n  2\nb: 3", 2, "the `[` here is not closed"),
    ("x: 1\na: {b: 1\nc: 2", 2, "the `{` here is not closed"),
    ('x: 1\na: "b\nc: 2', 2, "the quote opened here is not closed"),
    ("a: 'b' c", 1, "text after a quoted value"),
    ("a:\n    b: 1\n  c: 2", 3, "indentation"),
    ("- a\nb: c", 2, "indentation"),
    ("a: @x", 1, "put it in quotes"),
    ("a: `x`", 1, "put it in quotes"),
    ("a: %x", 1, "put it in quotes"),
    ('a: "C:\\data"', 1, "backslash"),
    ("a: - b", 1, "a line of its own"),
    ("a: ]", 1, "bracket too many"),
    ("a: [1,,2]", 1, "comma or bracket too many"),
    (r'a: "\ud800"', 1, "not a character"),
    (r'a: "\UFFFFFFFF"', 1, "not a character"),
    # limits
    ("x: 1\na: " + "[" * 32, 2, "nested deeper than 32"),
    ("a: " + "{a: " * 32, 1, "nested deeper than 32"),
    ("- " * 33, 1, "nested deeper than 32"),
    ("a: [" + "1," * 100_000 + "]", 1, "more than 100,000 keys and values"),
    ("#" * (4 << 20) + "\n", None, "larger than 4 MiB"),
]


@pytest.mark.parametrize(("text", "line", "part"), ERRORS, ids=[repr(text)[:40] for text, _, _ in ERRORS])
def test_error_names_the_line_and_the_fix(text, line, part):
    (problem,) = problems(text)
    place = "c.yaml" if line is None else f"c.yaml:{line}"
    assert problem.startswith(f"{place}: ")
    assert part in problem
    assert "\n" not in problem


# the wording and, rarely, the line of PyYAML's own parser differ; what is refused does not
@pytest.mark.parametrize("text", [text for text, _, _ in ERRORS if len(text) < 10_000])
def test_the_parser_without_libyaml_refuses_the_same_texts(text, monkeypatch):
    monkeypatch.setattr(yaml_reader, "_LOADER", yaml.SafeLoader)
    assert problems(text)


def test_all_problems_are_reported_at_once():
    text = "a: 1\na: &x 2\n3: !t 4\n<<: *x\nb: [1"
    assert [problem.split(":")[1] for problem in problems(text)] == ["2", "2", "3", "3", "4", "4", "5"]


def test_the_list_of_problems_is_bounded():
    found = problems("1: 1\n" * 1000)
    assert len(found) == yaml_reader.MAX_PROBLEMS + 1
    assert "more problems may follow" in found[-1]


def test_limits_are_reached_before_they_are_passed():
    # the root, the key, the list and its items are nodes
    assert parse_yaml("a: [" + "1," * (yaml_reader.MAX_NODES - 3) + "]", "c.yaml")
    assert parse_yaml("a: " + "[" * 31 + "]" * 31, "c.yaml")
    assert parse_yaml("a: 1 #".ljust(4 << 20, "x"), "c.yaml").value == {"a": 1}
    assert parse_yaml("k" * 100 + ": 1", "c.yaml")


@pytest.mark.parametrize("text", ["\ufeffa: 1\n", b"\xef\xbb\xbfa: 1\n", "a: 1\r\n", "---\na: 1\n...\n", b"a: 1"])
def test_byte_order_mark_line_endings_and_document_marks_change_nothing(text):
    assert parse_yaml(text, "c.yaml").value == {"a": 1}


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="PyYAML's own parser takes no tabs between words")
@pytest.mark.parametrize("text", ["a:\t[1]", "a: [1]\t# x", "a: [1\n  ,\t]"])
def test_tabs_that_indent_nothing_are_allowed(text):
    assert parse_yaml(text, "c.yaml").value == {"a": [1]}


@pytest.mark.usefixtures("_loader")
def test_every_key_and_item_has_its_line():
    lines = {dotted(path): line for path, line in parse_yaml(XOR, "xor.yaml").lines.items()}
    layers = {"network.layers[0]": 9, "network.layers[1]": 11}
    first = {f"network.layers[0].{key}": 9 for key in ("type", "units", "activation")}
    second = {"network.layers[1].type": 11, "network.layers[1].units": 12}
    below = {"data.train": 5, "data.target": 6, "network.layers": 8, **layers, **first, **second}
    flow = {
        "optimizer.type": 14,
        "optimizer.learning_rate": 14,
        "training.batch_size": 15,
        "training.epochs": 15,
    }
    top = {"": 2, "name": 2, "seed": 3, "data": 4, "network": 7, "loss": 13, "optimizer": 14, "training": 15}
    assert lines == {**top, **below, **flow}


def test_lines_count_carriage_returns_and_block_texts():
    text = "a: |\n  x\n\n  y\r\nb: 'p\n\n  q'\rc: 1"
    assert parse_yaml(text, "c.yaml").lines == {(): 1, ("a",): 1, ("b",): 5, ("c",): 8}


def test_where_names_the_deepest_known_place():
    tree = parse_yaml(XOR, "configs/xor.yaml")
    assert tree.where(("network", "layers", 1, "units")) == "configs/xor.yaml:12"
    assert tree.where(("network", "layers", 1, "bias")) == "configs/xor.yaml:11"
    assert tree.where(("nothing",)) == "configs/xor.yaml:2"
    assert YamlTree("x.yaml", {}, {}).where(("a",)) == "x.yaml"


# --- files ---


def refusal(path: pathlib.Path) -> str:
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    return str(caught.value)


def test_read_yaml_reads_a_file_under_the_name_the_user_wrote(tmp_path):
    (tmp_path / "xor.yaml").write_text(XOR, encoding="utf-8")
    tree = read_yaml(tmp_path / "xor.yaml", "./xor.yaml")
    assert tree.value["training"] == {"batch_size": 4, "epochs": 5000}
    assert tree.where(("seed",)) == "./xor.yaml:3"
    assert read_yaml(tmp_path / "xor.yaml").source == str(tmp_path / "xor.yaml")


@pytest.mark.parametrize("name", ["xro.yaml", "xor.yml", "xor", "XOR.yaml"])
def test_a_missing_file_suggests_its_neighbour(tmp_path, name):
    (tmp_path / "xor.yaml").touch()
    (tmp_path / "iris.yaml").touch()
    (tmp_path / "xor.csv").touch()
    path = tmp_path / name
    assert refusal(path) == f"{path}: there is no such file; did you mean {tmp_path / 'xor.yaml'}?"


def test_a_missing_file_without_like_neighbours_suggests_nothing(tmp_path):
    (tmp_path / "xro.yaml").mkdir()
    (tmp_path / "digits.csv").touch()
    assert refusal(tmp_path / "xor.yaml") == f"{tmp_path / 'xor.yaml'}: there is no such file"


def test_a_missing_folder_is_named(tmp_path):
    assert f"the folder {tmp_path / 'nowhere'} does not exist" in refusal(tmp_path / "nowhere" / "xor.yaml")


def test_what_is_no_readable_file_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "big.yaml").write_bytes(b"#" * (10 << 20))
    (tmp_path / "file").touch()
    assert "this is a folder" in refusal(tmp_path)
    assert "cannot be read" in refusal(tmp_path / "loop")
    assert "cannot be read" in refusal(tmp_path / "file" / "xor.yaml")
    assert "cannot be read" in refusal(tmp_path / "a\0b")
    assert "cannot be read" in refusal(tmp_path / ("x" * 5000))
    assert "larger than 4 MiB" in refusal(tmp_path / "big.yaml")
    assert "empty" in refusal(tmp_path / "file")


def test_an_endless_file_is_refused():
    assert "not a file but a device, pipe or socket" in refusal(pathlib.Path("/dev/zero"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_without_waiting_for_its_writer(tmp_path):
    os.mkfifo(tmp_path / "c.yaml")
    told = refusal(tmp_path / "c.yaml")
    assert told.endswith("c.yaml: not a file but a device, pipe or socket; save the config in a file")


def test_a_config_of_the_same_name_in_configs_is_the_only_suggestion(tmp_path, monkeypatch):
    (tmp_path / "configs").mkdir()
    for name in ("iris", "irises", "digits"):
        (tmp_path / "configs" / f"{name}.yaml").write_text("a: 1")
    monkeypatch.chdir(tmp_path)
    assert refusal(pathlib.Path("iris")).endswith("there is no such file; did you mean configs/iris.yaml?")


def test_a_failing_disk_is_a_config_error(tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(5, "Input/output error")

    (tmp_path / "xor.yaml").write_text("name: xor")
    monkeypatch.setattr(pathlib.Path, "open", fail)
    assert "cannot be read: Input/output error" in refusal(tmp_path / "xor.yaml")


# --- overrides ---

OVERRIDES = [
    ("training.epochs=300", ("training", "epochs"), 300),
    ("network.layers.0.units=5", ("network", "layers", 0, "units"), 5),
    ("network.layers[0].units=5", ("network", "layers", 0, "units"), 5),
    ("a[0][1]=5", ("a", 0, 1), 5),
    ("loss={type: mse, reduction: sum}", ("loss",), {"type": "mse", "reduction": "sum"}),
    ("network.layers=[2, 4, 1]", ("network", "layers"), [2, 4, 1]),
    ("optimizer.learning_rate=1e-3", ("optimizer", "learning_rate"), 1e-3),
    ("training.goal=", ("training", "goal"), None),
    ("name=on", ("name",), "on"),
    ("name='1'", ("name",), "1"),
    ("data.train=a=b.csv", ("data", "train"), "a=b.csv"),
    (" training.epochs = 300 ", ("training", "epochs"), 300),
    ("trainin.epochs=3", ("trainin", "epochs"), 3),
]


@pytest.mark.parametrize(("text", "path", "value"), OVERRIDES, ids=[text for text, _, _ in OVERRIDES])
def test_override_has_a_path_and_a_value(text, path, value):
    found_path, found = parse_override(text)
    assert found_path == path
    assert (type(found), found) == (type(value), value)


BAD_OVERRIDES = ["", "=", "=3", "training.epochs", "training.epochs: 3", ".a=1", "a.=1", "a..b=1", "a b=1"]
BAD_OVERRIDES += ["a[x]=1", "a[-1]=1", "a[=1", "[0]=1", "a[0]b=1", "a\x1b=1", "a\udcff=1"]
BAD_OVERRIDES += ["k" * 101 + "=1", "a[" + "9" * 5000 + "]=1"]


@pytest.mark.parametrize("text", BAD_OVERRIDES, ids=[ascii(text)[:40] for text in BAD_OVERRIDES])
def test_bad_override_is_refused_with_an_example(text):
    with pytest.raises(ConfigError, match=r"expected KEY=VALUE, such as --set training\.epochs=300") as caught:
        parse_override(text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "loss={type: mse",
            "--set loss: the `{` here is not closed, or a comma is missing (noticed in line 1)",
        ),
        ("a={b: 1, b: 2}", "--set a: the key `b` is given twice; keep one of them"),
        ("a.b=&x 1", "--set a.b: the anchor &x is not supported; remove it"),
        ("a.b=" + "[" * 31, "--set a.b: nested deeper than 30 levels"),
        (".".join("a" * 32) + "=1", f"--set {'.'.join('a' * 30)[:57]}...: nested deeper than 32 levels"),
        ("a=\0", "--set a: the character U+0000 is not allowed; remove it"),
    ],
)
def test_bad_value_of_an_override_names_its_key(text, message):
    with pytest.raises(ConfigError) as caught:
        parse_override(text)
    assert str(caught.value) == message


def override(tree: YamlTree, *texts: str) -> YamlTree:
    for text in texts:
        tree = set_value(tree, *parse_override(text))
    return tree


def test_set_value_leaves_the_old_tree_alone():
    tree = parse_yaml(XOR, "xor.yaml")
    changed = override(tree, "network.layers[1].units=3", "training.epochs=7")
    assert changed.value["network"]["layers"][1] == {"type": "dense", "units": 3}
    assert changed.value["training"] == {"batch_size": 4, "epochs": 7}
    assert tree == parse_yaml(XOR, "xor.yaml")


def test_set_value_makes_missing_mappings():
    tree = override(parse_yaml("a: 1\nn:\n", "c.yaml"), "x.y.z=1", "n.m=2")
    assert tree.value == {"a": 1, "n": {"m": 2}, "x": {"y": {"z": 1}}}


def test_set_value_spells_out_a_shorthand():
    tree = override(parse_yaml("a: 1\noptimizer: adam\n", "c.yaml"), "optimizer.learning_rate=0.1")
    assert tree.value["optimizer"] == {"type": "adam", "learning_rate": 0.1}
    assert tree.where(("optimizer", "type")) == "c.yaml:2"
    assert tree.where(("optimizer", "learning_rate")) == "--set optimizer.learning_rate"


def test_where_names_the_override_for_all_below_it():
    tree = override(parse_yaml(XOR, "xor.yaml"), "network.layers=[{type: dense}]", "data.test=x.csv")
    assert tree.where(("network", "layers")) == "--set network.layers"
    assert tree.where(("network", "layers", 0, "units")) == "--set network.layers"
    assert tree.where(("network",)) == "xor.yaml:7"
    assert tree.where(("data", "test")) == "--set data.test"
    assert tree.where(("data", "train")) == "xor.yaml:5"


def test_a_later_override_replaces_an_earlier_one_below_it():
    tree = override(parse_yaml("a: 1", "c.yaml"), "o.rate=1", "o=sgd")
    assert tree.value["o"] == "sgd"
    assert tree.where(("o", "rate")) == "--set o"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("network.layers[2].units=1", "network.layers is a list of 2, whose first item is network.layers[0]"),
        ("network.layers.units=1", "network.layers is a list of 2, whose first item is network.layers[0]"),
        ("none[0]=1", "none is an empty list"),
        ("training[0]=1", "training is a mapping, not a list"),
        ("missing[0]=1", "missing is a mapping, not a list"),
        ("seed.x=1", "seed is 7 and holds no keys"),
        ("flag.x=1", "flag is True and holds no keys"),
        ("0=1", "the config is a mapping, not a list"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(text, reason):
    tree = parse_yaml(XOR + "none: []\nflag: true\n", "xor.yaml")
    with pytest.raises(ConfigError) as caught:
        override(tree, text)
    path, _ = parse_override(text)
    assert str(caught.value) == f"--set {dotted(path)}: {reason}"


def test_an_empty_path_is_refused():
    with pytest.raises(ConfigError, match="name a key"):
        set_value(parse_yaml(XOR, "xor.yaml"), (), 1)


# --- writing ---


def test_dump_is_written_for_people():
    value = {
        "name": "xor",
        "data": {"train": "../datasets/xor.csv", "val": None, "features": []},
        "network": {
            "layers": [
                {"type": "dense", "weights": [[0.15, 0.2], [0.25, 0.3]], "bias": True},
                {},
                [["a b", 2]],
            ]
        },
        "optimizer": {"type": "adam", "eps": 1e-8, "learning_rate": 1e-3, "clip": math.inf},
        "schedule": {},
    }
    text = """\
name: xor
data:
  train: ../datasets/xor.csv
  val: null
  features: []
network:
  layers:
    - type: dense
      weights:
        - [0.15, 0.2]
        - [0.25, 0.3]
      bias: true
    - {}
    - - [a b, 2]
optimizer:
  type: adam
  eps: 1.0e-08
  learning_rate: 0.001
  clip: .inf
schedule: {}
"""
    assert dump_yaml(value) == text
    assert parse_yaml(text, "c.yaml").value == value


AMBIGUOUS = [
    "on",
    "No",
    "y",
    "null",
    "~",
    "",
    "1e-3",
    "017",
    ".5",
    ".inf",
    "0x1F",
    "1_000",
    "1:30",
    "2024-01-01",
]
AMBIGUOUS += [
    " a",
    "a ",
    "a: b",
    "a #b",
    "a\nb",
    "-",
    "<<",
    "=",
    "#",
    "---",
    "[a]",
    "{a}",
    "&a",
    "*a",
    "!a",
    "%a",
]
AMBIGUOUS += ["@a", "`a", "'", '"', "\\", "? a", "| a", "a,b", "\x7f", "\u2028", "\ufeff"]


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_text_with_another_meaning_is_quoted(text):
    written = dump_yaml({"a": text})
    assert written.startswith('a: "')
    assert parse_yaml(written, "c.yaml").value == {"a": text}


@pytest.mark.parametrize("text", ["x" * 5000, "ä" * 5000, "😀" * 5000, "word " * 1000 + "end"])
def test_long_texts_survive_everywhere(text):
    value = {"a": text, "b": [text], "c": [{"d": text}, [[text]]], "\x1f" * 100: 1, "😀" * 100: {"e": text}}
    assert parse_yaml(dump_yaml(value), "c.yaml").value == value


@pytest.mark.parametrize("text", ["größe", "../data/iris 2.csv", "/tmp/x", "./x", "he_normal", "no-op", "日本"])
def test_words_and_paths_are_written_bare(text):
    assert dump_yaml({text: text}) == f"{text}: {text}\n"


@pytest.mark.parametrize(("base", "digits"), [(float, "0.5"), (int, "7")])
def test_subclasses_are_written_as_plain_values(base, digits):
    named = type("Named", (base,), {"__repr__": lambda self: "Named()"})
    assert dump_yaml({"a": named(digits)}) == f"a: {digits}\n"


@pytest.mark.parametrize("value", [{"a": object()}, {"a": (1,)}, {1: 2}, {"a": b"x"}, {"a": [{3}]}])
def test_dump_refuses_other_types(value):
    with pytest.raises(TypeError):
        dump_yaml(value)


def test_dump_refuses_what_cannot_be_read_back():
    endless: list[object] = []
    endless.append(endless)
    for value in (10**100, 10**5000, "\0", "\ud800", {"k" * 101: 1}, endless):
        with pytest.raises(ValueError):
            dump_yaml({"a": value})


keys = st.text(max_size=100).filter(lambda text: "\0" not in text)
texts = st.text() | st.sampled_from([text for text, _ in VALUES])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts.filter(lambda text: "\0" not in text)
plain = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=25,
)
mappings = st.dictionaries(keys, plain, max_size=5)


@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow])
@given(mappings)
def test_what_is_written_is_read_back(value):
    assert repr(parse_yaml(dump_yaml(value), "c.yaml").value) == repr(value)


# floats are compared by what PyYAML makes of them; its own rules for texts are those of YAML 1.1
@settings(max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(mappings)
def test_what_is_written_means_the_same_to_readers_of_yaml_1_1(value):
    assert repr(yaml.safe_load(dump_yaml(value))) == repr(value)


# --- any input at all ---


def read_or_refuse(text: str | bytes) -> None:
    """Whatever the text: a tree that can be written and read back, or printable problems naming the file."""
    try:
        tree = parse_yaml(text, "c.yaml")
    except ConfigError as error:
        refused = error
    else:
        assert repr(parse_yaml(dump_yaml(tree.value), "d.yaml").value) == repr(tree.value)
        return
    assert refused.problems
    assert all(problem.startswith("c.yaml") and problem.isprintable() for problem in refused.problems)


pieces = [*"ab19.-+?:,[]{}#&*!|>'\"%@`~=<\\ \t\n\r\0", ": ", "- ", "\n  ", "---", "...", "<<: "]
yaml_like = st.lists(st.sampled_from(pieces), max_size=40).map("".join)


@settings(max_examples=500)
@given(st.text() | yaml_like | st.binary())
def test_random_text_is_read_or_refused(text):
    read_or_refuse(text)


@settings(max_examples=500)
@given(st.lists(st.tuples(st.integers(0, len(XOR)), st.integers(0, 12), yaml_like | st.text(max_size=5)), max_size=4))
def test_mutations_of_a_config_are_read_or_refused(edits):
    text = XOR
    for start, length, inserted in edits:
        text = text[:start] + inserted + text[start + length :]
    read_or_refuse(text)


@settings(max_examples=200)
@given(yaml_like)
def test_random_text_is_read_or_refused_without_libyaml(text):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(yaml_reader, "_LOADER", yaml.SafeLoader)
        read_or_refuse(text)


@settings(max_examples=500)
@given(st.text() | st.tuples(st.sampled_from(["a", "data.train", "network.layers[0]"]), yaml_like).map("=".join))
def test_random_overrides_are_set_or_refused(text):
    try:
        path, value = parse_override(text)
        tree = set_value(parse_yaml(XOR, "xor.yaml"), path, value)
    except ConfigError:
        return
    assert tree.where((*path, "x")) == f"--set {dotted(path)}"
    assert repr(parse_yaml(dump_yaml(tree.value), "c.yaml").value) == repr(tree.value)


BOMBS = {
    "flow lists": "'a: ' + '[' * 10**6",
    "flow mappings": "'{a: ' * (10**6 // 4)",
    "block lists": "'- ' * (10**6 // 2)",
    "block keys": "'? ' * (10**6 // 2)",
    "indentation": "''.join(' ' * i + 'a:\\n' for i in range(1400))",
    "million values": "'a: [' + '1,' * (4 * 10**6 // 2) + ']'",
    "million empty lists": "'a: [' + '[],' * (10**6 // 3) + ']'",
    "million flow keys": "'{' + ''.join(f'{i:05x}x,' for i in range(10**6 // 7)) + '}'",
    "million same keys": "'{' + 'a,' * (10**6 // 2) + '}'",
    "too many keys": "''.join(f'k{i}: 1\\n' for i in range(190_000))",
    "too many lines": "'- a: 1\\n' * 190_000",
    "million anchors": "'a: [' + '&a x,' * (10**6 // 5) + ']'",
    "same key": "'a: 1\\n' * 200_000",
    "billion laughs": "'a: &a [x]\\n' + ''.join(f'{c}: &{c} [*a, *a]\\n' for c in 'bcdefgh')",
    "long line, lines noticed late": "'a: {' + 'b: [\\n' * 30 + '\\n' * 10**6",
    "tabs": "'a: [1,' + ' \\t' * (10**6 // 2) + '\\n\\t2]'",
    "many lines with tabs": "'a: [' + '1,\\n \\t' * (10**6 // 5) + ']'",
    "number of 5,000 digits": "'a: ' + '9' * 5000",
    "number of 10^6 digits": "'a: ' + '9' * 10**6",
    "hexadecimal of 10^6 digits": "'a: 0x' + 'f' * 10**6",
    "10 MB text": "'a: ' + 'x' * 10**7",
    "10 MB bytes": "b'a: ' + b'x' * 10**7",
    "4 MB of quotes": "'a: ' + '\"' * (4 * 10**6) + 'x'",
    "10^6 bad bytes": "b'\\xff' * 10**6",
    "10^6 control characters": "'a: ' + '\\x01' * 10**6",
    "10^6 quotes": "'a: ' + '\"' * 10**6 + 'x'",
    "10^6 percent signs": "'%' * 10**6",
}

BOMB_SCRIPT = """
import resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (200_000_000, 200_000_000))
from bpcli.config.tree import parse_yaml
from bpcli.errors import ConfigError
text = eval(sys.argv[1])
start = time.process_time()
try:
    parse_yaml(text, "bomb.yaml")
    outcome = "read"
except ConfigError as error:
    outcome = "refused" if len(str(error)) < 10_000 else "refused at length"
print(outcome, time.process_time() - start)
"""


@pytest.mark.skipif(not yaml.__with_libyaml__, reason="the limits of time are those of libyaml")
@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_bombs_are_refused_quickly_and_in_little_memory(bomb):
    root = pathlib.Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-c", BOMB_SCRIPT, bomb], capture_output=True, text=True, cwd=root, check=True
    )
    outcome, seconds = result.stdout.rsplit(maxsplit=1)
    assert outcome == "refused"
    assert float(seconds) < 1.0
