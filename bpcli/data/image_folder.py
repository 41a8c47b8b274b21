"""A folder of images: one subfolder for each class, with its images as PNG or JPEG files.

Images are read in the order of their paths. All must be of one size, or are resized to the one that the config gives. A
folder without subfolders holds images without classes, such as new ones to be classified.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bpcli.data.types import Images, RawData
from bpcli.errors import DataError
from bpcli.text import MOST_LISTED, listed

ENDINGS = (".png", ".jpg", ".jpeg")
_LEFT_BY_SYSTEMS = frozenset({"thumbs.db", "desktop.ini"})

Bytes = npt.NDArray[np.uint8]


def holds_images(folder: Path) -> bool:
    """Whether there are images in the folder, or in a folder in it."""
    entries = sorted(folder.iterdir())
    folders = [entry for entry in entries if entry.is_dir() and not entry.is_symlink() and os.access(entry, os.R_OK)]
    inside = [path for entry in folders[:MOST_LISTED] for path in list(entry.iterdir())]
    return any(path.name.lower().endswith(ENDINGS) for path in (*entries, *inside))


def read_images(folder: Path, label: str, images: Images, *, need_target: bool) -> RawData:
    """x: uint8 (N, H, W), in colour (N, 3, H, W); y (N,): the names of the subfolders, None if there are none.

    Raises:
        DataError: Pillow is not installed; a file is no image, or of another size; classes are needed, and there are
            no subfolders.
    """
    files = image_files(folder)
    if not files:
        raise DataError(f"{label}: holds no PNG or JPEG images, in subfolders of the classes' names")
    classes = [path.parent.name if path.parent != folder else "" for path in files]
    if need_target and not all(classes):
        raise DataError(
            f"{label}: holds {files[classes.index('')].name} beside it: put each image into its class's folder"
        )
    mode = images.mode
    arrays: list[Bytes] = []
    for path in files:
        array, is_grey = _read(path, images.size, mode)
        mode = ("grey" if is_grey else "rgb") if mode == "auto" else mode
        if arrays and array.shape != arrays[0].shape:
            raise DataError(
                f"{path}: has {_size(array)} pixels, {files[0].name} has {_size(arrays[0])}: images must be of one "
                f"size; data.images: {{size: [{arrays[0].shape[-2]}, {arrays[0].shape[-1]}]}} resizes them all"
            )
        arrays.append(array)
    y = np.array(classes) if all(classes) else None
    return RawData(label, np.stack(arrays), y, None, None, (folder,))


def image_files(folder: Path) -> list[Path]:
    """The images in the folder and its subfolders, by their paths; what systems leave in folders is not looked at.

    Raises:
        DataError: there is another file, or a folder in a subfolder.
    """
    found = []
    for path in sorted(folder.iterdir()):
        found += sorted(path.iterdir()) if path.is_dir() else [path]
    files = [path for path in found if not path.name.startswith(".") and path.name.lower() not in _LEFT_BY_SYSTEMS]
    others = [path for path in files if not path.name.lower().endswith(ENDINGS) or not path.is_file()]
    if others:
        names = listed((str(path.relative_to(folder)) for path in others), 5)
        raise DataError(f"{folder}: expected PNG and JPEG files in subfolders of the classes' names, it holds {names}")
    return files


def _read(path: Path, size: tuple[int, int] | None, mode: str) -> tuple[Bytes, bool]:
    """The image, uint8 (H, W) or (3, H, W), and whether the file is grey."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise DataError(f"{path}: images are read with Pillow: pip install 'bpcli[images]'") from error
    try:
        with Image.open(path, formats=("PNG", "JPEG")) as file:
            is_grey = file.mode in ("1", "L", "LA")
            if file.mode.startswith(("I", "F")):
                raise DataError(f"{path}: has more than 8 bits for each pixel, {file.mode}; save it with 8")
            image: Any = ImageOps.exif_transpose(file)
            image = image.convert("L" if mode == "grey" or (mode == "auto" and is_grey) else "RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path}: cannot be read as a PNG or JPEG image: {' '.join(str(error).split())[:200]}"
        ) from error
    if size is not None:
        height, width = size
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    array: Bytes = np.asarray(image, np.uint8)
    return (array if array.ndim == 2 else np.ascontiguousarray(np.moveaxis(array, -1, 0))), is_grey


def _size(array: Bytes) -> str:
    return f"{array.shape[-1]} x {array.shape[-2]}"
