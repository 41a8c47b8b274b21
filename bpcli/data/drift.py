"""Whether two parts of the data look as if they came from one source, column by column.

Numbers and dates are compared by the statistic of Kolmogorov and Smirnov, D = max_x |F(x) - G(x)| of the two empirical
distribution functions; categories, yes or no, and missing values by the total variation distance
TV = 1/2 sum_v |p_v - q_v| of the two parts' shares. Both are 0 for equal distributions and at most 1.

A distance counts as drift where it is larger than chance explains and large enough to matter. By chance, with
probability alpha:

    D exceeds sqrt(-ln(alpha / 2) / 2) sqrt((n + m) / (n m))            (Smirnov 1948; for large n and m)
    TV exceeds e(n) + e(m), e(n) = sqrt((K ln 2 + ln(2 / alpha)) / 2n)  (Bretagnolle-Huber-Carol inequality; K values)

where alpha is 0.001 divided by the number of columns. What matters is a distance of at least 0.1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bpcli.data.types import RawData

Floats = npt.NDArray[np.float64]

ALPHA = 0.001
LEAST = 0.1
MOST_SHIFTED = 3  # values that a drift of categories names


@dataclass(frozen=True)
class Drift:
    """A column whose distribution differs between two parts.

    statistic: `ks`, or `tv`, or `missing` for the shares of missing values. threshold: what it exceeds.
    shifted: for numbers their medians, for categories the shares of those that changed most, by their texts: (in
    training, in the other part). new: rows of the other part whose category training does not have.
    """

    column: str
    statistic: str
    distance: float
    threshold: float
    shifted: Mapping[str, tuple[float, float]]
    new: int = 0


def drifts(train: RawData, other: RawData) -> Iterator[Drift]:
    """The columns of x that differ, each once. Both are tables with the same columns, in memory."""
    names = train.feature_names or ()
    alpha = ALPHA / max(1, len(names))
    for place, name in enumerate(names):
        a, b = train.read_x[:, place], other.read_x[:, place]
        if name in train.texts:
            counts, others = text_counts(a, train.texts[name]), text_counts(b, other.texts[name])
            found = drift_of_shares(name, counts, others, alpha)
        else:
            found = drift_of_numbers(name, a, b, alpha)
        found = found or drift_of_gaps(name, (int(np.isnan(a).sum()), len(a)), (int(np.isnan(b).sum()), len(b)), alpha)
        if found is not None:
            yield found


def text_counts(values: Floats, texts: Sequence[str]) -> dict[str, int]:
    """How often each text stands in a column whose values are the places of its texts; NaN where it is missing."""
    counts = np.bincount(values[~np.isnan(values)].astype(np.int64), minlength=len(texts))
    return {text: count for text, count in zip(texts, counts.tolist(), strict=True) if count}


def drift_of_numbers(name: str, a: Floats, b: Floats, alpha: float) -> Drift | None:
    """A column of numbers or dates, a (n,) in training and b (m,) in the other part."""
    a, b = a[~np.isnan(a)], b[~np.isnan(b)]
    if not len(a) or not len(b):
        return None
    distance, threshold = ks_distance(a, b), ks_threshold(len(a), len(b), alpha)
    if distance <= threshold:
        return None
    return Drift(name, "ks", distance, threshold, {"median": (float(np.median(a)), float(np.median(b)))})


def drift_of_shares(name: str, counts: Mapping[str, int], others: Mapping[str, int], alpha: float) -> Drift | None:
    """A column of categories, or the classes: how often each comes in training and in the other part."""
    n, m = sum(counts.values()), sum(others.values())
    if not n or not m:
        return None
    texts = list(dict.fromkeys([*counts, *others]))
    shares = {text: (counts.get(text, 0) / n, others.get(text, 0) / m) for text in texts}
    distance = 0.5 * math.fsum(abs(p - q) for p, q in shares.values())
    threshold = tv_threshold(n, m, len(texts), alpha)
    if distance <= threshold:
        return None
    most = sorted(texts, key=lambda text: -abs(shares[text][0] - shares[text][1]))[:MOST_SHIFTED]
    new = sum(count for text, count in others.items() if not counts.get(text))
    return Drift(name, "tv", distance, threshold, {text: shares[text] for text in most}, new)


def drift_of_gaps(name: str, gaps: tuple[int, int], others: tuple[int, int], alpha: float) -> Drift | None:
    """The missing values of a column: (how many, of how many rows) in training and in the other part."""
    p, q = gaps[0] / gaps[1], others[0] / others[1]
    distance, threshold = abs(p - q), tv_threshold(gaps[1], others[1], 2, alpha)
    return Drift(name, "missing", distance, threshold, {"missing": (p, q)}) if distance > threshold else None


def ks_distance(a: Floats, b: Floats) -> float:
    """max_x |F(x) - G(x)| of the empirical distribution functions of a (n,) and b (m,), which lack no value."""
    a, b = np.sort(a), np.sort(b)
    at = np.concatenate([a, b])
    f = np.searchsorted(a, at, side="right") / len(a)
    g = np.searchsorted(b, at, side="right") / len(b)
    return float(np.abs(f - g).max())


def ks_threshold(n: int, m: int, alpha: float) -> float:
    """What D of two samples of n and m exceeds by chance with probability alpha; at least 0.1."""
    return max(LEAST, math.sqrt(-0.5 * math.log(alpha / 2)) * math.sqrt((n + m) / (n * m)))


def tv_threshold(n: int, m: int, values: int, alpha: float) -> float:
    """What TV of two samples of n and m exceeds by chance with probability alpha at most; at least 0.1."""
    return max(LEAST, sum(math.sqrt((values * math.log(2) + math.log(2 / alpha)) / (2 * k)) for k in (n, m)))
