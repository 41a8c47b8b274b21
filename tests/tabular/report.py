"""The table of errors, the geometric means and the goals, as markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from statistics import fmean, stdev

from tabular.results import Result

TITLES = {
    "bpcli": "bpcli",
    "mlp": "scikit-learn MLP",
    "linear": "logistic / ridge",
    "hgb": "HistGradientBoosting",
    "realmlp": "RealMLP-TD-S",
}
SHIFT = 0.01  # keeps an error of 0 from deciding the mean; the shift of Holzmueller et al. 2024, arXiv 2407.04491

Scores = Mapping[str, Mapping[str, "Score"]]  # table -> method -> score


@dataclass(frozen=True)
class Score:
    """What one method does on one table, over the seeds."""

    errors: dict[int, float]  # by seed
    seconds: dict[int, float]
    cpu_seconds: dict[int, float]

    def at(self, seeds: Set[int]) -> Score:
        """The same, of these seeds alone."""
        return Score(*({seed: values[seed] for seed in seeds} for values in vars(self).values()))

    @property
    def mean(self) -> float:
        return _mean(self.errors)

    @property
    def deviation(self) -> float:
        return stdev(self.errors.values()) if len(self.errors) > 1 else math.nan


@dataclass(frozen=True)
class Goal:
    """What was asked for, the figure, and whether it is met."""

    what: str
    figure: str
    met: bool


def geometric_mean(errors: Iterable[float], shift: float = SHIFT) -> float:
    """exp(mean(log(error + shift))). The shift stays in it, also in a ratio of two means, as in the paper."""
    logs = [math.log(error + shift) for error in errors]
    return math.exp(fmean(logs))


def scores_of(results: Iterable[Result]) -> dict[str, dict[str, Score]]:
    """By table and method, failures left out."""
    scores: dict[str, dict[str, Score]] = {}
    for result in results:
        if result.error is not None:
            score = scores.setdefault(result.table, {}).setdefault(result.method, Score({}, {}, {}))
            score.errors[result.seed] = result.error
            score.seconds[result.seed] = result.seconds
            score.cpu_seconds[result.seed] = result.cpu_seconds
    return scores


def on_the_same_splits(scores: Scores, one: str, other: str) -> dict[str, tuple[Score, Score]]:
    """The tables that both methods were trained on, with the seeds that both have."""
    pairs = {}
    for table, methods in scores.items():
        if one in methods and other in methods:
            a, b = methods[one], methods[other]
            if seeds := a.errors.keys() & b.errors.keys():
                pairs[table] = (a.at(seeds), b.at(seeds))
    return pairs


def error_ratio(scores: Scores, one: str, other: str) -> tuple[float, int]:
    """Geometric mean of one method's errors over that of another's, and the number of tables behind it."""
    pairs = on_the_same_splits(scores, one, other).values()
    if not pairs:
        return math.nan, 0
    return geometric_mean(a.mean for a, _ in pairs) / geometric_mean(b.mean for _, b in pairs), len(pairs)


def goals(scores: Scores) -> list[Goal]:
    """The goals of bpcli, each beside its figure; none before bpcli and the peer have a table in common."""
    return [*_mean_goals(scores), *_linear_goals(scores), *_time_goals(scores)]


def _mean_goals(scores: Scores) -> Iterator[Goal]:
    for other, most in (("mlp", 0.95), ("realmlp", 1.02)):
        ratio, tables = error_ratio(scores, "bpcli", other)
        if tables:
            what = f"geometric mean of the error at most {most:.2f} of {TITLES[other]}'s"
            yield Goal(what, f"{ratio:.3f} on {tables} tables", ratio <= most)


def _linear_goals(scores: Scores) -> Iterator[Goal]:
    pairs = on_the_same_splits(scores, "bpcli", "linear")
    ratios = {table: _over(a.mean, b.mean) for table, (a, b) in pairs.items()}
    if ratios:
        better = sum(ratio < 1 for ratio in ratios.values())
        what = "better than the linear model on 9 of 10 tables"
        yield Goal(what, f"{better} of {len(ratios)}", better >= 0.9 * len(ratios))
        worst = max(ratios, key=lambda table: ratios[table])
        figure = f"{ratios[worst] - 1:+.1%} on {worst}"
        yield Goal("never more than 2 % worse than the linear model", figure, ratios[worst] <= 1.02)


def _over(error: float, other: float) -> float:
    """error / other; 1 where both are 0."""
    if other == 0:
        return math.inf if error else 1.0
    return error / other


def _time_goals(scores: Scores) -> Iterator[Goal]:
    pairs = on_the_same_splits(scores, "bpcli", "realmlp").values()
    if pairs:
        cpu = geometric_mean((_mean(a.cpu_seconds) / _mean(b.cpu_seconds) for a, b in pairs), shift=0)
        wall = geometric_mean((_mean(a.seconds) / _mean(b.seconds) for a, b in pairs), shift=0)
        figure = f"{cpu:.2f} by CPU seconds, {wall:.2f} by the clock"
        yield Goal("training time at most half of RealMLP-TD-S's", figure, cpu <= 0.5)


def _mean(by_seed: Mapping[int, float]) -> float:
    return fmean(by_seed.values())


def report(results: list[Result]) -> str:
    """The whole report: errors by table, means, goals."""
    scores = scores_of(results)
    methods = [method for method in TITLES if any(method in row for row in scores.values())]
    parts = [_errors(results, scores, methods), _means(scores, methods)]
    if found := goals(scores):
        rows = [f"| {goal.what} | {goal.figure} | {'met' if goal.met else 'missed'} |" for goal in found]
        parts.append("\n".join(["| goal of bpcli | figure | |", "| --- | --- | --- |", *rows]))
    if failures := [result for result in results if result.error is None]:
        parts.append("\n".join(f"- {one.table}, {one.method}, seed {one.seed} failed: {one.note}" for one in failures))
    return "\n\n".join(parts)


def _errors(results: list[Result], scores: Scores, methods: list[str]) -> str:
    """One row for each table; the lowest mean is bold."""
    first = {result.table: result for result in results}
    lines = [
        f"| table | rows in training | inputs | seeds | {' | '.join(TITLES[method] for method in methods)} |",
        f"| --- | --- | --- | --- |{' --- |' * len(methods)}",
    ]
    for task, title in (("classification", "share of wrong labels"), ("regression", "nRMSE")):
        lines.append(f"| **{task}**, {title} | | | |{' |' * len(methods)}")
        for table, row in scores.items():
            if first[table].task == task:
                best = min(f"{score.mean:.3f}" for score in row.values())
                seeds = sorted({len(score.errors) for score in row.values()})
                cells = " | ".join(_cell(row.get(method), best) for method in methods)
                rows, inputs = first[table].train_rows, first[table].inputs
                lines.append(f"| {table} | {rows} | {inputs} | {'-'.join(map(str, seeds))} | {cells} |")
    return "\n".join(lines)


def _cell(score: Score | None, best: str) -> str:
    if score is None:
        return ""
    mean = f"{score.mean:.3f}"
    shown = f"**{mean}**" if mean == best else mean
    return shown if math.isnan(score.deviation) else f"{shown} ± {score.deviation:.3f}"


def _means(scores: Scores, methods: list[str]) -> str:
    """Means over the tables and seeds that every method has, so that the columns can be compared."""
    common = {}
    for table, row in scores.items():
        seeds = set.intersection(*(set(row[method].errors) if method in row else set() for method in methods))
        if seeds:
            common[table] = {method: row[method].at(seeds) for method in methods}
    if not common:
        return "No table has results of every method yet."
    errors = [geometric_mean(row[method].mean for row in common.values()) for method in methods]
    seconds = [sum(_mean(row[method].cpu_seconds) for row in common.values()) for method in methods]
    best = [
        sum(row[method].mean == min(score.mean for score in row.values()) for row in common.values())
        for method in methods
    ]
    lines = [
        f"| on {len(common)} tables, with the seeds of all | {' | '.join(TITLES[method] for method in methods)} |",
        f"| --- |{' --- |' * len(methods)}",
        f"| geometric mean of (error + {SHIFT}) | {' | '.join(f'{error:.4f}' for error in errors)} |",
        f"| lowest error on | {' | '.join(map(str, best))} |",
        f"| CPU seconds of training, one seed of each table | {' | '.join(f'{second:.0f}' for second in seconds)} |",
    ]
    return "\n".join(lines)
