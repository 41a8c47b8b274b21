"""Writing for whoever reads: the result on stdout, what goes on beside it on stderr."""

from __future__ import annotations

import io
import os
import select
import stat
import sys
from pathlib import Path
from typing import TextIO

from bpcli.errors import DiskError
from bpcli.text import printable


def write(text: str, *, end: str = "\n") -> None:
    """Writes the result to stdout. A reader that has gone, as `head` does, ends the command without a fuss.

    Raises:
        DiskError: stdout cannot be written.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that knows ASCII only
    try:
        _write(sys.stdout, text + end)
    except BrokenPipeError:
        let_go_of_stdout()
        sys.exit(0)
    except OSError as error:
        let_go_of_stdout()
        raise DiskError(f"cannot write to stdout: {error.strerror or error}") from error


def write_data(text: str) -> None:
    """Writes data to stdout as it is; on a terminal, with what cannot be seen or moves the cursor as its escape."""
    if sys.stdout.isatty():
        text = "\n".join(map(printable, text.split("\n")))
    write(text, end="")


def notify(text: str) -> None:
    """Writes a note, one line, to stderr; where nobody can read it, work goes on.

    It may name a file or quote what a file holds: what cannot be seen, or breaks the line, is shown as its escape.
    """
    text = printable(text)
    try:
        if "tqdm" in sys.modules:  # a bar may be on the line: it is taken away first and put back below
            sys.modules["tqdm"].tqdm.write(text, file=sys.stderr)
            return
        _write(sys.stderr, text + "\n")
    except OSError:
        pass


def _write(stream: TextIO, text: str) -> None:
    """Writes all of the text. A pipe that does not block takes a part at a time: Python drops what it did not take."""
    try:
        number = stream.fileno()
        blocks = os.get_blocking(number)
    except (AttributeError, io.UnsupportedOperation):  # Windows before Python 3.12; a stream that is no file
        blocks = True
    if blocks:
        stream.write(text)
        stream.flush()
        return
    stream.flush()
    left = memoryview(text.encode(stream.encoding, stream.errors or "strict"))
    while left:
        try:
            left = left[os.write(number, left) :]
        except BlockingIOError:
            select.select([], [number], [])


def let_go_of_stdout() -> None:
    """What is still in the buffer goes nowhere, so that the interpreter's own flush at exit cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fill_closed_streams() -> None:
    """Puts a sink where the shell closed stdin, stdout or stderr, as `>&-` does.

    Else the next file that is opened, a checkpoint perhaps, would get the number of the closed one.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            sink = os.open(os.devnull, os.O_RDWR)
            os.dup2(sink, number)
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115
            if sink != number:
                os.close(sink)


def write_output(path: Path, content: bytes) -> None:
    """Writes a file: a regular one is replaced whole or not at all, a device or pipe is written to, a link followed.

    Raises:
        DiskError: it cannot be written.
    """
    from bpcli.runs.files import disk_errors, void
    from bpcli.runs.held import write_atomically

    with disk_errors(f"cannot write {path}"):
        try:
            is_file = stat.S_ISREG(path.stat().st_mode)
        except FileNotFoundError:
            is_file = True
        if not is_file:
            path.write_bytes(content)
            return
        target = Path(os.path.realpath(path))
    write_atomically(target, lambda file: void(file.write(content)), notify)
