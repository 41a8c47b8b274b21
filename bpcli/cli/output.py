"""Output of the commands: results on stdout, notes and warnings on stderr."""

from __future__ import annotations

import io
import os
import select
import stat
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, TextIO

from bpcli.errors import DiskError


def write(text: str, *, end: str = "\n") -> None:
    """Writes the result to stdout. If the reader has closed the pipe, as `head` does, the command exits with code 0.

    Raises:
        DiskError: stdout cannot be written.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for a terminal limited to ASCII
    try:
        _write(sys.stdout, text + end)
    except BrokenPipeError:
        let_go_of_stdout()
        sys.exit(0)
    except OSError as error:
        let_go_of_stdout()
        raise DiskError(f"cannot write to stdout: {error.strerror or error}") from error


def write_data(text: str) -> None:
    """Writes data to stdout unchanged; on a terminal, with control and invisible characters escaped."""
    if sys.stdout.isatty():
        from bpcli.text import printable

        text = "\n".join(map(printable, text.split("\n")))
    write(text, end="")


def notify(text: str) -> None:
    """Writes a note, one line, to stderr; write errors are ignored.

    The text may contain a file's name or content: line breaks, control and invisible characters are escaped.
    """
    from bpcli.text import printable  # late: --help and epochs-calc have no notes

    text = printable(text)
    try:
        if "tqdm" in sys.modules:  # clears a progress bar first and redraws it below
            sys.modules["tqdm"].tqdm.write(text, file=sys.stderr)
            return
        _write(sys.stderr, text + "\n")
    except OSError:
        pass


def _write(stream: TextIO, text: str) -> None:
    """Writes all of the text. A non-blocking pipe accepts a part at a time, and Python would drop the rest."""
    try:
        number = stream.fileno()
        blocks = os.get_blocking(number)
    except (AttributeError, io.UnsupportedOperation):  # Windows before Python 3.12; a stream without a file
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
    """Discards what is still in the buffer, so that the interpreter's flush at exit cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def fill_closed_streams() -> None:
    """Opens the null device in place of stdin, stdout or stderr if the shell closed it, as `>&-` does.

    Otherwise the next file to be opened, perhaps a checkpoint, would get its file descriptor.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            sink = os.open(os.devnull, os.O_RDWR)
            os.dup2(sink, number)
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115
            if sink != number:
                os.close(sink)


def write_output(path: Path, write: Callable[[Callable[[bytes], object]], None]) -> None:
    """Writes a file: `write` is called with the function that takes its content, part by part.

    A regular file is replaced atomically; a device or pipe is written to; links are followed. A file whose name ends
    with .gz is packed, without a timestamp.

    Raises:
        DiskError: it cannot be written.
    """
    from bpcli.runs.files import disk_errors
    from bpcli.runs.held import write_atomically

    def written(file: IO[bytes]) -> None:
        if path.name.lower().endswith(".gz"):
            packer = zlib.compressobj(9, wbits=31)  # the bytes do not depend on the parts that the content comes in
            write(lambda content: file.write(packer.compress(content)))
            file.write(packer.flush())
        else:
            write(file.write)

    with disk_errors(f"cannot write {path}"):
        try:
            is_file = stat.S_ISREG(path.stat().st_mode)
        except FileNotFoundError:
            is_file = True
        if not is_file:
            with path.open("wb") as file:
                written(file)
            return
        target = Path(os.path.realpath(path))
    write_atomically(target, written, notify)
