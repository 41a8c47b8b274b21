"""What a network gets of a column's values, number by number."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest

from bpcli.data.scaling import Scaler, smooth_clip
from bpcli.data.transforms import Fill, Indicator, OneHot, PartOfDate, Scale, SmoothClip, TwoValued, transforms

NAN = np.nan


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, None]


@pytest.mark.parametrize(
    ("transform", "values", "inputs"),
    [
        (Fill(value=7.0), (1, NAN), [[1], [7]]),
        (Indicator(), (1, NAN), [[0], [1]]),
        (OneHot(count=3), (0, 2, -1, NAN), [[1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]]),
        (TwoValued(), (0, 1, -1, NAN), [[-1], [1], [0], [0]]),
        (Scale(shift=(2.0,), factor=(0.5,)), (2, 6, NAN), [[0], [2], [NAN]]),
        (SmoothClip(), (0, 3, -3, 1e308), [[0], [3 / np.sqrt(2)], [-3 / np.sqrt(2)], [3]]),
    ],
)
def test_values_become_these_inputs(transform, values, inputs) -> None:
    np.testing.assert_allclose(transform.apply(column(*values)), inputs, rtol=1e-15)


def test_smooth_clip_is_its_formula() -> None:
    x = np.linspace(-50, 50, 1001)
    np.testing.assert_allclose(smooth_clip(x), x / np.sqrt(1 + (x / 3) ** 2), rtol=1e-14, atol=0)


def test_robust_scaling_goes_by_median_and_quartiles() -> None:
    """A column with quartiles apart, one whose middle half is all alike, and one that never varies."""
    x = np.array([[1.0, 0, 4], [2, 0, 4], [3, 0, 4], [4, 0, 4], [100, 10, 4]])
    scaler = Scaler.robust(x)
    np.testing.assert_array_equal(scaler.shift, [3, 0, 4])
    np.testing.assert_array_equal(scaler.scale, [2, 5, 1])
    np.testing.assert_allclose(scaler.apply(x)[:, 0], smooth_clip((x[:, 0] - 3) / 2))
    np.testing.assert_array_equal(scaler.apply(x)[:, 2], 0)


@pytest.mark.parametrize("part", ["year", "month", "day", "weekday", "hour", "yearday", "elapsed"])
def test_parts_of_dates_are_those_of_the_calendar(part: str) -> None:
    moments = [datetime(1903, 2, 27, 5) + timedelta(hours=7_919 * k) for k in range(200)]
    days = column(*((moment - datetime(1970, 1, 1)) / timedelta(days=1) for moment in moments))
    expected = {
        "year": lambda m: [m.year],
        "month": lambda m: angle((m.month - 1) / 12),
        "day": lambda m: angle((m.day - 1) / 31),
        "weekday": lambda m: angle(m.weekday() / 7),
        "hour": lambda m: angle(m.hour / 24),
        "yearday": lambda m: angle((m.timetuple().tm_yday - 1) / 365.25),
        "elapsed": lambda m: [(m - datetime(1970, 1, 1)) / timedelta(days=1)],
    }[part]
    made = PartOfDate(part=part).apply(days)
    np.testing.assert_allclose(made, [expected(moment) for moment in moments], atol=1e-9)


def angle(turns: float) -> list[float]:
    return [np.sin(2 * np.pi * turns), np.cos(2 * np.pi * turns)]


@pytest.mark.parametrize("part", ["year", "month"])
def test_a_missing_date_stays_missing_in_its_parts(part: str) -> None:
    made = PartOfDate(part=part).apply(column(0.0, NAN))
    assert not np.isnan(made[0]).any()
    assert np.isnan(made[1]).all()


@pytest.mark.parametrize(
    "transform",
    [
        Fill(value=1.0),
        Indicator(),
        OneHot(count=4),
        TwoValued(),
        PartOfDate(part="month"),
        PartOfDate(part="year"),
        Scale(shift=(0.0,), factor=(1.0,)),
        SmoothClip(),
    ],
    ids=lambda transform: type(transform).__name__,
)
def test_there_is_a_name_for_each_input(transform) -> None:
    categories = tuple("abcd") if isinstance(transform, OneHot) else ()
    for rows in (0, 3):
        made = transform.apply(np.zeros((rows, 1)))
        assert made.shape == (rows, len(transform.names(["c"], categories)))


def test_every_transform_is_tried_here() -> None:
    assert set(transforms.names()) == {
        "fill",
        "indicator",
        "one_hot",
        "two_valued",
        "date_part",
        "scale",
        "smooth_clip",
    }
