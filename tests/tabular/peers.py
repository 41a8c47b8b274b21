"""The peers: scikit-learn's models behind the usual pipeline, and pytabkit's RealMLP-TD-S.

Each gets what someone who prepares the table by hand would give it: ids and free text left out, dates as days,
numbers written as words as numbers, medians for holes.
"""

from __future__ import annotations

import logging
import time
import warnings
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tabular.tables import Task

if TYPE_CHECKING:
    from pandas import DataFrame, Series

MOST_BINS = 254  # categories that HistGradientBoosting takes, one kept for those that are rare


@dataclass(frozen=True)
class Fit:
    """Predictions for the test rows, and what the training took."""

    predicted: NDArray[Any]
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Inputs:
    """Training and test inputs as numbers and words, the words with missing ones as None."""

    train: DataFrame
    test: DataFrame
    numbers: list[str]
    words: list[str]


def prepared(train: DataFrame, test: DataFrame) -> Inputs:
    """Columns made numbers where the training rows say that they are numbers or dates."""
    import pandas as pd

    parts: dict[str, tuple[Series, Series]] = {}
    numbers, words = list[str](), list[str]()
    for name in train.columns:
        both = (train[name], test[name])
        if not pd.api.types.is_numeric_dtype(train[name]):
            reading = _reading(train[name])
            if reading is None:
                words.append(name)
                parts[name] = tuple(part.astype(object).where(part.notna(), None) for part in both)
                continue
            both = (reading(train[name]), reading(test[name]))
        numbers.append(name)
        parts[name] = tuple(part.astype(float) for part in both)
    frames = [pd.DataFrame({name: columns[i] for name, columns in parts.items()}) for i in (0, 1)]
    return Inputs(frames[0], frames[1], numbers, words)


def _reading(column: Series) -> Any:
    """How words are read as numbers, if nine tenths of them are numbers, or ISO dates; else None."""
    import pandas as pd

    def as_numbers(column: Series) -> Series:
        return pd.to_numeric(column, errors="coerce")

    def as_days(column: Series) -> Series:
        moments = pd.to_datetime(column, errors="coerce", format="ISO8601", utc=True)
        return (moments - pd.Timestamp("2000-01-01", tz="UTC")) / pd.Timedelta(days=1)

    known = column.dropna()
    if as_numbers(known).notna().mean() >= 0.9:
        return as_numbers
    dates = known.astype(str).str.match(r"\d{4}-\d\d-\d\d").mean() >= 0.9
    return as_days if dates else None


def fit_peer(
    method: str, train: DataFrame, target: Series, test: DataFrame, task: Task, seed: int, threads: int
) -> Fit:
    """Trains one peer on raw inputs and predicts the test rows; the preparation is not timed, the pipeline is."""
    from threadpoolctl import threadpool_limits

    inputs = prepared(train, test)
    y = target.to_numpy(dtype=float) if task == "regression" else target.astype(str).to_numpy(dtype=object)
    with warnings.catch_warnings(), threadpool_limits(limits=threads):
        warnings.simplefilter("ignore")  # 200 epochs that were too few, a category seen in test alone
        logging.getLogger("lightning").setLevel(logging.ERROR)
        logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
        model = MODELS[method](inputs, task, seed, threads)
        began, busy = time.perf_counter(), time.process_time()
        fitted = model.fit(inputs.train, y)
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - busy
        predicted = fitted.predict(inputs.test)
    return Fit(np.asarray(predicted).ravel(), seconds, cpu_seconds)


def _pipeline(inputs: Inputs, words: Any) -> Any:
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    return ColumnTransformer([("numbers", numbers, inputs.numbers), ("words", words, inputs.words)])


def _usual(inputs: Inputs, model: Any) -> Any:
    """Median, standard scaling, one-hot, and the target of a regression standardised."""
    from sklearn.base import is_regressor
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    if is_regressor(model):
        model = TransformedTargetRegressor(model, transformer=StandardScaler())
    return make_pipeline(_pipeline(inputs, OneHotEncoder(handle_unknown="ignore")), model)


def _mlp(inputs: Inputs, task: Task, seed: int, threads: int) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    return _usual(inputs, (MLPRegressor if task == "regression" else MLPClassifier)(random_state=seed))


def _linear(inputs: Inputs, task: Task, seed: int, threads: int) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge

    return _usual(inputs, Ridge() if task == "regression" else LogisticRegression(max_iter=1000))


def _boosting(inputs: Inputs, task: Task, seed: int, threads: int) -> Any:
    """Holes and words as the documentation of HistGradientBoosting says: neither filled nor one-hot."""
    from sklearn.compose import ColumnTransformer
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan, max_categories=MOST_BINS)
    columns = ColumnTransformer([("words", codes, inputs.words), ("numbers", "passthrough", inputs.numbers)])
    words = list(range(len(inputs.words)))
    kind = HistGradientBoostingRegressor if task == "regression" else HistGradientBoostingClassifier
    return make_pipeline(columns, kind(categorical_features=words, random_state=seed))


class _RealMLP:
    """RealMLP-TD-S, which takes words as they are and wants holes among numbers filled."""

    def __init__(self, inputs: Inputs, task: Task, seed: int, threads: int) -> None:
        from pytabkit import RealMLP_TD_S_Classifier, RealMLP_TD_S_Regressor

        kind = RealMLP_TD_S_Regressor if task == "regression" else RealMLP_TD_S_Classifier
        self.model = kind(random_state=seed, n_threads=threads, device="cpu")
        self.inputs = inputs

    def fit(self, train: DataFrame, y: NDArray[Any]) -> _RealMLP:
        self.medians = train[self.inputs.numbers].median().fillna(0)
        self.model.fit(self._filled(train), y, cat_col_names=self.inputs.words)
        return self

    def predict(self, test: DataFrame) -> NDArray[Any]:
        return self.model.predict(self._filled(test))

    def _filled(self, frame: DataFrame) -> DataFrame:
        return frame.fillna(self.medians)


MODELS = {"mlp": _mlp, "linear": _linear, "hgb": _boosting, "realmlp": _RealMLP}
PACKAGES = {"mlp": "scikit-learn", "linear": "scikit-learn", "hgb": "scikit-learn", "realmlp": "pytabkit"}


def peer_version(method: str) -> str:
    return f"{PACKAGES[method]} {version(PACKAGES[method])}"
