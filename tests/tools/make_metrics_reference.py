"""Makes tests/reference/metrics.json: what scikit-learn says of random truths and predictions in the CASES below.

tests/engine/test_metrics.py compares bpcli's metrics with these values. It needs this file's output, not scikit-learn,
and fails while CASES or the options in MEASURES differ from what the values were made from. So after each change here:

    python tests/tools/make_metrics_reference.py

Needs scikit-learn and NumPy, not bpcli. Last run with Python 3.11.7, scikit-learn 1.9.1 and NumPy 2.4.6.

To add a metric, add a line to MEASURES; to add data, an entry to CASES. metrics.json holds the cases with their data:
target and prediction as bpcli's metrics take them, class indices (N,) against scores (N, K), or numbers (N, M) against
(N, M). The values of a case are a list of {"metric": as in a bpcli config, "value": number}.

Where scikit-learn gives no number, bpcli's rule is written out here, in scikit-learn's terms: see the functions.
"""

import json
import platform
import warnings
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).resolve().parents[1] / "reference"
Case = dict[str, Any]
Function = Callable[..., float]

# --- The cases ----------------------------------------------------------------------------------------------------


def classes(name: str, n: int, k: int, **keys: Any) -> Case:
    """n samples of k classes. scores: how predictions are drawn, one of SCORES. weights: how often each class comes."""
    return {"name": name, "task": "classification", "n": n, "k": k, "scores": "dirichlet", "weights": [1] * k} | keys


def numbers(name: str, n: int, m: int, **keys: Any) -> Case:
    """n samples of m outputs, drawn as `values`, one of VALUES, says."""
    return {"name": name, "task": "regression", "n": n, "m": m, "values": "normal"} | keys


CASES: list[Case] = [
    classes("two classes", 40, 2),
    classes("two classes, ties", 60, 2, scores="eighths"),
    classes("two classes, imbalanced", 50, 2, weights=[12, 1]),
    classes("two classes, imbalanced, ties", 50, 2, weights=[1, 9], scores="eighths"),
    classes("two classes, all scores equal", 12, 2, scores="equal"),
    classes("two classes, only class 0", 10, 2, weights=[1, 0]),
    classes("two classes, only class 1", 10, 2, weights=[0, 1]),
    classes("two classes, perfect", 16, 2, scores="perfect"),
    classes("two classes, all wrong", 16, 2, scores="all wrong"),
    classes("two outputs that do not sum to 1", 30, 2, scores="independent"),
    classes("one sample", 1, 2),
    classes("three classes", 45, 3),
    classes("three classes, ties", 60, 3, scores="eighths"),
    classes("three classes, perfect", 15, 3, scores="perfect"),
    classes("three classes, perfect, only class 1", 8, 3, scores="perfect", weights=[0, 1, 0]),
    classes("three classes, only class 2", 12, 3, weights=[0, 0, 1]),
    classes("three classes, always the same one said", 21, 3, scores="constant"),
    classes("three outputs that do not sum to 1", 30, 3, scores="independent"),
    classes("five classes, one imbalanced, one absent", 60, 5, weights=[9, 4, 0, 4, 1]),
    classes("seven classes", 70, 7),
    classes("seven classes, ties", 70, 7, scores="eighths"),
    classes("seven classes, two absent from truth and prediction", 40, 7, weights=[3, 0, 2, 1, 0, 1, 1], scores="seen"),
    classes("twelve classes, few samples", 15, 12, scores="eighths"),
    numbers("one output", 30, 1),
    numbers("one output, odd", 31, 1),
    numbers("two samples", 2, 1),
    numbers("three outputs", 25, 3),
    numbers("five outputs of unlike size", 24, 5, values="unlike sizes"),
    numbers("perfect", 9, 2, values="perfect"),
    numbers("always off by the same", 9, 2, values="offset"),
    numbers("one of three outputs constant", 12, 3, values="constant"),
    numbers("one of three outputs constant and met", 12, 3, values="constant and met"),
    numbers("targets of 0", 16, 2, values="small integers"),
]


def dirichlet(rng: np.random.Generator, y: np.ndarray, k: int) -> np.ndarray:
    """Probabilities that lean towards the truth."""
    p = rng.dirichlet(np.ones(k), len(y)) + 0.5 * np.eye(k)[y] * rng.uniform(size=(len(y), 1))
    return p / p.sum(axis=1, keepdims=True)


def eighths(rng: np.random.Generator, y: np.ndarray, k: int) -> np.ndarray:
    """Multiples of 1/8: many ties, within a sample and between samples, and probabilities of 0 and 1."""
    return np.stack([rng.multinomial(8, p) for p in dirichlet(rng, y, k)]) / 8


def seen(rng: np.random.Generator, y: np.ndarray, k: int) -> np.ndarray:
    """Classes that do not come up in truth are never predicted either."""
    p = dirichlet(rng, y, k)
    p[:, np.setdiff1d(np.arange(k), y)] = 0
    return p / p.sum(axis=1, keepdims=True)


# Scores (N, K) from a generator, the truth (N,) and K.
SCORES: dict[str, Callable[[np.random.Generator, np.ndarray, int], np.ndarray]] = {
    "dirichlet": dirichlet,
    "eighths": eighths,
    "seen": seen,
    "equal": lambda rng, y, k: np.full((len(y), k), 1 / k),
    "perfect": lambda rng, y, k: np.eye(k)[y],
    "all wrong": lambda rng, y, k: np.eye(k)[(y + 1) % k],
    "constant": lambda rng, y, k: np.tile(np.eye(k)[-1] * 0.5 + 0.5 / k, (len(y), 1)),
    "independent": lambda rng, y, k: rng.uniform(size=(len(y), k)),
}


def unlike_sizes(rng: np.random.Generator, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    y = rng.normal(size=(n, m)) * 10.0 ** np.arange(-2, m - 2) + 10.0 ** np.arange(m)
    return y, y * rng.uniform(0.8, 1.3, size=(n, m))


def constant(rng: np.random.Generator, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """The last output is always 2.5, of which the mean is exactly 2.5."""
    y = rng.normal(size=(n, m))
    y[:, -1] = 2.5
    return y, y + rng.normal(size=(n, m))


def constant_and_met(rng: np.random.Generator, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    y, a = constant(rng, n, m)
    a[:, -1] = 2.5
    return y, a


def offset(rng: np.random.Generator, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    y = rng.integers(-9, 9, size=(n, m)) / 4
    return y, y + 0.75


# Targets and predictions (N, M) from a generator, N and M.
VALUES: dict[str, Callable[[np.random.Generator, int, int], tuple[np.ndarray, np.ndarray]]] = {
    "normal": lambda rng, n, m: (rng.normal(size=(n, m)), rng.normal(size=(n, m))),
    "unlike sizes": unlike_sizes,
    "perfect": lambda rng, n, m: (rng.normal(size=(n, m)),) * 2,
    "offset": offset,
    "constant": constant,
    "constant and met": constant_and_met,
    "small integers": lambda rng, n, m: (
        rng.integers(-2, 3, size=(n, m)).astype(float),
        rng.integers(-2, 3, size=(n, m)).astype(float),
    ),
}


def data_of(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """(target, prediction), seeded by the name, so that a new case leaves the others as they are."""
    rng = np.random.default_rng(zlib.crc32(case["name"].encode()))
    if case["task"] == "regression":
        return VALUES[case["values"]](rng, case["n"], case["m"])
    weights = np.array(case["weights"])
    y = rng.choice(case["k"], size=case["n"], p=weights / weights.sum())
    return y, SCORES[case["scores"]](rng, y, case["k"])


# --- The metrics in scikit-learn ----------------------------------------------------------------------------------


def said(p: np.ndarray) -> np.ndarray:
    """The predicted class."""
    return p.argmax(axis=1)


def top_k(sk: Any, y: np.ndarray, p: np.ndarray, *, k: int = 5) -> float:
    """Of equal scores scikit-learn takes the last, bpcli the first: so the classes are given to it in reverse.

    A class that nobody is of and nobody chooses keeps it from the rule that it has for two classes.
    """
    unused = np.full((len(y), 1), -1.0)
    scores = np.hstack([unused, p[:, ::-1]])
    if k >= p.shape[1]:
        return 1.0
    return sk.top_k_accuracy_score(p.shape[1] - y, scores, k=k, labels=np.arange(scores.shape[1]))


def against_rest(y: np.ndarray, p: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(is it of the class, score) for class 1 of two, or else for each class that occurs."""
    for k in [1] if p.shape[1] == 2 else np.unique(y):
        yield (y == k).astype(int), p[:, k]


def roc_auc(sk: Any, y: np.ndarray, p: np.ndarray) -> float:
    """The mean over the classes that occur; 0.5 where scikit-learn has NaN, because there is one class only."""
    if len(np.unique(y)) < 2:
        return 0.5
    value = float(np.mean([sk.roc_auc_score(belongs, score) for belongs, score in against_rest(y, p)]))
    if p.shape[1] > 2 and len(np.unique(y)) == p.shape[1] and np.allclose(p.sum(axis=1), 1):
        np.testing.assert_allclose(value, sk.roc_auc_score(y, p, multi_class="ovr", average="macro"), rtol=1e-14)
    return value


def average_precision(sk: Any, y: np.ndarray, p: np.ndarray) -> float:
    """The mean over the classes that occur."""
    value = float(np.mean([sk.average_precision_score(belongs, score) for belongs, score in against_rest(y, p)]))
    if p.shape[1] > 2 and len(np.unique(y)) == p.shape[1]:
        np.testing.assert_allclose(value, sk.average_precision_score(y, p, average="macro"), rtol=1e-14)
    return value


def brier(sk: Any, y: np.ndarray, p: np.ndarray) -> float:
    value = sk.brier_score_loss(y, p, labels=np.arange(p.shape[1]))
    if p.shape[1] == 2 and np.allclose(p.sum(axis=1), 1):
        np.testing.assert_allclose(value, sk.brier_score_loss(y, p[:, 1], pos_label=1), rtol=1e-14)
    return value


def calibration_error(sk: Any, y: np.ndarray, p: np.ndarray, *, bins: int = 15) -> float:
    """From the means of confidence and hits that calibration_curve gives for each bin that is not empty."""
    from sklearn.calibration import calibration_curve

    hits, confidence = said(p) == y, p.max(axis=1).clip(0, 1)
    accurate, confident = calibration_curve(hits.astype(int), confidence, pos_label=1, n_bins=bins, strategy="uniform")
    counts = np.bincount(np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence))
    return float(counts[counts > 0] @ np.abs(accurate - confident) / len(y))


AVERAGES: list[dict[str, Any]] = [{}, {"average": "macro"}, {"average": "micro"}, {"average": "weighted"}]


def per_class(function: str) -> Function:
    def value(sk: Any, y: np.ndarray, p: np.ndarray, *, average: str = "macro") -> float:
        return getattr(sk, function)(y, said(p), average=average, zero_division=0)

    return value


def on_numbers(function: str) -> Function:
    return lambda sk, y, a: getattr(sk, function)(y, a)


# task -> metric -> the options to run it with, and its value from sklearn.metrics, target, prediction and the options.
MEASURES: dict[str, dict[str, tuple[list[dict[str, Any]], Function]]] = {
    "classification": {
        "accuracy": ([{}], lambda sk, y, p: sk.accuracy_score(y, said(p))),
        "average_precision": ([{}], average_precision),
        "balanced_accuracy": ([{}], lambda sk, y, p: sk.balanced_accuracy_score(y, said(p))),
        "brier": ([{}], brier),
        "calibration_error": ([{}, {"bins": 4}], calibration_error),
        "cohen_kappa": ([{}], lambda sk, y, p: sk.cohen_kappa_score(y, said(p), replace_undefined_by=0.0)),
        "f1": (AVERAGES, per_class("f1_score")),
        "log_loss": ([{}], lambda sk, y, p: sk.log_loss(y, p, labels=np.arange(p.shape[1]))),
        "mcc": ([{}], lambda sk, y, p: sk.matthews_corrcoef(y, said(p))),
        "precision": (AVERAGES, per_class("precision_score")),
        "recall": (AVERAGES, per_class("recall_score")),
        "roc_auc": ([{}], roc_auc),
        "top_k": ([{}, {"k": 1}, {"k": 2}, {"k": 3}], top_k),
    },
    "regression": {
        "explained_variance": ([{}], on_numbers("explained_variance_score")),
        "mae": ([{}], on_numbers("mean_absolute_error")),
        "mape": ([{}], on_numbers("mean_absolute_percentage_error")),
        "median_absolute_error": ([{}], on_numbers("median_absolute_error")),
        "mse": ([{}], on_numbers("mean_squared_error")),
        "r2": ([{}], on_numbers("r2_score")),
        "rmse": ([{}], on_numbers("root_mean_squared_error")),
    },
}


def metrics_of(case: Case) -> list[dict[str, Any]]:
    """Every metric that the case is measured with, as in a bpcli config."""
    return [{"type": name, **keys} for name, (options, _) in MEASURES[case["task"]].items() for keys in options]


def main() -> None:
    import sklearn
    import sklearn.metrics

    stored = []
    for case in CASES:
        target, prediction = data_of(case)
        values = []
        for metric in metrics_of(case):
            keys = {key: value for key, value in metric.items() if key != "type"}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it warns of absent classes and of scores that do not sum to 1
                value = float(MEASURES[case["task"]][metric["type"]][1](sklearn.metrics, target, prediction, **keys))
            assert np.isfinite(value), (case["name"], metric)
            values.append({"metric": metric, "value": value})
        stored.append({"case": case, "target": target.tolist(), "prediction": prediction.tolist(), "values": values})
        print(f"{case['name']:52} {len(values)} values")
    made_with = {"sklearn": sklearn.__version__, "numpy": np.__version__, "python": platform.python_version()}
    lines = ",\n".join(json.dumps(entry) for entry in stored)
    text = f'{{"made_with": {json.dumps(made_with)},\n"cases": [\n{lines}\n]}}\n'
    (FOLDER / "metrics.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
