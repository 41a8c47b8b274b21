"""Makes tests/reference/evaluation.json: baselines, intervals and thresholds by scikit-learn and scipy.

tests/engine/test_evaluation.py compares what bpcli puts beside a network's scores with these values. It needs this
file's output, not the libraries, and fails while the CASES below differ from those that the values were made from. So
after each change here:

    python tests/tools/make_evaluation_reference.py

Needs scikit-learn, scipy and NumPy, not bpcli. Last run with Python 3.11.7, scikit-learn 1.9.1, scipy 1.17.1 and NumPy
2.4.6.
"""

import json
import platform
import zlib
from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).resolve().parents[1] / "reference" / "evaluation.json"
RESAMPLES, FEW = 40_000, 2_000  # of scipy's bootstrap; few for a statistic that takes long
Case = dict[str, Any]

# Data (n, d) of so many classes, or with so many numbers as targets; weighted: with weights of the samples.
CASES: list[Case] = [
    {"name": "two classes", "n": 60, "d": 3, "classes": 2},
    {"name": "two classes, weighted", "n": 60, "d": 3, "classes": 2, "weighted": True},
    {"name": "two classes, one of them rare", "n": 80, "d": 2, "classes": 2, "rare": True},
    {"name": "three classes", "n": 60, "d": 4, "classes": 3},
    {"name": "five classes, weighted", "n": 90, "d": 2, "classes": 5, "weighted": True},
    {"name": "more columns than samples", "n": 30, "d": 40, "classes": 2},
    {"name": "a column that never varies", "n": 40, "d": 3, "classes": 2, "constant": True},
    {"name": "one number", "n": 50, "d": 4, "targets": 1},
    {"name": "one number, weighted", "n": 50, "d": 4, "targets": 1, "weighted": True},
    {"name": "three numbers of unlike size", "n": 40, "d": 3, "targets": 3},
]


def data_of(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """(x, y, weights), seeded by the name, so that a new case leaves the others as they are. y: (n,), or (n, m)."""
    rng = np.random.default_rng(zlib.crc32(case["name"].encode()))
    n, d = case["n"], case["d"]
    x = rng.normal(size=(n, d)) * 10.0 ** rng.uniform(-2, 3, size=d) + rng.normal(size=d) * 50
    if case.get("constant"):
        x[:, -1] = 7.25
    weights = rng.uniform(0.2, 3.0, size=n) if case.get("weighted") else None
    outputs = case.get("classes") or case["targets"]
    z = (x - x.mean(axis=0)) / np.where(np.ptp(x, axis=0) > 0, x.std(axis=0), 1) @ rng.normal(size=(d, outputs)) * 1.5
    if "targets" in case:
        return x, (z + rng.normal(size=z.shape)) * 10.0 ** np.arange(outputs) + 100.0, weights
    z[:, 1:] -= 4.0 if case.get("rare") else 0.0
    return x, (z + rng.gumbel(size=z.shape)).argmax(axis=1), weights


def linear(case: Case) -> np.ndarray:
    """What logistic or ridge regression says of the samples that it was fitted to: (n, classes), or (n, m)."""
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.preprocessing import StandardScaler

    x, y, weights = data_of(case)
    x = StandardScaler().fit_transform(x)
    if "classes" in case:
        model = LogisticRegression(C=1.0, tol=1e-12, max_iter=100_000, solver="newton-cholesky")
        return model.fit(x, y, sample_weight=weights).predict_proba(x)
    scaler = StandardScaler()
    # its intercept is that of unscaled targets: shifting them changes nothing, and scaling only the penalty's meaning
    model = Ridge(alpha=1.0, solver="cholesky").fit(x, scaler.fit_transform(y), sample_weight=weights)
    return scaler.inverse_transform(model.predict(x).reshape(y.shape))


def constant(case: Case) -> np.ndarray:
    """What the dummy models say: shares of the classes, or means."""
    from sklearn.dummy import DummyClassifier, DummyRegressor

    x, y, _ = data_of(case)
    if "classes" in case:
        return DummyClassifier(strategy="prior").fit(x, y).predict_proba(x[:1])[0]
    return np.ravel(DummyRegressor().fit(x, y).predict(x[:1]))


def intervals(case: Case, prediction: np.ndarray) -> dict[str, list[float]]:
    """scipy's 95 % percentile intervals of some metrics of the linear model's predictions."""
    from scipy.stats import bootstrap
    from sklearn.metrics import roc_auc_score

    def found(statistic: Any, *values: np.ndarray, resamples: int = RESAMPLES, **keys: Any) -> list[float]:
        result = bootstrap(values, statistic, n_resamples=resamples, paired=True, method="percentile", rng=0, **keys)
        return [float(end) for end in result.confidence_interval]

    _, y, _ = data_of(case)
    if "targets" in case:
        squares = ((prediction - y) ** 2)[:, 0], y[:, 0]
        if case["targets"] > 1:
            return {"mse": found(np.mean, ((prediction - y) ** 2).mean(axis=1))}
        return {
            "rmse": found(lambda e, axis: np.sqrt(e.mean(axis)), squares[0]),
            "r2": found(lambda e, y, axis: 1 - e.mean(axis) / y.var(axis), *squares),
        }
    ends = {
        "accuracy": found(np.mean, (prediction.argmax(axis=1) == y).astype(float)),
        "log_loss": found(np.mean, -np.log(prediction[np.arange(len(y)), y])),
    }
    if case["classes"] == 2:
        score = prediction[:, 1]
        ends["roc_auc"] = found(lambda y, p: roc_auc_score(y, p), y, score, resamples=FEW, vectorized=False)
    return ends


def best_balanced_accuracy(case: Case, prediction: np.ndarray) -> float | None:
    """The best over the thresholds of roc_curve."""
    from sklearn.metrics import roc_curve

    if case.get("classes") != 2:
        return None
    false, true, _ = roc_curve(data_of(case)[1], prediction[:, 1], drop_intermediate=False)
    return float((1 + true - false).max() / 2)


def main() -> None:
    import scipy
    import sklearn

    stored = []
    for case in CASES:
        prediction = linear(case)
        stored.append(
            {
                "case": case,
                "linear": prediction.tolist(),
                "constant": constant(case).tolist(),
                "intervals": intervals(case, prediction),
                "best_balanced_accuracy": best_balanced_accuracy(case, prediction),
            }
        )
        print(case["name"])
    versions = {"sklearn": sklearn.__version__, "scipy": scipy.__version__, "numpy": np.__version__}
    made_with = {**versions, "python": platform.python_version()}
    lines = ",\n".join(json.dumps(entry) for entry in stored)
    FILE.write_text(f'{{"made_with": {json.dumps(made_with)},\n"cases": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
