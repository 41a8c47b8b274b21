"""Configs: YAML text -> values -> a checked Config, which can be written and read again."""

from __future__ import annotations

import zlib
from pathlib import Path
from random import Random

from bpcli.config.load import parse
from bpcli.config.tree import dump_yaml, parse_yaml
from fuzz.mutate import bytes_changed, pick_text

NAME = "config.yaml"
SEEDS = [
    b"""\
name: xor
data:
  train: ../datasets/xor.csv
  target: y
network:
  layers: [2, 4, 1]
  activation: sigmoid
loss: mse
optimizer: {type: sgd, learning_rate: 0.5, momentum: 0.9}
training: {batch_size: full, epochs: 5000, goal: 1e-3}
""",
    b"""\
seed: 7
dtype: float64
data: {train: {x: x.npy, y: y.npy}, val: 0.2, test: t.npz, scale: {x: standard}}
network:
  input: [1, 28, 28]
  layers:
    - {type: conv2d, filters: 2, kernel: [3, 3], padding: same, activation: relu}
    - type: max_pool2d
      size: 2
    - flatten
    - {type: dropout, rate: 0.5}
    - {type: dense, units: 2, weights: [[0.1, 0.2], [-1, 2.5e-3]], trainable: biases}
loss: {type: log_likelihood, label_smoothing: 0.1}
metrics: [accuracy, {type: f1, average: micro}]
""",
    b"""\
data:
  train: a.csv
network: {layers: [4, 3], init: {type: normal, std: 0.5}, output_activation: softmax}
optimizer:
  type: adam
  learning_rate: 1.0e-3
schedule: {type: step, every: 10, gamma: 0.5}
training:
  epochs: 10
  early_stopping:
    monitor: val_loss
    patience: 5
output: {dir: "runs", keep: 2, checkpoint_every: auto}
""",
]
VALUES = [
    "~",
    "null",
    "true",
    "on",
    "no",
    "0",
    "-1",
    "1",
    "017",
    "0o17",
    "0x1F",
    "1e-3",
    "1e999",
    "1:30",
    "1_000",
    "9" * 90,
]
VALUES += [
    "9" * 5000,
    ".inf",
    "-.inf",
    ".nan",
    "nan",
    "0.5",
    "1.5",
    '"3"',
    "'a'",
    "x",
    "",
    "[]",
    "{}",
    "[1]",
    "[[1, 2], [3]]",
]
VALUES += [
    "{type: dense}",
    "{type: relu}",
    "{a: 1, a: 2}",
    "&a 1",
    "*a",
    "!!str 1",
    "!!python/name:os.system",
    "<<",
    "?",
    "|",
    ">",
]
VALUES += [
    "sgd",
    "adam",
    "mse",
    "relu",
    "softmax",
    "dense",
    "conv2d",
    "full",
    "auto",
    "2024-01-01",
    "../x",
    "\t1",
    "'",
    '"',
    "[",
    "{",
]
KEYS = [
    "type",
    "units",
    "epochs",
    "<<",
    "on",
    "1",
    "~",
    "layers",
    "network",
    "data",
    "train",
    "a b",
    '"k"',
    "kk" * 60,
    "weights",
]


def mutated(rng: Random) -> bytes:
    """A config with lines, keys, values or indentation changed, and sometimes bytes."""
    lines = rng.choice(SEEDS).decode().split("\n")
    for _ in range(rng.randint(1, 3)):
        change_line(rng, lines)
    content = "\n".join(lines).encode()
    return bytes_changed(rng, content) if rng.random() < 0.3 else content


def change_line(rng: Random, lines: list[str]) -> None:
    """One change of one line, or of where it stands."""
    at = rng.randrange(len(lines))
    key, colon, value = lines[at].partition(": ")
    match rng.randrange(9):
        case 0:
            lines[at] = key + ": " + pick_text(rng, VALUES)
        case 1:
            lines[at] = pick_text(rng, KEYS) + colon + value
        case 2:
            words = lines[at].replace(",", " , ").split(" ")
            words[rng.randrange(len(words))] = pick_text(rng, VALUES, KEYS)
            lines[at] = " ".join(words)
        case 3:
            del lines[at]
            lines.append("")
        case 4:
            lines.insert(rng.randrange(len(lines)), lines[at])
        case 5:
            lines[at] = " " * rng.randrange(6) + lines[at].lstrip()
        case 6:
            lines.insert(at, " " * rng.randrange(4) + pick_text(rng, KEYS) + ": " + pick_text(rng, VALUES))
        case 7:
            lines[at] = lines[at] + pick_text(rng, ["---", " #", " ,", "]", "}", ": x", "\n...", "\n---\n", "\r", "\t"])
        case _:
            letters = list(lines[at])
            if letters:
                letters[rng.randrange(len(letters))] = rng.choice("abcdefghijklmnopqrstuvwxyz_:-,[]{} ")
            lines[at] = "".join(letters)


def read(path: Path, content: bytes) -> None:
    """Parsed and checked; one in eight of those accepted is written out and read again."""
    config = parse(parse_yaml(content, str(path)))
    if zlib.crc32(content) % 8 == 0:
        again = parse(parse_yaml(dump_yaml(config.to_plain()), str(path)))
        assert again == config, "another config when written and read again"
