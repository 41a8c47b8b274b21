"""Reading a data file, or a pair of them, whatever its kind.

`read` looks at the kind of file and hands over to its reader. Every problem with a file's content, its name
or the operating system's refusal to read it leaves as a DataError.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Literal

from bpcli.data.image_folder import holds_images, read_images
from bpcli.data.stored import is_gzip, is_zipped_csv, opened
from bpcli.data.table_file import is_converted
from bpcli.data.types import ColumnKind, Images, Missing, Names, RawData, Source, Targets
from bpcli.errors import DataError
from bpcli.text import did_you_mean, listed

Kind = Literal["csv", "npz", "npy", "idx", "images"]

_URL_SCHEME = re.compile(r"(?:https?|ftp|s3|gs|file):")
_ENDINGS: dict[str, Kind] = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".npz": "npz", ".npy": "npy"}
_KNOWN = (
    ".csv .tsv .txt (each also .gz), .parquet .feather .xlsx, .zip with one CSV file, .npz, .npy, IDX (-ubyte, also "
    ".gz) and folders of PNG or JPEG images"
)


def read(
    source: Source,
    *,
    features: Names = None,
    target: Names = None,
    header: bool | None = None,
    need_target: bool = True,
    missing: Missing = "error",
    decimal: str = ".",
    targets: Targets = "any",
    exclude: Sequence[str] = (),
    columns: Mapping[str, ColumnKind] | None = None,
    group: str | None = None,
    images: Images | None = None,
) -> RawData:
    """Everything `source` holds, by the kind of file: `csv_file`, `npz_file` and `idx_file` give the rules.

    features, target: column names (CSV) or an array's name (npz). None: CSV takes the last column as target
        and all others as features, npz the arrays `x` and `y`; CSV without need_target takes all columns as
        features. npy and IDX files have no names.
    header: CSV only; whether line 1 names the columns. None: it does if no cell of it reads as a number.
    need_target: if False (prediction), y may be absent and is then None.
    missing: `error` refuses missing values; `drop` reads them all, `mean` and `median` those of x.
    decimal: CSV only; the decimal mark, a point or a comma.
    targets: CSV only; what a single target column holds. `any`: numbers if all of them are such, else labels.
        `classes`: the same, but numbers that are not all plain (01, 1.0, 1e1) are labels too, so that none is lost.
    exclude: CSV only; columns that are no features. columns: CSV only; the kinds of columns, None for numbers alone.
        group: CSV only; the column of the samples' groups. images: folders of images only; how they are read.

    Raises:
        DataError: the file is missing, unreadable, damaged, of no known kind, or lacks what was asked for.
    """
    from bpcli.data import (
        csv_file,
        idx_file,
        npz_file,
    )  # late: csv and zipfile cost the start of every command

    label = source.label or ", ".join(map(str, source.paths))
    try:
        kind = kind_of(source.paths, label, is_argument=source.is_argument)
        if kind != "csv" and (exclude or columns or group):
            key = "exclude" if exclude else "columns" if columns else "group"
            raise DataError(f"{label}: has no named columns, which data.{key} is for; leave it out")
        if kind == "csv" and is_converted(source.x):
            header, decimal = True, "."
        if images is not None and kind != "images":
            raise DataError(f"{label}: is no folder of images, which data.images is for; leave it out")
        if kind in ("csv", "npz"):
            _refuse_a_pair(source, label)
        elif source.is_argument and not isinstance(features, (str, NoneType)):
            raise DataError(f"{label}: has no names of columns; the network was trained on {listed(features)}")
        else:
            _refuse_names(features, target, label)
            if kind != "images":
                _ask_for_y(source, label, kind, need_target)
        match kind:
            case "csv":
                return csv_file.read_csv(
                    source.x,
                    label,
                    features,
                    target,
                    header=header,
                    need_target=need_target,
                    missing=missing,
                    decimal=decimal,
                    targets=targets,
                    is_argument=source.is_argument,
                    exclude=exclude,
                    columns=columns,
                    group=group,
                )
            case "npz":
                return npz_file.read_npz(source.x, label, features, target, need_target, missing)
            case "npy":
                return npz_file.read_npy(source.x, source.y, label, missing)
            case "idx":
                return idx_file.read_idx(source.x, source.y, label)
            case "images":
                return read_images(source.x, label, images or Images(), need_target=need_target)
    except OSError as error:
        raise DataError(f"{label}: cannot be read: {error.strerror or error}") from error
    except MemoryError as error:
        raise DataError(f"{label}: does not fit into memory; use fewer rows or columns") from error


def is_table(source: Source) -> bool:
    """Whether it is a CSV file, or another one that is read as such.

    Raises:
        DataError: the file is missing, empty or of no known kind.
    """
    return kind_of(source.paths, source.label, is_argument=source.is_argument) == "csv"


def missing_files(source: Source) -> list[str]:
    """What to say of each file of a source that is not there."""
    return [_why_no_file(path, is_argument=source.is_argument) for path in source.paths if not _can_be_read(path)]


def _can_be_read(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and holds_images(path))


def kind_of(paths: tuple[Path, ...], label: str, *, is_argument: bool) -> Kind:
    """The kind of a file, by its name or what it begins with.

    Raises:
        DataError: it is not there, empty, or of another kind; of two, they are not of the same.
    """
    kinds = []
    for path in paths:
        if path.is_dir() and holds_images(path) and len(paths) == 1:
            return "images"
        if not path.is_file():
            raise DataError(_why_no_file(path, is_argument=is_argument))
        if path.stat().st_size == 0:  # as those of /proc are, which may have no end, or wait for ever
            raise DataError(f"{path}: the file is empty")
        kinds.append(_kind_by_name(path) or _kind_by_content(path))
        if kinds[-1] is None:
            older = "; save it as .xlsx or CSV" if path.suffix.lower() in (".xls", ".ods") else ""
            raise DataError(f"{path}: not a kind of data file bpcli knows; it reads {_KNOWN}{older}")
    first = kinds[0]
    if first is None or len(set(kinds)) > 1:
        raise DataError(f"{label}: x is a {kinds[0]} file and y a {kinds[1]} file; both must be npy or both IDX")
    return first


def _kind_by_name(path: Path) -> Kind | None:
    if is_converted(path) or is_zipped_csv(path):
        return "csv"
    name = path.name.lower()
    zipped = name.endswith(".gz")
    name = name.removesuffix(".gz")
    kind = _ENDINGS.get(Path(name).suffix)
    if kind is not None and (kind == "csv" or not zipped):
        return kind
    return "idx" if "idx" in name or name.endswith("-ubyte") else None


def _kind_by_content(path: Path) -> Kind | None:
    with opened(path) as file:
        magic = file.read(6)
    if magic[:2] == b"\0\0" and len(magic) == 6:
        return "idx"
    if is_gzip(path):
        return None
    return "npy" if magic == b"\x93NUMPY" else "npz" if magic[:4] == b"PK\x03\x04" else None


def _why_no_file(path: Path, *, is_argument: bool) -> str:
    if any(_URL_SCHEME.fullmatch(part) for part in path.parts):
        return f"{path}: a URL, and data are read from files alone: download it, and name the file"
    if path.is_dir():
        return f"{path}: a folder, not a file{_instead_of_folder(path)}"
    if path.exists():
        return f"{path}: not a file but a device, pipe or socket; name a data file"
    if path.is_symlink():
        return f"{path}: a link that leads to no file"
    folder, elsewhere = path.parent, _from_the_current_folder(path, is_argument=is_argument)
    if not folder.is_dir():
        return f"{path}: no such file: there is no folder {folder}{elsewhere}"
    names = sorted(entry.name for entry in folder.iterdir())
    return f"{path}: no such file{elsewhere or did_you_mean(path.name, names)}"


def _instead_of_folder(folder: Path) -> str:
    """What to name instead of a folder without PNG and JPEG images, by what is in it."""
    return f"; name a data file in it; it holds {listed(entry.name for entry in sorted(folder.iterdir()))}"


def _from_the_current_folder(path: Path, *, is_argument: bool) -> str:
    """What to say where the end of a relative path leads to a file from the current folder; empty where it does not."""
    if path.is_absolute():
        return ""
    for start in range(1, len(path.parts)):
        end = Path(*path.parts[start:])
        if end.is_file():
            if is_argument:
                return f"; there is {end} in the current folder"
            written = Path(*[".."] * start, end)
            return f"; paths in a config start at the config's own folder: for {end} in the current one write {written}"
    return ""


def _refuse_a_pair(source: Source, label: str) -> None:
    if source.y is not None and source.is_argument:
        raise DataError(f"{label}: a csv or npz file holds x and y together; give --data once")
    if source.y is not None:
        raise DataError(f"{label}: a csv or npz file holds x and y together; give one path, not {{x: ..., y: ...}}")


def _refuse_names(features: Names, target: Names, label: str) -> None:
    if features is not None or target is not None:
        raise DataError(f"{label}: npy and IDX files have no names; leave out data.features and data.target")


def _ask_for_y(source: Source, label: str, kind: Kind, need_target: bool) -> None:
    if source.y is None and need_target:
        ending = ".npy" if kind == "npy" else "-idx-ubyte.gz"
        if source.is_argument:
            raise DataError(f"{label}: holds one array; give the labels too: --data {source.x} --data LABELS{ending}")
        raise DataError(f"{label}: holds one array; give a pair, {{x: {source.x.name}, y: LABELS{ending}}}")
