"""Makes the files of datasets/ from their sources, so that anyone can see where each number comes from.

Needs scikit-learn, which carries the four real data sets, so nothing is downloaded; bpcli does not need it.
Last run with Python 3.11.7, scikit-learn 1.9.1 and NumPy 2.4.6:

    python tests/tools/make_datasets.py            writes the files
    python tests/tools/make_datasets.py --check    writes nothing; exits 1 if a file is missing or differs
"""

import argparse
import gzip
import io
import math
import random
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from sklearn import datasets
from sklearn.utils import Bunch

FOLDER = Path(__file__).resolve().parents[2] / "datasets"

# Small enough to be read here. The text is the file, to the letter.
BY_HAND = {
    "xor.csv": "x1,x2,y\n0,0,0\n0,1,1\n1,0,1\n1,1,0\n",
    "xor-bias-free.csv": "x1,x2,x3,y\n0,0,1,0\n1,1,1,1\n1,0,1,1\n0,1,1,0\n",
    "textbook-2-2-2.csv": "x1,x2,t1,t2\n0.05,0.10,0.01,0.99\n",
    "or.csv": "x1,x2,y\n0,0,0\n0,1,1\n1,0,1\n1,1,1\n",
    "and.csv": "x1,x2,y\n0,0,0\n0,1,0\n1,0,0\n1,1,1\n",
}


def csv(header: Sequence[str], columns: Iterable[Sequence[str]]) -> str:
    """The text of a CSV file; no cell of ours needs quotes."""
    rows = [header, *zip(*columns, strict=True)]
    return "".join(",".join(row) + "\n" for row in rows)


def numbers(column: np.ndarray) -> list[str]:
    """The shortest text that reads back as the same float64; integers where the whole column is integers."""
    whole = bool(np.all(column == np.round(column)))
    return [repr(int(v)) if whole else repr(float(v)) for v in column]


def labels(source: Bunch) -> list[str]:
    return [str(source.target_names[i]) for i in source.target]


def iris() -> str:
    source = datasets.load_iris()
    header = ["sepal_length", "sepal_width", "petal_length", "petal_width", "species"]
    return csv(header, [*map(numbers, source.data.T), labels(source)])


def digits() -> str:
    source = datasets.load_digits()
    header = [f"p{row}{column}" for row in range(8) for column in range(8)] + ["digit"]
    return csv(header, [*map(numbers, source.data.T), numbers(source.target)])


def breast_cancer() -> str:
    source = datasets.load_breast_cancer()
    header = [str(name).replace(" ", "_") for name in source.feature_names] + ["diagnosis"]
    return csv(header, [*map(numbers, source.data.T), labels(source)])


def diabetes() -> str:
    source = datasets.load_diabetes(scaled=False)
    return csv([*source.feature_names, "progression"], [*map(numbers, source.data.T), numbers(source.target)])


def spirals(points_per_arm: int = 200, turns: float = 1.75, noise: float = 0.02, seed: int = 0) -> str:
    """Two arms of radius 0.1 to 1, one the other turned by 180 degrees, Gaussian noise on both coordinates.

    Python's own generator and four decimals, because NumPy does not promise the same stream in every version.
    """
    rng = random.Random(seed)
    rows = []
    for i in range(points_per_arm):
        # the square root spreads the points evenly along the arm instead of crowding them at the centre
        radius = math.sqrt(0.01 + 0.99 * i / (points_per_arm - 1))
        for arm, start in (("left", math.pi), ("right", 0.0)):
            angle = start + 2 * math.pi * turns * radius
            x1 = radius * math.cos(angle) + rng.gauss(0, noise)
            x2 = radius * math.sin(angle) + rng.gauss(0, noise)
            rows.append((repr(round(x1, 4)), repr(round(x2, 4)), arm))
    return csv(["x1", "x2", "arm"], zip(*rows, strict=True))


def all_files() -> dict[str, str]:
    return BY_HAND | {
        "iris.csv": iris(),
        "digits.csv.gz": digits(),
        "breast-cancer.csv": breast_cancer(),
        "diabetes.csv": diabetes(),
        "spirals.csv": spirals(),
    }


def write(path: Path, text: str) -> None:
    data = text.encode()
    if path.suffix == ".gz":
        buffer = io.BytesIO()
        with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as file:
            file.write(data)
        data = buffer.getvalue()
    path.write_bytes(data)


def difference(path: Path, text: str) -> str | None:
    """What is wrong with the file, or None. Of a .gz the content counts: zlib builds compress differently."""
    if not path.exists():
        return "is missing"
    data = path.read_bytes()
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError) as error:  # not gzip, or cut short
            return f"cannot be unpacked: {error}"
    if data == text.encode():
        return None
    want, got = text.encode().splitlines(keepends=True), data.splitlines(keepends=True)
    same = next((i for i, (a, b) in enumerate(zip(want, got, strict=False)) if a != b), min(len(want), len(got)))
    return f"differs from line {same + 1} on"


def main() -> int:
    parser = argparse.ArgumentParser(description="Make the files of datasets/ from their sources.")
    parser.add_argument("--check", action="store_true", help="compare instead of writing; exit 1 on a difference")
    check = parser.parse_args().check
    wrong = 0
    for name, text in all_files().items():
        path = FOLDER / name
        if not check:
            write(path, text)
        elif problem := difference(path, text):
            print(f"datasets/{name} {problem}", file=sys.stderr)
            wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
