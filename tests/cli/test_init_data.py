"""bpcli init --data: a config for a table, each decision with its reason."""

from __future__ import annotations

import csv
import datetime
from pathlib import Path

import numpy as np
import pytest
import yaml

N = 200
RNG = np.random.default_rng(0)
NOISE = np.round(RNG.normal(size=N), 3)
LABELS = RNG.choice(["no", "yes"], N, p=[0.6, 0.4])


def write(path="t.csv", **columns):
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


@pytest.fixture
def made(ok):
    """`made(["--target", "y"], x=[...], y=[...])`: the config for these columns as values, and its text."""

    def of(arguments=(), **columns):
        write(**columns)
        ok("init", "--data", "t.csv", *arguments)
        text = Path("t.yaml").read_text(encoding="utf-8")
        return yaml.safe_load(text), text

    return of


def reason(text, start):
    """The comment beside the line that starts so, lines put together."""
    lines = [line.strip() for line in text.splitlines()]
    place = next(k for k, line in enumerate(lines) if line.startswith(start))
    _, mark, comment = lines[place].partition("  # ")
    found = [comment] if mark else []
    if mark:
        rest = lines[place + 1 :]
    else:
        rest = []
        while lines[place - 1].startswith("#"):
            place -= 1
            found.insert(0, lines[place].removeprefix("# "))
    for line in rest:
        if not line.startswith("# "):
            break
        found.append(line.removeprefix("# "))
    return " ".join(found)


def test_what_is_written_trains_and_predicts_the_raw_table(ok):
    write("sales.csv", id=range(N), size=NOISE, colour=RNG.choice(["red", "green", "blue"], N), sold=LABELS)
    result = ok("init", "--data", "sales.csv", "--target", "sold")
    assert result.out == "wrote sales.yaml\nnext: bpcli train sales.yaml\n"
    assert 'target: "sold" (classification, 2 classes); as given with --target' in result.err
    assert '"id": a running number: it counts the rows' in result.err
    validated = ok("validate", "sales.yaml")
    assert validated.err == ""
    ok("train", "sales.yaml", "--set", "training.epochs=2")
    ok("predict", "runs/sales", "sales.csv", "-o", "out.csv")
    assert len(Path("out.csv").read_text().splitlines()) == N + 1


class TestTarget:
    @pytest.mark.parametrize("name", ["target", "Label", "CLASS", "y", "outcome"])
    def test_a_telling_name_is_the_target(self, made, name):
        config, text = made(**{"a": NOISE, name: LABELS, "b": NOISE[::-1]})
        assert config["data"]["target"] == name
        assert reason(text, "target:") == "no --target was given, and this name says so"

    def test_else_the_last_column_is(self, made):
        config, text = made(a=NOISE, b=NOISE[::-1], sold=LABELS)
        assert config["data"]["target"] == "sold"
        assert reason(text, "target:") == "no --target was given: the last column; another one with --target COLUMN"

    def test_several_are_a_regression(self, made, ok):
        config, _ = made(["--target", "u", "--target", "v"], u=NOISE * 2, a=NOISE[::-1], v=NOISE - 1)
        assert (config["data"]["target"], config["data"]["task"]) == (["u", "v"], "regression")
        assert config["network"]["layers"][-1]["units"] == 2
        ok("validate", "t.yaml")

    def test_several_may_be_given_with_commas(self, made):
        config, _ = made(["--target", "u,v"], u=NOISE * 2, a=NOISE[::-1], v=NOISE - 1)
        assert config["data"]["target"] == ["u", "v"]

    def test_a_name_with_a_comma_is_one_column(self, made):
        config, _ = made(["--target", "u,v"], **{"u,v": LABELS, "a": NOISE})
        assert config["data"]["target"] == "u,v"

    def test_several_of_0_and_1_get_a_probability_each(self, made, ok):
        flags = {"u": (NOISE > 0.2).astype(int), "v": RNG.integers(2, size=N)}
        config, text = made(["--target", "u,v"], **flags, a=NOISE[::-1])
        assert config["loss"] == "log_likelihood"
        assert config["network"]["layers"][-1]["activation"] == "sigmoid"
        assert reason(text, "task:") == "each target is 0 or 1: the network gives a probability for each"
        ok("train", "t.yaml", "--set", "training.epochs=1")

    def test_rows_without_a_target_are_left_out_and_inputs_still_filled_in(self, made, ok):
        y = ["" if k < 20 else value for k, value in enumerate(NOISE)]
        a = ["" if k % 7 == 0 else value for k, value in enumerate(NOISE[::-1])]
        config, text = made(a=a, colour=["red", "blue"] * 100, b=NOISE**2, y=y)
        assert config["data"]["missing"] == "drop"
        assert "20 rows without a target are left out" in reason(text, "missing:")
        assert config["data"]["columns"] == {
            "a": {"kind": "number", "missing": "median", "indicator": True},
            "colour": {"kind": "category", "missing": "zeros"},
            "b": {"kind": "number", "missing": "median"},
        }
        assert "144 train, 36 val" in ok("validate", "t.yaml").out

    def test_a_target_with_signs_is_read_as_numbers(self, made, ok):
        config, _ = made(a=NOISE, price=[f"${1000 + 500 * value:,.2f}" for value in NOISE[::-1]])
        assert config["data"]["columns"]["price"] == {"kind": "number", "thousands": ",", "currency": "$"}
        ok("train", "t.yaml", "--set", "training.epochs=1")


class TestTask:
    @pytest.mark.parametrize(
        ("y", "task", "why"),
        [
            (LABELS, "classification", '2 classes: "no" '),
            (RNG.integers(3, size=N), "classification", "whole numbers of up to 10 different values"),
            (RNG.integers(50, size=N), "regression", "the target holds numbers"),
            (NOISE, "regression", "the target holds numbers"),
        ],
    )
    def test_follows_from_the_target(self, made, y, task, why):
        config, text = made(a=NOISE[::-1], y=y)
        assert config["data"]["task"] == task
        assert why in reason(text, "task:")

    @pytest.mark.parametrize("task", ["classification", "regression"])
    def test_task_decides(self, made, ok, task):
        config, text = made(["--task", task], a=NOISE, y=RNG.integers(4, size=N))
        assert config["data"]["task"] == task
        assert "as given with --task" in reason(text, "task:")
        ok("train", "t.yaml", "--set", "training.epochs=1")

    def test_numbers_get_a_standardised_target_and_mish(self, made):
        config, _ = made(a=NOISE[::-1], y=NOISE)
        assert config["data"]["scale"] == {"x": "robust", "y": "standard"}
        assert config["loss"] == "mse"
        embedding, scale, *hidden, _ = config["network"]["layers"]
        assert (embedding["type"], embedding["columns"], scale["type"]) == ("periodic_embedding", 1, "scale")
        assert {layer.get("activation") for layer in hidden} == {"mish"}
        assert config["training"]["early_stopping"]["monitor"] == "val_rmse"

    def test_the_embedding_takes_the_amounts_and_no_other_input(self, made, ok):
        days = [f"2024-{1 + k % 12:02}-{1 + k % 28:02}" for k in range(N)]
        config, _ = made(a=NOISE, c=["u", "v", "w", "w"] * (N // 4), d=days, y=NOISE[::-1])
        kind = config["data"]["columns"]["d"]
        parts = kind["parts"] if isinstance(kind, dict) else ["year", "month", "weekday"]
        amounts = 1 + len({"year", "elapsed"} & set(parts))
        assert config["network"]["layers"][0]["columns"] == amounts
        ok("train", "t.yaml", "--set", "training.epochs=1")

    def test_classes_get_a_softmax_of_as_many_outputs_and_selu(self, made):
        config, _ = made(a=NOISE, y=["a", "b", "c", "d"] * 50)
        assert config["data"]["scale"] == {"x": "robust", "y": "none"}
        *_, hidden, last = config["network"]["layers"]
        assert (hidden["activation"], last["units"], last["activation"]) == ("selu", 4, "softmax")
        assert config["training"]["early_stopping"]["monitor"] == "val_loss"

    def test_unbalanced_classes_are_told_and_watched_by_the_loss(self, made):
        config, text = made(a=NOISE, y=["rare"] * 10 + ["common"] * 190)
        assert config["loss"] == "log_likelihood"
        assert config["metrics"] == ["accuracy", "balanced_accuracy", "f1"]
        assert config["training"]["early_stopping"]["monitor"] == "val_loss"
        assert "the classes are unbalanced" in reason(text, "class_weights:")


class TestLeftOut:
    @pytest.mark.parametrize(
        ("cells", "why"),
        [
            (range(7, 7 + N), "a running number: it counts the rows"),
            (RNG.permutation(N), "each number once, without gaps: it counts the rows"),
            ([f"K{k}" for k in RNG.permutation(N)], "all texts are different: an id, a name or free text"),
            ([f"word {max(k, 3)}" for k in range(N)], "different texts in 200 rows, such as"),
            (["kg"] * N, 'the same in every row: "kg"'),
            ([4.0] * N, 'the same in every row: "4"'),
            (["a"] * (N - 1) + ["b"], 'nearly constant: "a" in all rows but 1'),
            ([""] * N, "no value in any row"),
            (NOISE, 'holds in every row what "a" does'),
            ([f"{k}" for k in range(N - 1)] + ["n.a.n"], 'words among them (1 cell, first "n.a.n" in line 201)'),
        ],
    )
    def test_with_its_reason(self, made, cells, why):
        config, text = made(a=NOISE, x=cells, y=LABELS)
        assert config["data"]["exclude"] == ["x"]
        assert why in reason(text, "- x")
        assert list(config["data"]["columns"]) == ["a"]

    def test_ids_by_their_name(self, made):
        ids = RNG.choice(10**6, N, replace=False)
        config, text = made(customerId=ids, population=ids[::-1], y=LABELS)
        assert config["data"]["exclude"] == ["customerId"]
        assert reason(text, "- customerId") == "all numbers are different, and its name says id"

    @pytest.mark.parametrize(
        ("cells", "why"),
        [
            (np.where(LABELS == "yes", "paid", "due"), "it alone tells 100%"),
            (np.where(LABELS == "yes", 5, -5) + NOISE, "it alone tells 100%"),
            (["" if label == "yes" else value for label, value in zip(LABELS, NOISE, strict=True)], "tells 100%"),
            (LABELS, "gives the target"),
        ],
    )
    def test_what_gives_classes_away(self, made, cells, why):
        config, text = made(a=NOISE, x=cells, y=LABELS)
        assert config["data"]["exclude"] == ["x"]
        assert why in reason(text, "- x")

    def test_what_gives_numbers_away(self, made):
        config, text = made(a=NOISE[::-1], x=32 + 1.8 * NOISE, y=NOISE)
        assert config["data"]["exclude"] == ["x"]
        assert 'gives the target "y" away: it alone tells 100% of its variance' in reason(text, "- x")

    def test_what_follows_the_target_closely_stays_with_a_question(self, made):
        config, text = made(a=NOISE[::-1], x=NOISE + 0.15 * RNG.normal(size=N), y=NOISE)
        assert "exclude" not in config["data"]
        assert 'follows "y" closely' in reason(text, "x:")

    def test_a_date_that_only_gives_the_order(self, made):
        days = [datetime.date(2024, 1, 1) + datetime.timedelta(days=k // 20) for k in range(N)]
        config, text = made(a=NOISE, day=days, y=NOISE[::-1])
        assert config["data"]["exclude"] == ["day"]
        assert "a date without use" in reason(text, "- day")
        assert config["data"]["split"] == "in_order"


class TestKinds:
    @pytest.mark.parametrize(
        ("cells", "kind", "remark"),
        [
            (RNG.choice(["red", "green", "blue"], N), "category", '"'),
            (RNG.choice(["True", "False"], N), "yes_no", "True"),
            (RNG.integers(2, size=N), "number", "0 or 1"),
            (RNG.integers(1, 6, size=N), "number", "1 to 5, median"),
            ([f"{k:.0f}%" for k in 10 * NOISE], {"kind": "number", "percent": True}, "median"),
            (["1.5 EUR", "2 EUR"] * 100, {"kind": "number", "currency": "EUR"}, "1.5 or 2"),
            (RNG.choice(["007", "012", "100"], N), "category", "whole numbers, written with leading zeros"),
            (np.r_[NOISE[:-2], 1e6, -1e6], "number", "2 outliers, which scale: robust limits"),
        ],
    )
    def test_with_a_remark(self, made, ok, cells, kind, remark):
        config, text = made(a=NOISE, x=cells, y=LABELS)
        assert config["data"]["columns"]["x"] == kind
        assert remark in reason(text, "x:")
        assert ok("validate", "t.yaml").err == ""

    def test_few_numbers_and_words_are_categories(self, made):
        config, text = made(rooms=["1", "2", "3", "4 or more"] * 50, a=NOISE, y=LABELS)
        assert config["data"]["columns"]["rooms"] == "category"
        assert 'numbers and words (50 cells, such as "4 or more")' in reason(text, "rooms:")

    def test_codes_by_their_name_are_categories(self, made):
        codes = RNG.integers(1, 5, size=N)
        config, text = made(region_code=codes, rooms=RNG.integers(1, 5, size=N), y=LABELS)
        assert config["data"]["columns"] == {"region_code": "category", "rooms": "number"}
        assert "whole numbers, codes by its name" in reason(text, "region_code:")

    @pytest.mark.parametrize(("gaps", "indicator"), [(9, False), (10, True)])
    def test_a_number_that_is_often_missing_gets_an_indicator(self, made, gaps, indicator):
        cells = ["" if k < gaps else value for k, value in enumerate(NOISE)]
        config, text = made(x=cells, b=NOISE**2, y=LABELS)
        assert config["data"]["columns"]["x"].get("indicator", False) is indicator
        assert f"{gaps} missing ({gaps / 2:.3g}%): filled with the median" in reason(text, "x:")

    def test_a_category_that_is_missing_is_zeros(self, made):
        config, text = made(x=["red", "", "blue", "green"] * 50, a=NOISE, y=LABELS)
        assert config["data"]["columns"]["x"] == {"kind": "category", "missing": "zeros"}
        assert "50 missing: 0 in all inputs" in reason(text, "x:")

    def test_two_hundred_categories_of_enough_rows_each(self, made):
        n = 2000
        config, _ = made(x=[f"shop {k % 200}" for k in range(n)], a=RNG.normal(size=n), y=RNG.normal(size=n))
        assert config["data"]["columns"]["x"] == "category"

    def test_a_date_in_no_order_gives_the_parts_that_come_round(self, made, ok):
        days = [datetime.date(2020, 1, 1) + datetime.timedelta(days=7 * int(k)) for k in RNG.permutation(N)]
        config, text = made(day=days, a=NOISE, y=NOISE[::-1])
        assert config["data"]["columns"]["day"] == {"kind": "date", "parts": ["elapsed", "month"]}  # all are Wednesdays
        assert config["data"]["split"] == "shuffled"
        assert "2020-01-01 to 2023-10-25" in reason(text, "day:")
        assert 'there are dates ("day")' in reason(text, "split:")
        assert ok("validate", "t.yaml").err == ""

    def test_an_ambiguous_date_says_so(self, made):
        days = [f"{1 + k % 12:02}/{1 + k % 11:02}/20{10 + k % 9}" for k in range(N)]
        config, text = made(day=days, a=NOISE, y=NOISE[::-1])
        assert config["data"]["columns"]["day"]["format"] == "%d/%m/%Y"
        assert 'day or month first? Both fit all rows; month first: format: "%m/%d/%Y"' in reason(text, "day:")


def test_a_number_of_minus_1_is_no_unknown_category(made, ok):
    made(a=RNG.integers(-3, 4, size=N), colour=["red", "green"] * 100, y=LABELS)
    assert ok("validate", "t.yaml").err == ""


class TestSplit:
    def test_classes_keep_their_shares(self, made):
        config, text = made(a=NOISE, y=LABELS)
        assert (config["data"]["val"], config["data"]["test"]) == (0.2, None)
        assert (config["data"]["split"], config["data"]["stratify"]) == ("shuffled", True)
        assert reason(text, "split:") == "nothing in the file suggests an order in time"

    def test_rows_in_the_order_of_a_date_are_validated_on_the_last_ones(self, made, ok):
        days = [datetime.date(2020, 1, 1) + datetime.timedelta(days=3 * k) for k in range(N)]
        config, text = made(day=days, a=NOISE, y=NOISE[::-1])
        assert config["data"]["split"] == "in_order"
        assert "stratify" not in config["data"]
        assert config["data"]["columns"]["day"]["parts"] == ["month", "weekday"]
        assert reason(text, "split:") == 'the rows are in the order of "day": the last ones, the newest, validate'
        ok("train", "t.yaml", "--set", "training.epochs=1")

    def test_but_not_if_a_class_comes_last_alone(self, made, ok):
        days = [datetime.date(2020, 1, 1) + datetime.timedelta(days=3 * k) for k in range(N)]
        y = ["a", "b"] * 90 + ["c", "a"] * 10
        config, text = made(day=days, a=NOISE, y=y)
        assert config["data"]["split"] == "shuffled"
        assert "a class comes in the last fifth alone" in reason(text, "split:")
        ok("validate", "t.yaml")

    def test_newest_rows_first_are_told(self, made):
        days = [datetime.date(2020, 1, 1) - datetime.timedelta(days=3 * k) for k in range(N)]
        _, text = made(day=days, a=NOISE, y=NOISE[::-1])
        assert "the newest rows come first" in reason(text, "split:")

    def test_rows_of_one_patient_stay_together(self, made, ok):
        config, text = made(patient_id=[f"P{k // 5}" for k in range(N)], a=NOISE, y=LABELS)
        assert config["data"]["group"] == "patient_id"
        assert "patient_id" not in config["data"]["columns"]
        assert "40 different values in 200 rows" in reason(text, "group:")
        ok("train", "t.yaml", "--set", "training.epochs=1")

    def test_large_groups_are_categories(self, made):
        n = 3000
        config, _ = made(plot_id=[1 + k % 25 for k in range(n)], a=RNG.normal(size=n), y=RNG.normal(size=n))
        assert "group" not in config["data"]
        assert config["data"]["columns"]["plot_id"] == "category"


class TestFile:
    def test_nothing_is_overwritten(self, cli, ok):
        write(a=NOISE, y=LABELS)
        Path("t.yaml").write_text("mine")
        result = cli("init", "--data", "t.csv")
        assert result.code == 2
        assert "t.yaml exists already, and bpcli init overwrites nothing: write to another one with -o" in result.err
        ok("init", "--data", "t.csv", "-o", "other.yaml")
        assert Path("t.yaml").read_text() == "mine"
        assert cli("init", "--data", "t.csv", "-o", "other.yaml").code == 2

    def test_paths_start_at_the_config(self, ok):
        Path("data").mkdir()
        Path("configs").mkdir()
        write("data/t.csv", a=NOISE, y=LABELS)
        ok("init", "--data", "data/t.csv", "-o", "configs/mine.yaml")
        assert yaml.safe_load(Path("configs/mine.yaml").read_text())["data"]["train"] == "../data/t.csv"
        ok("validate", "configs/mine.yaml")

    def test_stdout_has_the_config_alone(self, ok):
        write(a=NOISE, y=LABELS)
        result = ok("init", "--data", "t.csv", "-o", "-")
        assert yaml.safe_load(result.out)["data"]["train"] == "t.csv"
        assert list(Path().iterdir()) == [Path("t.csv")]

    def test_a_packed_table_is_named_without_its_endings(self, ok):
        import gzip

        write(a=NOISE, y=LABELS)
        Path("u.csv.gz").write_bytes(gzip.compress(Path("t.csv").read_bytes()))
        assert "wrote u.yaml" in ok("init", "--data", "u.csv.gz").out
        ok("validate", "u.yaml")

    def test_any_name_and_any_text_is_quoted(self, ok):
        names = ["true", "a: b", "- c", "größe", 'x"y', "# d", "{e}", "null", "1e3x", "i'm"]
        columns = {name: np.roll(NOISE, k) for k, name in enumerate(names)}
        write(**columns, words=RNG.choice(["a # b", 'say "no"', "\x1b[31mred", "π: 3"], N), y=LABELS)
        ok("init", "--data", "t.csv", "--target", "y")
        text = Path("t.yaml").read_text(encoding="utf-8")
        assert list(yaml.safe_load(text)["data"]["columns"]) == [*names, "words"]
        assert "\x1b" not in text
        assert ok("validate", "t.yaml").err == ""

    def test_no_line_is_longer_than_120_characters(self, ok):
        columns = {f"a long name of a column, number {k}": np.roll(NOISE, k) for k in range(30)}
        write(**columns, words=RNG.choice([f"{'long ' * 9}{k}" for k in range(20)], N), y=LABELS)
        ok("init", "--data", "t.csv", "--target", "y")
        assert max(map(len, Path("t.yaml").read_text().splitlines())) <= 120

    def test_a_decimal_comma_and_semicolons(self, ok):
        Path("t.csv").write_text(
            "a;b;y\n" + "".join(f"{value};{k};{LABELS[k]}\n".replace(".", ",") for k, value in enumerate(NOISE))
        )
        ok("init", "--data", "t.csv")
        assert yaml.safe_load(Path("t.yaml").read_text())["data"]["decimal"] == ","
        ok("train", "t.yaml", "--set", "training.epochs=1")

    def test_without_a_header_columns_are_numbered_and_the_comment_says_so(self, ok):
        Path("t.csv").write_text("".join(f"{a},{b},{c}\n" for a, b, c in zip(NOISE, NOISE[::-1], LABELS, strict=True)))
        ok("init", "--data", "t.csv")
        text = Path("t.yaml").read_text()
        assert yaml.safe_load(text)["data"]["target"] == "c3"
        assert "Line 1 of the file holds values and no names" in text
        ok("train", "t.yaml", "--set", "training.epochs=1")


class TestErrors:
    @pytest.mark.parametrize(
        ("content", "arguments", "message"),
        [
            (
                "a,price\n1,2\n3,4\n",
                ["--target", "prize"],
                'no column "prize" (did you mean "price"?), named in --target',
            ),
            ("1,2\n3,4\n", ["--target", "price"], "line 1 of the file holds no names, so they are c1, c2, ..."),
            ("a\n1\n2\n", [], 'has only the column "a"'),
            ("a,y\n1,\n2,NA\n", [], 'the target "y" has no value in any row: fill it, or name another column'),
            ("a,y\n1,x\n3,x\n", [], 'the target "y" is "x" in every row that has a value'),
            ("a,y\n1,2020-01-01\n3,2021-01-01\n", [], 'the target "y" holds dates, such as 2020-01-01'),
            ("a,y\nb,1\nb,2\n", [], '"a" is left out: the same in every row: "b"'),
            (
                "a,y\n1,u\n3,v\n",
                ["--task", "regression"],
                '--task regression needs numbers, and the target "y" holds "u"',
            ),
            ("a,u,v\n1,3,x\n3,4,z\n", ["--target", "u,v"], "several targets must all be numbers"),
            ("a,u,v\n1,3,2\n3,4,1\n", ["--target", "u,u"], "--target names a column twice"),
            ("a,u,v\n1,3,2\n3,4,1\n", ["--target", "u,v", "--task", "classification"], "only if each is 0 or 1"),
            ("a,y\n", [], "no rows of data under the header"),
            ("a,y\n1,2\n3\n", [], "t.csv:3: got 1 cell, expected 2"),
            ("", [], "the file is empty"),
        ],
    )
    def test_say_what_to_do(self, cli, content, arguments, message):
        Path("t.csv").write_text(content)
        result = cli("init", "--data", "t.csv", *arguments)
        assert (result.code, result.out) == (3, "")
        assert message in result.err
        assert not Path("t.yaml").exists()

    def test_words_among_the_numbers_of_a_target_are_named_with_their_line(self, cli):
        write(a=NOISE, y=[*NOISE[:150], *(f"about {k}" for k in range(50))])
        result = cli("init", "--data", "t.csv")
        assert result.code == 3
        assert 't.csv:152: column "y": got "about 0", expected a number' in result.err

    def test_an_id_is_no_target(self, cli):
        write(a=NOISE, y=[f"K{k}" for k in range(N)])
        result = cli("init", "--data", "t.csv")
        assert result.code == 3
        assert "an id or free text, not a class" in result.err

    def test_a_missing_file_is_named_with_its_nearest_name(self, cli):
        write("titanic.csv", a=NOISE, y=LABELS)
        result = cli("init", "--data", "titanik.csv")
        assert result.code == 3
        assert 'titanik.csv: no such file (did you mean "titanic.csv"?)' in result.err

    def test_arrays_are_no_table(self, cli):
        np.savez("t.npz", x=np.zeros((3, 2)), y=np.zeros(3))
        result = cli("init", "--data", "t.npz")
        assert result.code == 3
        assert "a table of columns is expected" in result.err

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["iris", "--data", "t.csv"], "--data writes a config for a table: leave out iris"),
            (["--target", "y"], "--target is for a table, which --data FILE names"),
            (["iris", "-o", "x.yaml"], "--output is for a table"),
        ],
    )
    def test_options_that_do_not_go_together(self, cli, arguments, message):
        result = cli("init", *arguments)
        assert result.code == 2
        assert message in result.err


def test_a_column_with_few_values_is_left_out(made, ok):
    config, text = made(x=NOISE, rare=[""] * (N - 3) + [1, 2, 3], y=LABELS)
    assert config["data"]["exclude"] == ["rare"]
    assert reason(text, "- rare") == "only 3 of 200 rows have a value"
    ok("validate", "t.yaml")


def test_a_column_without_a_value_before_the_rows_that_validate_is_left_out(made, ok):
    days = [str(datetime.date(2024, 1, 1) + datetime.timedelta(days=k)) for k in range(N)]
    config, text = made(day=days, x=NOISE, late=[""] * 170 + list(range(30)), y=NOISE + RNG.normal(size=N))
    assert config["data"]["split"] == "in_order"
    assert config["data"]["exclude"] == ["late"]
    assert reason(text, "- late") == "no value in the first 80% of the rows, which the network is trained on"
    ok("validate", "t.yaml")


def test_texts_that_are_all_different_are_no_classes(cli):
    write(x=range(40), y=[f"u{k}" for k in range(40)])
    result = cli("init", "--data", "t.csv")
    assert result.code == 3
    assert 'the target "y" has 40 different texts in 40 rows, such as "u0": an id or free text' in result.err


def test_a_table_given_as_an_example_is_answered_with_the_option(cli):
    write(x=[1, 2], y=[3, 4])
    result = cli("init", "t.csv")
    assert result.code == 2
    assert "t.csv is a table, for which a config is written with: bpcli init --data t.csv" in result.err


def test_counts_of_one_are_written_as_one(made):
    config, text = made(["--target", "y"], x=NOISE, kind=["3"] * 90 + ["4"] * 109 + ["six"], y=["", *NOISE[1:]])
    assert config["data"]["columns"]["kind"] == {"kind": "category", "missing": "zeros"}
    assert reason(text, "missing: drop").startswith("1 row without a target is left out")
    assert reason(text, "kind:").startswith('numbers and words (1 cell, "six"), so that each is a category')
