"""Images drawn with characters."""

from __future__ import annotations

import numpy as np
import pytest

from bpcli.views.pictures import ASCII, pictures


def test_two_pixels_one_above_the_other_make_a_character():
    image = np.array([[[1.0, 0.0, 0.5], [1.0, 0.0, 0.5], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0]]])
    assert pictures(image, [""], width=10) == "█ ▒\n▒█"
    assert pictures(image, [""], width=10, shades=ASCII) == "# :\n:#"


@pytest.mark.parametrize(("width", "images"), [(9, 2), (14, 4), (26, 6)])
def test_as_many_images_are_drawn_as_fit_in_two_rows(width, images):
    drawn = pictures(np.ones((6, 4, 6)), list("abcdef"), width=width)
    assert drawn.count("██████") == 2 * images
    assert max(map(len, drawn.splitlines())) <= width
    assert [name for name in "abcdef" if name in drawn] == list("abcdef")[:images]


def test_an_image_wider_than_the_terminal_is_drawn_smaller():
    """Four pixels to a character; the 13th covers two white and two black ones."""
    image = np.zeros((1, 8, 100))
    image[:, :, :50] = 1.0
    assert pictures(image, ["left"], width=25).splitlines() == ["█" * 12 + "▒", "left"]


def test_an_odd_last_row_is_the_mean_of_what_there_is():
    assert pictures(np.ones((1, 3, 2)), [""], width=10) == "██\n██"


def test_captions_are_printable_and_no_wider_than_their_image():
    assert pictures(np.ones((1, 2, 6)), ["\x1b[2J a long name"], width=10).splitlines()[1] == "\\x1..."
