"""The bytes of a CSV file, pipe or stdin in blocks of whole lines, of which the first can be looked at beforehand.

Nothing is read twice, so that what comes through a pipe is read as a file is.
"""

from __future__ import annotations

import io
from codecs import BOM_UTF8
from typing import BinaryIO

HEAD_BYTES = 4 << 20
LONGEST_LINE = 16 << 20  # characters
_BLOCK = 1 << 20
_MOST_BYTES = 4 * LONGEST_LINE  # of a line in UTF-8


class LineBlocks:
    """Reads `file`, without its byte order mark."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._ended = False
        self._rest = b""
        self._fill(len(BOM_UTF8))
        self._rest = self._rest.removeprefix(BOM_UTF8)

    def head(self) -> bytes:
        """The first 4 MB, and in any case line 1; they are still to be read."""
        self._fill(HEAD_BYTES)
        while b"\n" not in self._rest and len(self._rest) < _MOST_BYTES and not self._ended:
            self._fill(2 * len(self._rest))
        return self._rest

    def read(self) -> bytes:
        """The next whole lines, about 1 MB of them; empty at the end. A line that is far too long comes in parts."""
        wanted = _BLOCK
        while True:
            self._fill(wanted)
            end = len(self._rest) if len(self._rest) < wanted else _end_of_lines(self._rest, wanted)
            if end or not self._rest or wanted > _MOST_BYTES:
                end = end or wanted
                block, self._rest = self._rest[:end], self._rest[end:]
                return block
            wanted *= 2

    @property
    def is_at_end(self) -> bool:
        """Whether there is no further block."""
        self._fill(1)
        return not self._rest

    def _fill(self, size: int) -> None:
        """Reads on until at least `size` bytes are held, or there are no more."""
        while len(self._rest) < size and not self._ended:
            got = self._file.read(size - len(self._rest))
            self._ended = not got
            self._rest += got


class TextLines:
    """The lines of a block, and of those that follow if they are asked for."""

    def __init__(self, block: bytes, blocks: LineBlocks) -> None:
        self._blocks = blocks
        self._open(block)

    def _open(self, block: bytes) -> None:
        text = block.decode("utf-8", "surrogateescape")
        self._text, self._size = io.StringIO(text, newline=""), len(text)

    def readline(self, most: int) -> str:
        """The next line with its end, at most so many characters of it; empty at the end of all blocks."""
        line = self._text.readline(most)
        if line:
            return line
        block = self._blocks.read()
        if not block:
            return ""
        self._open(block)
        return self._text.readline(most)

    @property
    def block_is_read(self) -> bool:
        """Whether the last line was the last one of a block."""
        return self._text.tell() == self._size


def _end_of_lines(data: bytes, size: int) -> int:
    """Where the last whole line among the first `size` bytes ends; 0 if none does."""
    return data.rfind(b"\n", 0, size) + 1 or data.rfind(b"\r", 0, size - 1) + 1  # a line feed may follow a last CR
