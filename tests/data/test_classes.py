"""Labels as classes: their texts, their indices, and what each class weighs."""

from __future__ import annotations

import time

import numpy as np
import pytest

from bpcli.data.classes import class_indices, class_weights_for, label_texts
from bpcli.errors import DataError


@pytest.mark.parametrize(
    ("labels", "texts"),
    [
        (np.array([3.0, -2.0]), ["3", "-2"]),
        (np.array([0.25, 1e-7]), ["0.25", "1e-07"]),
        (np.array(["a", "3.0"]), ["a", "3.0"]),
        (np.array([3, 4], np.int32), ["3", "4"]),
        (np.array([0.1], np.float32), ["0.10000000149011612"]),
        (np.array([1e20]), ["100000000000000000000"]),
    ],
)
def test_labels_as_text(labels, texts):
    assert label_texts(labels) == texts


def test_labels_become_the_indices_of_their_classes():
    assert class_indices(np.array(["b", "a", "b"]), ("a", "b", "c"), "v.csv").tolist() == [1, 0, 1]


def test_numbers_and_their_texts_are_the_same_labels():
    """A file in which all labels happen to look like numbers is read as numbers."""
    assert class_indices(np.array([1.0, 2.0]), ("1", "2", "x"), "v.csv").tolist() == [0, 1]


def test_a_class_that_training_does_not_have_is_an_error_that_names_the_first_row_with_it():
    with pytest.raises(DataError, match=r'v\.csv: sample 3 has the class "d".*\(it has "a", "b"\)'):
        class_indices(np.array(["b", "a", "d", "c", "d"]), ("a", "b"), "v.csv")


def test_an_unseen_number_is_shown_as_a_label():
    with pytest.raises(DataError, match=r'sample 2 has the class "7"'):
        class_indices(np.array([1.0, 7.0]), ("1", "2"), "v.csv")


def test_only_the_first_classes_are_listed_where_there_are_many():
    with pytest.raises(DataError, match=r'\(it has "0", "1", .*"19", \.\.\.\)'):
        class_indices(np.array([99]), tuple(map(str, range(30))), "v.csv")


def test_many_classes_are_weighed_and_looked_for_in_one_pass():
    start = time.process_time()
    weights = class_weights_for("balanced", tuple(map(str, range(50_000))), np.arange(100_000) % 50_000)
    assert time.process_time() - start < 2
    assert set(weights) == {1.0}
