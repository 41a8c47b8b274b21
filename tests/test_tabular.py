"""The benchmark on tables compares like with like: splits, errors, means and goals, without the peers."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from tabular import driver
from tabular.commands import CommandError, fit_bpcli
from tabular.peers import MODELS
from tabular.report import Score, error_ratio, geometric_mean, goals, report, scores_of
from tabular.results import Result, append, read
from tabular.splits import misclassified, nrmse, split
from tabular.tables import HELD_OUT, TABLES, Table

LABELS = ["a"] * 60 + ["b"] * 30 + ["c"] * 10


def result(table: str, method: str, error: float | None, *, seed: int = 0, seconds: float = 1.0, **more: str) -> Result:
    return Result(
        table=table,
        task=more.get("task", "regression"),
        method=method,
        seed=seed,
        train_rows=300,
        inputs=4,
        error=error,
        seconds=seconds,
        cpu_seconds=seconds,
        threads=1,
        version="1.0",
        date="2026-11-25",
        note=more.get("note", ""),
    )


def scores(**by_method: list[float]) -> dict[str, dict[str, Score]]:
    """Tables t0, t1, ... with one seed, from each method's errors."""
    return scores_of(
        result(f"t{i}", method, error) for method, errors in by_method.items() for i, error in enumerate(errors)
    )


def test_both_tasks_and_enough_tables() -> None:
    assert len(TABLES) >= 24
    assert len(HELD_OUT) >= 12
    for tables in (TABLES, HELD_OUT):
        assert {table.task for table in tables} == {"classification", "regression"}
    assert all(263 <= table.used <= 50_000 for table in (*TABLES, *HELD_OUT))  # 263 of 322 rows have a target


def test_no_table_is_in_both_lists() -> None:
    for of in ("name", "source"):
        names = [getattr(table, of) for table in (*TABLES, *HELD_OUT)]
        assert len(names) == len(set(names))


def test_a_split_has_every_row_once() -> None:
    train, test = split(LABELS, 3, stratified=True)
    assert sorted([*train, *test]) == list(range(100))


@pytest.mark.parametrize("stratified", [True, False])
def test_a_split_follows_from_target_and_seed_alone(stratified: bool) -> None:
    first, again, other = (split(LABELS, seed, stratified=stratified)[1].tolist() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_a_stratified_split_takes_a_quarter_of_each_class() -> None:
    _, test = split(LABELS, 0, stratified=True)
    assert {label: [LABELS[i] for i in test].count(label) for label in "abc"} == {"a": 15, "b": 8, "c": 3}


def test_a_plain_split_takes_a_quarter() -> None:
    train, test = split(np.linspace(0, 1, 101).tolist(), 0, stratified=False)
    assert (len(train), len(test)) == (76, 25)


def test_every_method_gets_the_rows_of_the_same_split(monkeypatch: pytest.MonkeyPatch) -> None:
    """The driver splits before it looks at the method."""
    seen = {}

    class Frame(dict):  # as little of a table as the driver needs
        shape = (100, 2)

        def __getitem__(self, name: str) -> Frame:
            return self

        def to_list(self) -> list[str]:
            return LABELS

        @property
        def iloc(self) -> Rows:
            return Rows()

    class Rows:
        def __getitem__(self, rows: np.ndarray) -> Part:
            return Part(rows)

    class Part:
        def __init__(self, rows: np.ndarray) -> None:
            self.rows = rows

        def __len__(self) -> int:
            return len(self.rows)

        def __getitem__(self, name: str) -> Part:
            return self

        def to_list(self) -> list[str]:
            return [LABELS[i] for i in self.rows]

    def fit(table: Table, method: str, train: Part, test: Part, *rest: object) -> driver.Fit:
        seen[method] = (train.rows.tolist(), test.rows.tolist())
        return driver.Fit(np.array(["a"] * len(test)), 1.0, 1.0)

    monkeypatch.setattr(driver, "load", lambda table: Frame())
    monkeypatch.setattr(driver, "_fit", fit)
    monkeypatch.setattr(driver, "peer_version", lambda method: "1.0")
    monkeypatch.setattr(driver, "bpcli_version", lambda command: "1.0")
    table = Table("t", "p/t", 100, "y", "classification")
    errors = {driver.measured(table, method, 4, 1, ["bpcli"]).error for method in driver.METHODS}
    assert errors == {11 / 26}  # all are told a: wrong on 8 of b and 3 of c
    assert set(seen) == {"bpcli", *MODELS}
    assert len({str(rows) for rows in seen.values()}) == 1


def test_error_of_classes_is_one_minus_accuracy() -> None:
    assert misclassified(["a", "b", "a", "c"], ["a", "b", "b", "b"]) == 0.5


def test_labels_that_are_numbers_are_compared_by_value() -> None:
    assert misclassified(["1", "0.0", "2"], [1, 0, 3.0]) == pytest.approx(1 / 3)


def test_error_of_numbers_is_in_standard_deviations_of_the_test_targets() -> None:
    actual = [1.0, 2.0, 3.0, 4.0]
    assert nrmse([2.5] * 4, actual) == pytest.approx(1.0)
    # differences 1, 1, 1, 1; the standard deviation of 1 to 4 is sqrt(5 / 4)
    assert nrmse([2.0, 3.0, 4.0, 5.0], actual) == pytest.approx(1 / math.sqrt(1.25))


def test_predictions_in_another_number_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(3,\) predictions for \(2,\) targets"):
        nrmse([1.0, 2.0, 3.0], [1.0, 2.0])
    with pytest.raises(ValueError):
        misclassified(["a"], ["a", "b"])


def test_geometric_mean_is_shifted_by_a_hundredth() -> None:
    # sqrt((0.03 + 0.01) * (0.35 + 0.01)) = sqrt(0.04 * 0.36) = 0.12
    assert geometric_mean([0.03, 0.35]) == pytest.approx(0.12)
    assert geometric_mean([0.0, 0.99]) == pytest.approx(0.1)
    assert geometric_mean([2.0, 8.0], shift=0) == pytest.approx(4.0)


def test_a_ratio_uses_the_tables_and_seeds_that_both_have() -> None:
    measured = [
        result("both", "bpcli", 0.19, seed=0),
        result("both", "bpcli", 0.90, seed=1),  # the peer has no seed 1
        result("both", "mlp", 0.39, seed=0),
        result("alone", "bpcli", 0.90),
    ]
    assert error_ratio(scores_of(measured), "bpcli", "mlp") == (pytest.approx(0.5), 1)


def test_goals_are_met_by_a_method_that_wins_everywhere() -> None:
    ten = [0.1 * (i + 1) for i in range(10)]
    better = [0.9 * error for error in ten]
    assert {goal.met for goal in goals(scores(bpcli=better, mlp=ten, linear=ten))} == {True}


@pytest.mark.parametrize(
    ("linear", "wins", "margin"),
    [
        ([0.5] * 9 + [0.3], True, True),
        ([0.5] * 8 + [0.3] * 2, False, True),  # 8 of 10 are too few; no error is more than 2 % higher
        ([0.5] * 9 + [0.29], True, False),  # 0.3 is 3.4 % more than 0.29
    ],
)
def test_goals_beside_the_linear_model(linear: list[float], wins: bool, margin: bool) -> None:
    # the last two of bpcli are 0.3, the others lower than the linear model's 0.5
    found = goals(scores(bpcli=[0.3] * 10, linear=linear))
    assert [goal.met for goal in found] == [wins, margin]


@pytest.mark.parametrize(("other", "most"), [("mlp", 0.95), ("realmlp", 1.02)])
def test_goals_of_the_mean_have_a_sharp_edge(other: str, most: float) -> None:
    for error, met in ((most * 0.41 - 0.01 - 1e-6, True), (most * 0.41 - 0.01 + 1e-6, False)):
        first, *_ = goals(scores(bpcli=[error] * 3, **{other: [0.4] * 3}))
        assert first.met is met


def test_training_time_is_compared_with_realmlp_by_its_cpu_seconds() -> None:
    for seconds, met in ((4.9, True), (5.1, False)):
        measured = [result("t", "bpcli", 0.3, seconds=seconds), result("t", "realmlp", 0.3, seconds=10.0)]
        assert goals(scores_of(measured))[-1].met is met


def test_report_shows_means_deviations_failures_and_goals() -> None:
    measured = [
        *(result("houses", "bpcli", error, seed=seed) for seed, error in enumerate((0.2, 0.3, 0.4))),
        *(result("houses", "mlp", 0.5, seed=seed) for seed in range(3)),
        result("flowers", "mlp", 0.02, task="classification"),
        result("flowers", "bpcli", None, task="classification", note="exit code 3: a message"),
    ]
    text = report(measured)
    assert "| houses | 300 | 4 | 3 | **0.300** ± 0.100 | 0.500 ± 0.000 |" in text
    assert "| flowers | 300 | 4 | 1 |  | **0.020** |" in text
    assert "| on 1 tables, with the seeds of all | bpcli | scikit-learn MLP |" in text
    assert "at most 0.95 of scikit-learn MLP's | 0.608 on 1 tables | met |" in text
    assert "- flowers, bpcli, seed 0 failed: exit code 3: a message" in text


def test_means_leave_out_seeds_that_a_method_lacks() -> None:
    measured = [*(result("t", "mlp", error, seed=seed) for seed, error in enumerate((0.19, 0.9)))]
    measured.append(result("t", "bpcli", 0.29))
    assert "| geometric mean of (error + 0.01) | 0.3000 | 0.2000 |" in report(measured)


def test_results_are_read_back_as_they_were_written() -> None:
    path = Path("results.csv")
    written = [result("a", "mlp", 0.25, seconds=1.5), result("b", "mlp", None, note='two\nlines, "quoted"')]
    for one in written:
        append(path, one)
    assert read([path]) == written


def test_a_failure_is_replaced_by_the_result_of_a_second_try() -> None:
    path = Path("results.csv")
    for error in (None, 0.25):
        append(path, result("a", "mlp", error))
    assert [one.error for one in read([path])] == [0.25]


def test_what_is_in_the_results_is_not_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path("results.csv")
    for seed in (0, 1):
        append(path, result("titanic", "mlp", 0.2, seed=seed))
    append(path, result("titanic", "linear", None, note="failed"))
    asked = []

    def measured(table: Table, method: str, seed: int, *rest: object) -> Result:
        asked.append((table.name, method, seed))
        return result(table.name, method, 0.1, seed=seed)

    monkeypatch.setattr(driver, "measured", measured)
    command = ["--tables", "titanic", "--methods", "mlp,linear", "--seeds", "3", "--out", str(path)]
    with pytest.raises(SystemExit) as ended:
        driver.main(command)
    assert ended.value.code == 0
    assert asked == [
        ("titanic", "linear", 0),
        ("titanic", "linear", 1),
        ("titanic", "mlp", 2),
        ("titanic", "linear", 2),
    ]


@pytest.mark.parametrize("option", [["--tables", "titanik"], ["--methods", "mpl"]])
def test_an_unknown_name_is_refused_with_the_known_ones(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        driver.main(option)
    assert ended.value.code == 2
    assert ("titanic" if "--tables" in option else "mlp") in capsys.readouterr().err


STAND_IN = """
import pathlib, sys
command, *rest = sys.argv[1:]
with open("calls.txt", "a") as calls:
    print(command, *rest, file=calls)
if command == "init":
    pathlib.Path("houses.yaml").write_text("name: houses")
if command == "train" and "seed=7" in rest:
    sys.exit("houses.yaml:1 name: a message")
if command == "predict":
    pathlib.Path("out.csv").write_text("price\\n1.5\\n2.5\\n")
"""


def test_bpcli_is_called_as_a_user_calls_it() -> None:
    Path("stand_in.py").write_text(STAND_IN)
    table = Table("houses", "p/houses", 300, "price", "regression")
    fit = fit_bpcli([sys.executable, "stand_in.py"], Path.cwd(), table, 1, 2)
    assert fit.predicted.tolist() == [1.5, 2.5]
    assert fit.seconds > 0
    assert Path("calls.txt").read_text().splitlines() == [
        "init --data houses.csv --target price",
        "train houses.yaml --out run --quiet --set seed=1 --threads 2",
        "predict run new.csv -o out.csv",
    ]


def test_a_command_that_fails_is_told_with_its_message() -> None:
    Path("stand_in.py").write_text(STAND_IN)
    table = Table("houses", "p/houses", 300, "price", "regression")
    with pytest.raises(CommandError, match=r"bpcli train houses.yaml .* exit code 1: houses.yaml:1 name: a message"):
        fit_bpcli([sys.executable, "stand_in.py"], Path.cwd(), table, 7, 1)
