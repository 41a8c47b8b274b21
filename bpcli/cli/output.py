"""Writing for whoever reads: the result on stdout, what goes on beside it on stderr."""

from __future__ import annotations

import io
import os
import stat
import sys
from pathlib import Path

from bpcli.errors import DiskError


def say(text: str, *, end: str = "\n") -> None:
    """Writes the result to stdout. A reader that has gone, as `head` does, ends the command without a fuss.

    Raises:
        DiskError: stdout cannot be written.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that knows ASCII only
    try:
        sys.stdout.write(text + end)
        sys.stdout.flush()
    except BrokenPipeError:
        let_go_of_stdout()
        sys.exit(0)
    except OSError as error:
        let_go_of_stdout()
        raise DiskError(f"cannot write to stdout: {error.strerror or error}") from error


def tell(text: str) -> None:
    """Writes a note to stderr; where nobody can read it, work goes on."""
    try:
        if "tqdm" in sys.modules:  # a bar may be on the line: it is taken away first and put back below
            sys.modules["tqdm"].tqdm.write(text, file=sys.stderr)
            return
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except OSError:
        pass


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


def write_output(path: Path, text: str) -> None:
    """Writes a file: a regular one is replaced whole or not at all, a device or pipe is written to, a link followed.

    Raises:
        DiskError: it cannot be written.
    """
    from bpcli.runs.files import disk_errors
    from bpcli.runs.held import write_text

    with disk_errors(f"cannot write {path}"):
        try:
            is_file = stat.S_ISREG(path.stat().st_mode)
        except FileNotFoundError:
            is_file = True
        if not is_file:
            path.write_text(text, encoding="utf-8")
            return
        target = Path(os.path.realpath(path))
    write_text(target, text, tell)
