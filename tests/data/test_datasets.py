"""A config's data section as splits: what is read from where, how it is split, and what scaling is fitted on."""

from __future__ import annotations

import dataclasses
import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from bpcli.build.session import open_session
from bpcli.config.load import load_config
from bpcli.data import datasets
from bpcli.data.datasets import Datasets, load_datasets, load_part
from bpcli.data.types import DataPlan, Source
from bpcli.engine.training.state import random_streams
from bpcli.errors import BpcliError, DataError

PLAN = DataPlan(
    train=Source(Path("d.csv")),
    val=None,
    test=None,
    target=None,
    features=None,
    header=None,
    task="auto",
    loss_for_classes=False,
    stratify=True,
    in_order=False,
    x_scale="none",
    y_scale="none",
    dtype="float64",
)


def load(*, seed: int = 0, **changes) -> Datasets:
    for name in ("train", "val", "test"):
        if isinstance(changes.get(name), str):
            changes[name] = Source(Path(changes[name]))
    return load_datasets(dataclasses.replace(PLAN, **changes), random_streams(seed)["split"])


def csv(name: str, *lines: str) -> None:
    Path(name).write_text("\n".join(lines) + "\n")


def numbers(n: int = 20, last: str | None = None) -> None:
    """d.csv: a = 0, 1, 2, ..., b = a squared, y = 3 a; the last line replaced."""
    lines = [f"{i},{i * i},{3 * i}" for i in range(n)]
    csv("d.csv", "a,b,y", *lines[: n - 1], last or lines[-1])


@pytest.mark.parametrize("place", ["hashlib.file_digest", "bpcli.data.datasets.prepare", "bpcli.data.scaling.fit"])
def test_too_little_memory_is_a_data_error_wherever_it_is_met(monkeypatch, place):
    def refuse(*_args, **_options):
        raise MemoryError

    numbers()
    monkeypatch.setattr(place, refuse)
    with pytest.raises(DataError, match=r"not enough memory to prepare the data; use fewer rows or columns"):
        load(x_scale="standard")


# --- splits -----------------------------------------------------------------------------------------------------------


def test_without_val_and_test_there_is_one_split():
    numbers()
    assert list(load().parts) == ["train"]


def test_fractions_are_taken_from_the_training_file():
    numbers(20)
    parts = load(val=0.2, test=0.1).parts
    assert {name: len(part) for name, part in parts.items()} == {"train": 14, "val": 4, "test": 2}
    together = np.concatenate([part.x[:, 0] for part in parts.values()])
    np.testing.assert_array_equal(np.sort(together), np.arange(20))


def test_rows_and_targets_stay_together():
    numbers(20)
    for part in load(val=0.2, test=0.1).parts.values():
        np.testing.assert_array_equal(part.y[:, 0], 3 * part.x[:, 0])
        np.testing.assert_array_equal(part.raw_targets[:, 0], 3 * part.x[:, 0])


def test_in_order_leaves_the_last_rows_for_test():
    numbers(10)
    parts = load(val=0.2, test=0.1, in_order=True).parts
    assert [parts[name].x[:, 0].tolist() for name in ("val", "test")] == [[7, 8], [9]]


def test_a_classification_is_split_by_its_classes():
    csv("d.csv", "a,kind", *(f"{i},{'rare' if i % 10 == 0 else 'common'}" for i in range(100)))
    parts = load(val=0.2, test=0.1).parts
    assert [int((parts[name].y == 1).sum()) for name in ("train", "val", "test")] == [7, 2, 1]


def test_stratify_false_splits_without_regard_to_the_classes():
    csv("d.csv", "a,kind", *(f"{i},{'xy'[i % 2]}" for i in range(40)))
    counts = {int((load(val=0.5, stratify=False, seed=seed).parts["val"].y == 1).sum()) for seed in range(20)}
    assert len(counts) > 1


def test_a_regression_is_not_stratified():
    numbers(40)
    split = load(val=0.5, stratify=True).parts["val"].x
    np.testing.assert_array_equal(split, load(val=0.5, stratify=False).parts["val"].x)


def test_too_few_rows_are_an_error_that_names_the_file():
    csv("d.csv", "a,y", "1,2")
    with pytest.raises(DataError, match=r"d\.csv.*too few"):
        load(val=0.2)


def test_a_fraction_that_leaves_no_row_is_named():
    csv("d.csv", "a,y", "1,x", "2,y", "3,z")
    with pytest.raises(DataError, match=r"d\.csv: data\.val: 0\.2 leaves no row for val: each class needs one"):
        load(val=0.2)


def test_a_split_that_leaves_a_class_out_of_training_is_an_error():
    """Sorted by class and split in order, the last class would be validated and never learnt."""
    csv("d.csv", "a,kind", *(f"{i},{'xyz'[i // 10]}" for i in range(30)))
    with pytest.raises(BpcliError, match="z"):
        load(val=0.4, in_order=True)


CONFIG = "seed: 5\ndata: {train: d.csv, val: 0.3, test: 0.2}\nnetwork: {layers: [2, 1]}\ntraining: {epochs: 1}\n"


def splits_of(*overrides: str) -> list[list[float]]:
    Path("c.yaml").write_text(CONFIG)
    parts = open_session(load_config("c.yaml", overrides)).datasets.parts
    return [parts[name].x[:, 0].tolist() for name in ("train", "val", "test")]


@pytest.mark.parametrize(
    "override",
    [
        "network.layers=[2, 50, 50, 1]",
        "training.batch_size=1",
        "training.shuffle=false",
        "dtype=float64",
        "optimizer=adam",
        "data.scale={y: standard}",
        "network.init=zeros",
    ],
)
def test_the_split_depends_on_the_seed_and_the_data_alone(override):
    numbers(30)
    assert splits_of(override) == splits_of()


def test_another_seed_gives_another_split():
    numbers(30)
    assert splits_of("seed=6") != splits_of()


# --- scaling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["standard", "minmax"])
def test_an_outlier_in_the_validation_part_does_not_move_the_scaling(kind):
    numbers(20)
    plain = load(val=0.05, in_order=True, x_scale=kind, y_scale=kind)
    numbers(20, last="1e6,-1e9,1e7")
    outlier = load(val=0.05, in_order=True, x_scale=kind, y_scale=kind)
    np.testing.assert_array_equal(outlier.parts["train"].x, plain.parts["train"].x)
    np.testing.assert_array_equal(outlier.parts["train"].y, plain.parts["train"].y)
    for one, other in (
        (outlier.preparation.x_scaler, plain.preparation.x_scaler),
        (outlier.preparation.y_scaler, plain.preparation.y_scaler),
    ):
        np.testing.assert_array_equal(one.shift, other.shift)
        np.testing.assert_array_equal(one.scale, other.scale)


def test_an_outlier_in_the_training_part_does_move_the_scaling():
    numbers(20, last="1e6,-1e9,1e7")
    assert load(x_scale="minmax").preparation.x_scaler.scale[0] == 1e6


def test_an_outlier_in_the_test_file_does_not_move_the_scaling():
    numbers(20)
    csv("t.csv", "a,b,y", "1e6,1e6,1e6")
    assert load(test="t.csv", x_scale="minmax").preparation.x_scaler.scale.tolist() == [19, 361]


def test_a_validation_part_is_scaled_as_the_training_part():
    numbers(20)
    parts = load(val=0.25, in_order=True, x_scale="minmax").parts
    np.testing.assert_allclose(parts["val"].x[:, 0], np.arange(15, 20) / 14)


def test_inputs_and_targets_are_scaled_each_by_its_own_kind():
    numbers(20)
    part = load(x_scale="none", y_scale="minmax").parts["train"]
    assert (part.x[:, 0].max(), part.y.max(), part.raw_targets.max()) == (19, 1, 57)


@pytest.mark.parametrize("kind", ["standard", "minmax"])
def test_a_constant_column_becomes_0(kind):
    csv("d.csv", "a,b,y", *(f"0.1,{i},{i}" for i in range(10)))
    np.testing.assert_allclose(load(x_scale=kind).parts["train"].x[:, 0], 0, atol=1e-9)


def test_predictions_come_back_in_the_units_of_the_file():
    numbers(20)
    datasets = load(val=0.2, y_scale="standard")
    part = datasets.parts["val"]
    np.testing.assert_allclose(datasets.preparation.values(part.y), part.raw_targets)


# --- further files ----------------------------------------------------------------------------------------------------


def test_a_validation_file_may_have_its_columns_in_another_order():
    numbers(20)
    csv("v.csv", "y,b,extra,a", "30,100,7,10")
    part = load(val="v.csv").parts["val"]
    assert (part.x.tolist(), part.y.tolist()) == ([[10, 100]], [[30]])


def test_targets_of_a_further_file_are_found_by_name_too():
    csv("d.csv", "t1,a,t2", "0,5,1", "1,6,0")
    csv("v.csv", "t2,t1,a", "1,0,9")
    part = load(val="v.csv", target=("t1", "t2")).parts["val"]
    assert (part.x.tolist(), part.y.tolist()) == ([[9]], [[0, 1]])


@pytest.mark.parametrize(("header", "missing"), [("a,y", "b"), ("a,b", "y"), ("a,bb,y", "b")])
def test_a_column_that_a_further_file_lacks_is_named(header, missing):
    numbers(20)
    csv("v.csv", header, ",".join("1" for _ in header.split(",")))
    with pytest.raises(DataError, match=rf'v\.csv: no column "{missing}"'):
        load(val="v.csv")


def test_a_class_unseen_in_training_is_an_error_that_names_file_and_row():
    csv("d.csv", "a,kind", "1,x", "2,y")
    csv("v.csv", "a,kind", "1,x", "2,y", "3,z")
    with pytest.raises(DataError, match=r'v\.csv: sample 3 has the class "z".*\(it has "x", "y"\)'):
        load(val="v.csv")


def test_labels_of_a_further_file_are_told_apart_as_in_training():
    """01 and 1 are two classes beside x, and stay so in a file without an x; `none` is a class there too."""
    csv("d.csv", "a,y", "1,01", "2,1", "3,x", "4,none")
    csv("e.csv", "a,y", "1,1", "2,01")
    csv("f.csv", "a,y", "1,none")
    data = load()
    assert data.preparation.classes == ("01", "1", "none", "x")
    assert load_part(data.preparation, Source(Path("e.csv")), PLAN).y.tolist() == [1, 0]
    assert load_part(data.preparation, Source(Path("f.csv")), PLAN).y.tolist() == [2]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (["01", "1", "2"], ("01", "1", "2")),
        (["1.0", "1.00", "2"], ("1.0", "1.00", "2")),
        (["10", "1e1", "9"], ("9", "10", "1e1")),
        (["007", "10", "9"], ("007", "9", "10")),
        (["+1", "-1", "1"], ("-1", "+1", "1")),
        (["1.10", "1.9", "-0"], ("-0", "1.10", "1.9")),
        (["0.0", "1.0"], ("0.0", "1.0")),
        (["9007199254740992", "9007199254740993"], ("9007199254740992", "9007199254740993")),
        (["10", "9", "0.5"], ("0.5", "9", "10")),
    ],
)
@pytest.mark.parametrize("task", [{"task": "classification"}, {"loss_for_classes": True}])
@pytest.mark.parametrize("quote", ["", '"'])
def test_a_class_is_the_text_in_the_file(labels, classes, task, quote):
    """Numbers too: their order is that of the numbers, their names are what the file says."""
    csv("d.csv", "y,a", *(f"{quote}{label}{quote},{k}" for k, label in enumerate(labels)))
    data = load(target="y", **task)
    assert data.preparation.classes == classes
    assert [classes[k] for k in data.parts["train"].y] == labels
    again = load_part(data.preparation, Source(Path("d.csv")), dataclasses.replace(PLAN, target="y", **task))
    assert [classes[k] for k in again.y] == labels


@pytest.mark.parametrize(("trained", "other"), [("1", "1.0"), ("1.0", "1"), ("7", "007"), ("007", "7")])
def test_a_label_of_a_further_file_that_is_written_otherwise_is_an_error_that_names_both(trained, other):
    csv("d.csv", "a,y", f"1,{trained}", "2,2")
    csv("v.csv", "a,y", "2,2", f"1,{other}")
    with pytest.raises(
        DataError,
        match=rf"v\.csv: sample 2 has the class \"{other}\".*so write it as the training data does, \"{trained}\"",
    ):
        load(val="v.csv", task="classification")


def test_labels_with_decimal_commas_are_classes_as_written():
    csv("d.csv", "a;y", "1;0,50", "2;1,5")
    assert load(task="classification", decimal=",").preparation.classes == ("0,50", "1,5")


def test_many_labels_with_fractions_are_no_classes_however_written():
    csv("d.csv", "a,y", *(f"{i},{i}.50" for i in range(30)))
    with pytest.raises(DataError, match=r"30 different numbers with fractions, no classes"):
        load(task="classification")


def test_a_regression_reads_numbers_however_written():
    csv("d.csv", "a,y", "1,01", "2,1.0", "3,1e1")
    assert load(task="regression").parts["train"].y.ravel().tolist() == [1, 1, 10]


def test_a_missing_label_among_numbers_that_are_not_plain_is_dropped():
    csv("d.csv", "a,y", "1,01", "2,?", "3,1", "4,")
    data = load(task="classification", missing="drop")
    assert data.preparation.classes == ("01", "1")
    assert len(data.parts["train"]) == 2


def test_text_in_the_target_of_a_regression_is_reported_with_its_line():
    csv("d.csv", "a,y", "1,3", "2,4x", "3,5")
    with pytest.raises(DataError, match=r'd\.csv:3: column "y": got "4x", expected a number'):
        load(task="regression")
    csv("e.csv", "a,y", "1,3", "2,4", "3,5")
    with pytest.raises(DataError, match=r'd\.csv:3: column "y": got "4x", expected a number'):
        load_part(load(train="e.csv").preparation, Source(Path("d.csv")), PLAN)


def test_labels_of_a_further_file_that_all_look_like_numbers_are_the_same_labels():
    csv("d.csv", "a,kind", "1,1", "2,2", "3,many")
    csv("v.csv", "a,kind", "1,2", "2,1")
    assert load(val="v.csv").parts["val"].y.tolist() == [1, 0]


def test_a_missing_file_is_an_error_that_names_it():
    numbers(20)
    with pytest.raises(DataError, match=r"v\.csv: no such file"):
        load(val="v.csv")


def test_a_further_file_is_prepared_as_the_training_data_was():
    numbers(20)
    csv("t.csv", "b,a,y", "361,19,57")
    plan = dataclasses.replace(PLAN, x_scale="minmax")
    datasets = load_datasets(plan, random_streams(0)["split"])
    part = load_part(datasets.preparation, Source(Path("t.csv")), plan)
    assert part.x.tolist() == [[1, 1]]


def test_features_chosen_by_name_come_in_that_order():
    numbers(3)
    assert load(features=("b", "a")).parts["train"].x.tolist() == [[0, 0], [1, 1], [4, 2]]


# --- rows in messages -------------------------------------------------------------------------------------------------


def test_a_number_too_large_is_reported_with_its_row_of_the_file_whatever_the_split():
    """Sample 20 of the file, the first and only one of the part."""
    numbers(20, last="19,1e39,57")
    with pytest.raises(DataError, match=r"d\.csv: sample 20 holds 1e\+39"):
        load(val=0.05, in_order=True, dtype="float32")


def test_a_target_that_is_neither_yes_nor_no_is_reported_with_its_row_of_the_file_whatever_the_split():
    csv("d.csv", "a,t1,t2", *(f"{i},{i % 2},1" for i in range(19)), "19,0,2")
    with pytest.raises(DataError, match=r"d\.csv: sample 20, target column 2"):
        load(val=0.05, in_order=True, target=("t1", "t2"), loss_for_classes=True)


# --- images -----------------------------------------------------------------------------------------------------------


def idx(name: str, array: np.ndarray) -> None:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    Path(name).write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))


def test_images_stay_bytes_and_labels_become_classes():
    images = np.arange(24, dtype=np.uint8).reshape(4, 2, 3)
    idx("x-idx3-ubyte.gz", images)
    idx("y-idx1-ubyte.gz", np.array([7, 3, 7, 3]))
    source = Source(Path("x-idx3-ubyte.gz"), Path("y-idx1-ubyte.gz"))
    datasets = load(train=source, loss_for_classes=True, val=0.5)
    assert datasets.preparation.classes == ("3", "7")
    assert datasets.preparation.byte_input
    assert datasets.parts["train"].x.dtype == np.uint8
    assert datasets.parts["val"].x.shape == (2, 2, 3)


def test_images_that_are_scaled_become_floats():
    idx("x-idx3-ubyte.gz", np.array([[[0, 255]], [[255, 0]]]))
    idx("y-idx1-ubyte.gz", np.array([0, 1]))
    source = Source(Path("x-idx3-ubyte.gz"), Path("y-idx1-ubyte.gz"))
    x = load(train=source, loss_for_classes=True, x_scale="standard").parts["train"].x
    np.testing.assert_allclose(x.ravel(), [-1, 1, 1, -1])


# --- hashes -----------------------------------------------------------------------------------------------------------


def test_every_file_is_hashed():
    numbers(20)
    csv("v.csv", "a,b,y", "1,2,3")
    assert set(load(val="v.csv").hashes) == {"train: d.csv", "val: v.csv"}


def test_a_hash_changes_with_the_file():
    numbers(20)
    before = load().hashes
    numbers(20, last="1,1,1")
    assert load().hashes != before


def test_files_of_one_name_in_two_folders_are_both_hashed():
    for folder in ("train", "val"):
        Path(folder).mkdir()
        csv(f"{folder}/data.csv", "a,y", *(f"{i},{i}" for i in range(5)))
    before = load(train="train/data.csv", val="val/data.csv").hashes
    csv("train/data.csv", "a,y", *(f"{i},{i + 1}" for i in range(5)))
    assert load(train="train/data.csv", val="val/data.csv").hashes != before


@pytest.mark.parametrize("changes", [{}, {"train": "whole.csv", "val": "d.csv"}], ids=["train", "val"])
def test_a_file_that_is_changed_while_it_is_read(monkeypatch, changes):
    """Else the run would be known by the hash of data that it was not trained on."""
    numbers()
    Path("whole.csv").write_bytes(Path("d.csv").read_bytes())
    hashes = datasets.file_hashes

    def change_then_hash(split, files):
        if files == (Path("d.csv"),):
            numbers(21)
        return hashes(split, files)

    monkeypatch.setattr(datasets, "file_hashes", change_then_hash)
    with pytest.raises(DataError, match="changed while it was read"):
        load(**changes)
