"""Prints what training gives, bit by bit: a change of the code that should change no number leaves every line as it is.

    python tests/tools/result_hashes.py > before.txt
    ... change the code ...
    python tests/tools/result_hashes.py | diff before.txt -

A line for each case: its name, the SHA-256 of the arrays in best.npz, and that of loss.csv without its clock. The cases
are the configs in configs/, the long ones with fewer epochs, and small runs with every part and option. The bpcli that
Python imports is the one that trains. Numbers depend on the machine, so both outputs must come from the same one.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import hashlib
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import bpcli

ROOT = Path(__file__).parents[2]
DATASETS = ROOT / "datasets"
Config = dict[str, Any]

# Of the shipped configs that take long.
EPOCHS = {
    "breast-cancer": 20,
    "diabetes": 20,
    "digits": 3,
    "digits-batch-norm": 2,
    "digits-cnn": 2,
    "digits-cosine": 4,
    "iris": 60,
    "lenet-mnist": 1,
    "mnist-128": 2,
    "mnist-30": 2,
    "spirals": 20,
    "xor": 500,
}
ACTIVATIONS: dict[str, Config] = {
    **{name: {} for name in ("elu", "gelu", "hard_sigmoid", "identity", "leaky_relu", "relu", "selu", "sigmoid")},
    **{name: {} for name in ("silu", "softmax", "softplus", "softsign", "tanh")},
    "elu alpha": {"alpha": 0.6},
    "gelu tanh": {"approximate": "tanh"},
    "leaky_relu slope": {"slope": 0.4},
}
INITIALIZERS: dict[str, Config] = {
    **{name: {} for name in ("glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_normal", "zeros")},
    "normal": {"mean": 0.1, "std": 0.2},
    "uniform": {"low": -0.3, "high": 0.4},
    "ones": {},
}
PENALTY = {"weight_decay": 0.02, "l1": 0.003}
OPTIMIZERS: dict[str, Config] = {
    **{name: {} for name in ("adagrad", "adam", "adamw", "nadam", "rmsprop", "sgd")},
    "adagrad penalty": PENALTY,
    "adam penalty": PENALTY,
    "adam amsgrad": {"amsgrad": True, **PENALTY},
    "adamw decay": {"weight_decay": 0.05},
    "nadam penalty": PENALTY,
    "rmsprop centered": {"centered": True, "momentum": 0.8, **PENALTY},
    "rprop": {},
    "sgd l2": {"weight_decay": 0.02},
    "sgd l1": {"l1": 0.003},
    "sgd momentum": {"momentum": 0.9, **PENALTY},
    "sgd nesterov": {"momentum": 0.9, "nesterov": True, **PENALTY},
}
FULL_BATCH: dict[str, Config] = {
    "gradient_descent_adaptive": {"weight_decay": 0.01},
    "lbfgs": {"weight_decay": 0.01},
    "levenberg_marquardt": {"weight_decay": 0.01},
    "scaled_conjugate_gradient": {"weight_decay": 0.01},
}
SCHEDULES: dict[str, Config] = {
    "cosine": {"warmup": 1},
    "exponential": {"gamma": 0.8},
    "inverse_time": {"decay": 0.5},
    "multi_step": {"at": [1, 3], "gamma": 0.3},
    "coslog": {"cycles": 2},
    "one_cycle": {},
    "polynomial": {"power": 2.0},
    "reduce_on_plateau": {"patience": 1, "gamma": 0.3},
    "step": {"every": 2, "gamma": 0.5},
}
CLASSIFYING_LOSSES: dict[str, Config] = {
    "focal": {"gamma": 1.5},
    "hinge": {},
    "log_likelihood": {},
    "log_likelihood smoothed": {"label_smoothing": 0.1},
    "log_likelihood sum": {"reduction": "sum"},
}
REGRESSION_LOSSES: dict[str, Config] = {
    **{name: {} for name in ("half_squared_error", "huber", "log_cosh", "mae", "mse")},
    "mse sum": {"reduction": "sum"},
}
CLASSIFYING_METRICS = (
    *("accuracy", "average_precision", "balanced_accuracy", "brier", "cohen_kappa", "f1", "log_loss", "mcc"),
    *("precision", "recall", "roc_auc"),
)
REGRESSION_METRICS = ("explained_variance", "mae", "mape", "median_absolute_error", "mse", "r2", "rmse")
IMAGE_LAYERS: dict[str, list[Config]] = {
    "conv2d": [{"type": "conv2d", "filters": 3, "kernel": [3, 2], "stride": [1, 2], "padding": [0, 1]}],
    "conv2d dilated": [{"type": "conv2d", "filters": 3, "kernel": 2, "dilation": 2, "flip_kernel": True}],
    "avg_pool2d": [{"type": "avg_pool2d", "size": [2, 3], "stride": [2, 1], "padding": 1}],
    "global_avg_pool2d": [{"type": "conv2d", "filters": 4, "kernel": 3}, {"type": "global_avg_pool2d"}],
    "max_pool2d": [{"type": "max_pool2d", "size": 3, "stride": 2, "padding": "same"}],
    "batch_norm": [{"type": "conv2d", "filters": 3, "kernel": 3}, {"type": "batch_norm", "activation": "relu"}],
    "prelu": [{"type": "conv2d", "filters": 3, "kernel": 3}, {"type": "prelu"}],
}
ROW_LAYERS: dict[str, Config] = {
    "activation": {"type": "activation", "function": "tanh"},
    "batch_norm": {"type": "batch_norm"},
    "dropout": {"type": "dropout", "rate": 0.3},
    "gaussian_noise": {"type": "gaussian_noise", "std": 0.2},
    "layer_norm": {"type": "layer_norm"},
    "parametric_activation": {"type": "parametric_activation", "function": "mish"},
    "periodic_embedding": {"type": "periodic_embedding", "columns": 2},
    "prelu": {"type": "prelu"},
    "scale": {"type": "scale", "learning_rate_scale": 6.0},
}


def part(name: str, fields: Config) -> Config:
    """A part as a config has it; what follows its name after a blank only tells the cases apart."""
    return {"type": name.partition(" ")[0], **fields}


def irises(**keys: Any) -> Config:
    """A classification of 3 classes in 5 epochs, float32."""
    data = {"train": str(DATASETS / "iris.csv"), "target": "species", "val": 0.3, "scale": "standard"}
    base = {"seed": 5, "data": data, "network": {"layers": [4, 7, 3], "activation": "tanh"}, "loss": "log_likelihood"}
    return base | {"optimizer": "adam", "training": {"epochs": 5, "batch_size": 16}} | keys


def diabetes(**keys: Any) -> Config:
    """A regression in 4 epochs, float64."""
    data = {"train": str(DATASETS / "diabetes.csv"), "target": "progression", "val": 0.2, "scale": "standard"}
    base = {"seed": 6, "dtype": "float64", "data": data, "network": {"layers": [10, 5, 1], "activation": "tanh"}}
    return base | {"loss": "mse", "training": {"epochs": 4, "batch_size": 50}} | keys


def digits(layers: list[Config], **keys: Any) -> Config:
    """Images of 8 x 8 pixels through the layers and a last dense one, 1 epoch."""
    data = {"train": str(DATASETS / "digits.csv.gz"), "target": "digit", "val": 0.5, "scale": "minmax"}
    last: list[Config] = [{"type": "flatten"}, {"type": "dense", "units": 10}]
    if layers[-1]["type"] == "global_avg_pool2d":
        last = last[1:]
    network = {"input": [1, 8, 8], "layers": [*layers, *last]}
    base = {"seed": 7, "data": data, "network": network, "loss": "log_likelihood", "optimizer": "adam"}
    return base | {"training": {"epochs": 1, "batch_size": 64}} | keys


def training(epochs: int = 5, batch_size: int | str = 16, **keys: Any) -> Config:
    """The key of that name."""
    return {"epochs": epochs, "batch_size": batch_size, **keys}


def part_cases() -> Iterator[tuple[str, Config]]:
    """Each part of each kind."""
    for name, fields in ACTIVATIONS.items():
        yield f"activation {name}", irises(network={"layers": [4, 7, 6, 3], "activation": part(name, fields)})
    for name in ("sigmoid", "tanh", "softplus", "softmax"):
        yield (
            f"output activation {name}",
            irises(network={"layers": [4, 7, 3], "output_activation": name}, loss="mse", dtype="float64"),
        )
    for name, fields in INITIALIZERS.items():
        yield f"initializer {name}", irises(network={"layers": [4, 7, 3], "init": part(name, fields)})
    for name, fields in OPTIMIZERS.items():
        yield f"optimizer {name}", irises(optimizer=part(name, fields))
        yield f"optimizer {name}, full", diabetes(optimizer=part(name, fields), training=training(8, "full"))
    for name, fields in FULL_BATCH.items():
        yield f"optimizer {name}", diabetes(optimizer=part(name, fields), training=training(6, "full"))
        yield (
            f"optimizer {name}, some frozen",
            diabetes(
                optimizer=part(name, {}),
                network={
                    "layers": [{"type": "dense", "units": 4, "trainable": "biases", "activation": "sigmoid"}] * 2
                    + [{"type": "dense", "units": 1}]
                },
                training=training(6, "full", shards=2),
            ),
        )
    for name, fields in SCHEDULES.items():
        yield f"schedule {name}", irises(schedule=part(name, fields), optimizer={"type": "sgd", "momentum": 0.5})
    for name, fields in CLASSIFYING_LOSSES.items():
        yield f"loss {name}", irises(loss=part(name, fields))
    yield "loss log_likelihood, one output", breast_cancer(loss="log_likelihood")
    yield "loss focal, one output", breast_cancer(loss="focal")
    yield "loss hinge, one output", breast_cancer(loss="hinge")
    for name, fields in REGRESSION_LOSSES.items():
        yield f"loss {name}", diabetes(loss=part(name, fields))
    yield "loss poisson", diabetes(loss="poisson", data=unscaled(), optimizer={"type": "adam"})
    yield (
        "loss poisson of rates",
        diabetes(
            loss={"type": "poisson", "log_input": False},
            data=unscaled(),
            network={"layers": [10, 5, 1], "output_activation": "softplus"},
            optimizer={"type": "adam"},
        ),
    )
    yield "metrics of classes", irises(metrics=[*CLASSIFYING_METRICS, {"type": "top_k", "k": 2}])
    yield "metrics of two classes", breast_cancer(metrics=list(CLASSIFYING_METRICS))
    yield "metrics of numbers", diabetes(metrics=list(REGRESSION_METRICS))
    for name, layer in ROW_LAYERS.items():
        layers = [{"type": "dense", "units": 6}, {**layer}, {"type": "dense", "units": 3}]
        yield f"layer {name}", irises(network={"layers": layers})
        yield (
            f"layer {name}, in shards",
            irises(network={"layers": layers}, training=training(3, shards=1 if name == "batch_norm" else 2)),
        )
    for name, image_layers in IMAGE_LAYERS.items():
        yield f"images {name}", digits(image_layers)


def breast_cancer(**keys: Any) -> Config:
    """Two classes on a single output."""
    data = {"train": str(DATASETS / "breast-cancer.csv"), "target": "diagnosis", "val": 0.3, "scale": "standard"}
    base = {"seed": 8, "data": data, "network": {"layers": [30, 4, 1]}, "loss": "log_likelihood", "optimizer": "adam"}
    return base | {"training": {"epochs": 4, "batch_size": 32}} | keys


def unscaled() -> Config:
    """Inputs scaled and targets as they are, as counts must be."""
    data: Config = diabetes()["data"]
    return {**data, "scale": {"x": "standard"}}


def option_cases(folder: Path) -> Iterator[tuple[str, Config]]:
    """Options of training, data and network."""
    wide: Config = {"layers": [4, 400, 200, 3], "activation": "relu"}  # more parameters than are updated together
    for name in ("adam penalty", "adamw decay", "nadam penalty", "rmsprop centered", "rprop", "sgd nesterov"):
        optimizer = part(name, OPTIMIZERS[name])
        yield f"in parts: {name}", irises(network=wide, optimizer=optimizer, training=training(2, 32))
    frozen = [
        {"type": "dense", "units": 5, "activation": "tanh", "learning_rate_scale": 0.5},
        {"type": "dense", "units": 4, "activation": "tanh", "trainable": "weights"},
        {"type": "dense", "units": 4, "activation": "tanh", "trainable": False},
        {"type": "dense", "units": 3, "weights": [[0.1] * 4, [0.2] * 4, [-0.3] * 4], "biases": [0.0, 0.1, 0.2]},
    ]
    for name in ("sgd momentum", "adam penalty", "adagrad", "rprop"):
        yield (
            f"frozen and scaled: {name}",
            irises(network={"layers": frozen}, optimizer=part(name, OPTIMIZERS[name]), dtype="float64"),
        )
    sgd: Config = {"type": "sgd", "learning_rate": 0.5, "momentum": 0.9, **PENALTY}
    yield "clip_norm", irises(optimizer=sgd, training=training(clip_norm=0.05))
    yield "clip_value", irises(optimizer=sgd, training=training(clip_value=0.02))
    yield "both clips", irises(optimizer=sgd, training=training(clip_value=0.02, clip_norm=0.05))
    yield "shards", irises(training=training(shards=3))
    yield "drop_last", irises(training=training(drop_last=True))
    yield "in order", irises(training=training(shuffle=False))
    yield "full batch", irises(training=training(20, "full"))
    yield "min_change", irises(optimizer=sgd, training=training(200, "full", min_change=0.01))
    yield "goal", irises(training=training(200, 8, goal=0.2))
    stop = {"monitor": "val_loss", "patience": 3, "min_delta": 0.01}
    yield "early stopping", irises(training=training(100, 4, early_stopping=stop))
    yield (
        "early stopping, last weights",
        irises(training=training(100, 4, early_stopping={**stop, "restore_best": False})),
    )
    yield (
        "early stopping on a metric",
        irises(
            metrics=["accuracy"], training=training(60, 4, early_stopping={"monitor": "val_accuracy", "patience": 5})
        ),
    )
    huge = {"type": "sgd", "learning_rate": 1e20}
    yield (
        "halve_rate",
        diabetes(
            optimizer={"type": "sgd", "learning_rate": 4.0},
            network={"layers": [10, 6, 1], "activation": "relu"},
            dtype="float32",
            training=training(30, 50, on_divergence="halve_rate"),
        ),
    )
    yield (
        "halve_rate, in vain",
        diabetes(optimizer=huge, network={"layers": [10, 6, 1]}, training=training(3, 50, on_divergence="halve_rate")),
    )
    yield "log_every", irises(training=training(11, log_every=4))
    iris = irises()["data"]
    yield "class weights", irises(data={**iris, "class_weights": "balanced"})
    yield (
        "given class weights",
        irises(data={**iris, "class_weights": {"setosa": 1, "versicolor": 2.5, "virginica": 0.5}}),
    )
    yield "in order, minmax", irises(data={**iris, "split": "in_order", "scale": "minmax"})
    yield "not stratified", irises(data={**iris, "stratify": False, "test": 0.1})
    gaps = folder / "gaps.csv"
    gaps.write_text(_with_gaps((DATASETS / "iris.csv").read_text()))
    for missing in ("drop", "mean", "median"):
        yield f"missing: {missing}", irises(data={**iris, "train": str(gaps), "missing": missing})
    weighted = folder / "weighted.csv"
    weighted.write_text(_with_weights((DATASETS / "iris.csv").read_text()))
    yield "sample weights", irises(data={**iris, "train": str(weighted), "sample_weight": "w"})
    yield (
        "sample weights, in shards",
        irises(data={**iris, "train": str(weighted), "sample_weight": "w"}, training=training(shards=2)),
    )
    rng = np.random.default_rng(1)
    np.savez(folder / "arrays.npz", x=rng.normal(size=(60, 5)), y=rng.normal(size=(60, 2)))
    yield (
        "arrays",
        {
            "data": {"train": str(folder / "arrays.npz"), "val": 0.2, "task": "regression"},
            "network": {"layers": [5, 6, 2]},
            "training": training(4, 7),
        },
    )


def _with_gaps(text: str) -> str:
    """The table with the first cell of every ninth row left out."""
    lines = text.splitlines()
    return "\n".join(line[line.index(",") :] if k % 9 == 4 else line for k, line in enumerate(lines)) + "\n"


def _with_weights(text: str) -> str:
    """The table with one more column, w, of 0.5, 1.0, 1.5, ..."""
    lines = text.splitlines()
    rows = [f"{0.5 * (1 + k % 4)},{line}" for k, line in enumerate(lines[1:])]
    return "\n".join([f"w,{lines[0]}", *rows]) + "\n"


def write_digits(folder: Path) -> list[str]:
    """Random images in the place of MNIST's four files; the overrides that name them."""
    rng, overrides = np.random.default_rng(0), []
    for split, count in (("train", 700), ("test", 120)):
        labels = rng.integers(10, size=count, dtype=np.uint8)
        images = rng.integers(256, size=(count, 28, 28), dtype=np.uint8)
        for key, array in (("x", images), ("y", labels)):
            path = folder / f"{split}-{key}.gz"
            header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
            path.write_bytes(gzip.compress(header + array.tobytes(), mtime=0))
            overrides.append(f"data.{split}.{key}={path}")
    return overrides


def hashes(run: Path) -> str:
    """SHA-256 of the arrays of best.npz and of loss.csv, without the columns in seconds."""
    arrays = hashlib.sha256()
    best = run / "checkpoints" / "best.npz"
    if best.exists():
        with np.load(best) as members:
            for name in sorted(set(members) - {"meta", "sha256"}):
                array = members[name]
                arrays.update(f"{name} {array.shape} {array.dtype.str}\n".encode())
                arrays.update(np.ascontiguousarray(array).tobytes())
    with (run / "loss.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    kept = [k for k, name in enumerate(rows[0]) if name != "seconds"]
    log = "\n".join(",".join(row[k] for k in kept) for row in rows)
    return f"{arrays.hexdigest()} {hashlib.sha256(log.encode()).hexdigest()}"


class Cases:
    """Trains one case after the other and prints its line."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0

    def path(self) -> Path:
        """A new one."""
        self.count += 1
        return self.folder / f"{self.count}"

    def config(self, values: Config) -> Path:
        """Of a config file with these values."""
        path = self.path().with_suffix(".yaml")
        path.write_text(json.dumps(values), encoding="utf-8")
        return path

    def train(
        self,
        name: str,
        config: Path,
        overrides: list[str],
        *,
        threads: int = 1,
        show: Callable[[Any], None] = lambda report: None,
    ) -> None:
        """A run; one that fails prints the kind of its error too."""
        out, failed = self.path(), ""
        try:
            bpcli.train(config, overrides, out=out, threads=threads, on_report=show)
        except Exception as error:
            failed = f" {type(error).__name__}"
            if not (out / "loss.csv").exists():
                raise RuntimeError(f"{name}: {error}") from error
        print(f"{name}: {hashes(out)}{failed}", flush=True)

    def stop_and_resume(self, name: str, values: Config) -> None:
        """A run that is stopped by a signal after the first iteration of its third epoch, and resumed."""
        out = self.path()

        def stop(report: Any) -> None:
            if report.complete and report.epoch == 2:
                os.kill(os.getpid(), signal.SIGTERM)

        with contextlib.suppress(Exception):
            bpcli.train(self.config(values), out=out, threads=1, on_report=stop)
        command("resume", str(out), "--threads", "1", "--quiet")
        print(f"{name}: {hashes(out)}", flush=True)

    def step(self, name: str, config: Path) -> None:
        """`bpcli step`, whose numbers are hashed as they are printed."""
        text = command("step", str(config), "--json")
        print(f"{name}: {hashlib.sha256(text.encode()).hexdigest()}", flush=True)


def command(*arguments: str) -> str:
    """What a command prints."""
    return subprocess.run(
        [sys.executable, "-m", "bpcli", *arguments], check=True, capture_output=True, text=True
    ).stdout


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases, mnist = Cases(folder), write_digits(folder)
        for config in sorted((ROOT / "configs").glob("*.yaml")):
            overrides = [f"training.epochs={EPOCHS[config.stem]}"] if config.stem in EPOCHS else []
            overrides += mnist if "mnist" in config.stem else []
            cases.train(f"configs/{config.name}", config, overrides)
        for title, values in [*part_cases(), *option_cases(folder)]:
            cases.train(title, cases.config(values), [])
        for title, values in resumed_cases():
            cases.stop_and_resume(f"resumed: {title}", values)
        lenet = ROOT / "configs" / "lenet-mnist.yaml"
        cases.train("two threads: lenet", lenet, [*mnist, "training.epochs=1"], threads=2)
        cases.train("two threads: shards", cases.config(irises(training=training(shards=2))), [], threads=2)
        wide = irises(network={"layers": [4, 700, 300, 3]}, training=training(2, 32))
        cases.train("two threads: a wide network", cases.config(wide), [], threads=2)
        cases.step("step: textbook-2-2-2", ROOT / "configs" / "textbook-2-2-2.yaml")
        cases.step("step: xor", ROOT / "configs" / "xor.yaml")
        for optimizer in ("adam penalty", "sgd nesterov"):
            values = irises(optimizer=part(optimizer, OPTIMIZERS[optimizer]), training=training(clip_norm=0.1))
            cases.step(f"step: {optimizer}", cases.config(values))


def resumed_cases() -> Iterator[tuple[str, Config]]:
    """Runs with much to remember."""
    noisy = [{"type": "dense", "units": 6}, {"type": "dropout", "rate": 0.3}, {"type": "dense", "units": 3}]
    normed = [{"type": "dense", "units": 6}, {"type": "batch_norm"}, {"type": "dense", "units": 3}]
    yield "adam, dropout", irises(network={"layers": noisy})
    yield (
        "sgd, plateau",
        irises(optimizer={"type": "sgd", "momentum": 0.9}, schedule=part("reduce_on_plateau", {"patience": 1})),
    )
    yield "rmsprop, batch_norm", irises(network={"layers": normed}, optimizer=part("rmsprop", {"centered": True}))
    stop = {"monitor": "val_loss", "patience": 3}
    yield "early stopping, cosine", irises(schedule="cosine", training=training(9, early_stopping=stop))
    yield "lbfgs", diabetes(optimizer="lbfgs", training=training(8, "full"))
    yield (
        "halve_rate",
        diabetes(
            optimizer={"type": "sgd", "learning_rate": 4.0},
            network={"layers": [10, 6, 1], "activation": "relu"},
            dtype="float32",
            training=training(30, 50, on_divergence="halve_rate"),
        ),
    )


if __name__ == "__main__":
    main()
