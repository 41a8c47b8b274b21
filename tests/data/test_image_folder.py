"""Folders of images: the classes are the subfolders, and every image is read to its last byte."""

from __future__ import annotations

import builtins
from pathlib import Path

import numpy as np
import pytest

from bpcli.data.read import read
from bpcli.data.types import Images, RawData, Source
from bpcli.errors import DataError

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(5)


def picture(path: str, shape: tuple[int, ...] = (4, 6)) -> np.ndarray:
    """Writes an image of random bytes, (H, W) or (H, W, 3)."""
    array = RNG.integers(0, 256, shape, np.uint8)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)
    return array


def read_folder(images: Images | None = None, *, need_target: bool = True, folder: str = "pets") -> RawData:
    return read(Source(Path(folder), label=folder), images=images, need_target=need_target)


def test_images_are_read_in_the_order_of_their_paths_with_their_folders_as_classes() -> None:
    b, a, c = (picture(f"pets/{name}.png") for name in ("dog/b", "cat/a", "dog/c"))
    (Path("pets/.DS_Store")).write_bytes(b"x")
    (Path("pets/dog/Thumbs.db")).write_bytes(b"x")
    data = read_folder()
    np.testing.assert_array_equal(data.read_x, [a, b, c])
    assert data.y is not None
    assert data.y.tolist() == ["cat", "dog", "dog"]
    assert data.read_x.dtype == np.uint8


def test_images_in_colour_have_channels_first() -> None:
    first, second = picture("pets/cat/a.png", (4, 6, 3)), picture("pets/dog/b.png", (4, 6, 3))
    np.testing.assert_array_equal(read_folder().read_x, np.moveaxis([first, second], -1, 1))


@pytest.mark.parametrize(("mode", "shape"), [("auto", (2, 4, 6)), ("grey", (2, 4, 6)), ("rgb", (2, 3, 4, 6))])
def test_the_mode_says_whether_colours_are_kept(mode, shape) -> None:
    grey = picture("pets/cat/a.png")
    picture("pets/dog/b.png", (4, 6, 3))
    x = read_folder(Images(mode=mode)).read_x
    assert x.shape == shape
    np.testing.assert_array_equal(x[0] if mode != "rgb" else x[0, 2], grey)


def test_images_of_other_sizes_are_refused_or_resized() -> None:
    picture("pets/cat/a.png", (4, 6))
    picture("pets/dog/b.png", (9, 9))
    with pytest.raises(DataError) as caught:
        read_folder()
    assert str(caught.value) == (
        "pets/dog/b.png: has 9 x 9 pixels, a.png has 6 x 4: images must be of one size; "
        "data.images: {size: [4, 6]} resizes them all"
    )
    assert read_folder(Images(size=(8, 5))).read_x.shape == (2, 8, 5)


def test_a_jpeg_is_turned_as_its_camera_says() -> None:
    image = Image.fromarray(np.tile(np.arange(0, 240, 10, dtype=np.uint8), (16, 1)))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Path("pets/cat").mkdir(parents=True)
    image.save("pets/cat/a.jpg", exif=exif)
    assert read_folder(need_target=False).read_x.shape == (1, 24, 16)


def test_a_flat_folder_has_no_classes() -> None:
    picture("new/a.png")
    assert read_folder(folder="new", need_target=False).y is None
    with pytest.raises(DataError, match=r"new: holds a\.png beside it: put each image into its class's folder"):
        read_folder(folder="new")


@pytest.mark.parametrize("name", ["pets/notes.txt", "pets/cat/x.bmp", "pets/cat/deeper/a.png"])
def test_another_file_is_told(name: str) -> None:
    picture("pets/cat/a.png")
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_bytes(b"x")
    with pytest.raises(DataError, match=r"pets: expected PNG and JPEG files in subfolders of the classes' names, it"):
        read_folder()


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_a_damaged_image_is_told(content: bytes) -> None:
    picture("pets/cat/a.png")
    Path("pets/cat/b.png").write_bytes(content)
    with pytest.raises(DataError, match=r"pets/cat/b\.png: cannot be read as a PNG or JPEG image"):
        read_folder()


def test_a_cut_image_is_told() -> None:
    picture("pets/cat/a.png", (200, 200))
    content = Path("pets/cat/a.png").read_bytes()
    Path("pets/cat/a.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=r"pets/cat/a\.png: cannot be read"):
        read_folder()


def test_more_than_8_bits_are_told() -> None:
    Path("pets/cat").mkdir(parents=True)
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save("pets/cat/a.png")
    with pytest.raises(DataError, match=r"pets/cat/a\.png: has more than 8 bits for each pixel"):
        read_folder()


def test_without_pillow_it_is_said_how_to_get_it(monkeypatch) -> None:
    picture("pets/cat/a.png")
    honest = builtins.__import__

    def without(module: str, *rest):
        if module.split(".")[0] == "PIL":
            raise ImportError(module)
        return honest(module, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DataError, match=r"images are read with Pillow: pip install 'bpcli\[images\]'"):
        read_folder()


CONFIG = """\
data: {train: pets, val: more, images: {size: [8, 8]}}
network:
  layers:
    - {type: conv2d, filters: 4, kernel: 3, activation: relu}
    - flatten
    - {type: dense, units: 2}
loss: log_likelihood
training: {epochs: 3}
"""


def test_a_network_is_trained_on_folders_and_tells_the_classes_of_others(ok, cli) -> None:
    for k in range(6):
        for name in ("light", "dark"):
            for folder in ("pets", "more"):
                picture(f"{folder}/{name}/{k}.png", (10, 10, 3))
    Path("c.yaml").write_text(CONFIG)
    ok("train", "c.yaml", "--quiet")
    assert "light" in ok("eval", "runs/c").out
    Path("new").mkdir()
    for name in ("b", "a"):
        picture(f"new/{name}.png", (12, 12))
    lines = ok("predict", "runs/c", "new").out.splitlines()
    assert lines[0] == "prediction,p_dark,p_light"
    assert len(lines) == 3
    picture("pets/light/7.png", (10, 10, 3))
    result = cli("eval", "runs/c")
    assert (result.code, "the data files have changed" in result.err) == (4, True)
