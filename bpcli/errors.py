"""The errors bpcli raises on purpose, one exit code for each kind.

Every error that a user can cause or meet derives from `BpcliError`; the command line prints its message and leaves
with its `exit_code`. Anything else is a bug and keeps its traceback (exit code 1). This module imports nothing of
bpcli, so every room may raise from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import ClassVar


class BpcliError(Exception):
    """Base of all errors with a message meant for the user: one line, or several that belong together."""

    exit_code: ClassVar[int] = 1

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        super().__init__("\n".join(lines))


class UsageError(BpcliError):
    """The command line asks for something that cannot be done (exit code 2)."""

    exit_code = 2


class ConfigError(BpcliError):
    """A config is wrong (exit code 2). Holds every problem found, one `file:line key: ...` line each."""

    exit_code = 2

    def __init__(self, problems: Iterable[str]) -> None:
        super().__init__(*problems)

    @property
    def problems(self) -> tuple[str, ...]:
        """Each problem's message."""
        return self.lines


class DataError(BpcliError):
    """Data cannot be used (exit code 3). Each problem names the file and the row, column or field."""

    exit_code = 3

    @property
    def problems(self) -> tuple[str, ...]:
        """Each problem's message."""
        return self.lines


@contextmanager
def collected(errors: list[ConfigError | DataError]) -> Iterator[None]:
    """Collects a ConfigError or DataError in `errors`, so that the checks that follow can find more."""
    try:
        yield
    except (ConfigError, DataError) as error:
        errors.append(error)


def together(errors: Iterable[ConfigError | DataError]) -> ConfigError | DataError:
    """One error that shows every problem once: a ConfigError if one of them is, else a DataError."""
    errors = tuple(errors)
    problems = dict.fromkeys(problem for error in errors for problem in error.problems)
    return ConfigError(problems) if any(isinstance(error, ConfigError) for error in errors) else DataError(*problems)


class RunError(BpcliError):
    """A checkpoint or run folder is missing, damaged or does not fit (exit code 4)."""

    exit_code = 4


class DivergenceError(BpcliError):
    """Training produced a value that is not finite (exit code 5).

    what: which value, and where. kept: which of the run's files are still good.
    """

    exit_code = 5

    def __init__(self, what: str, advice: str = "", kept: str = "") -> None:
        self.what, self.advice = what, advice
        first = f"{what}. Try {advice}" if advice else what
        super().__init__(*([first, kept] if kept else [first]))


class DiskError(BpcliError):
    """The operating system refused: disk full, no permission, I/O error, out of memory (exit code 6)."""

    exit_code = 6


class RunInUseError(BpcliError):
    """Another process is working in this run folder (exit code 7)."""

    exit_code = 7


class GradientError(BpcliError):
    """Back-propagation and differences disagree: a layer, activation or loss has a wrong `backward` (exit code 8)."""

    exit_code = 8


class InterruptedRunError(BpcliError):
    """A signal asked training to stop; the state was saved. Exit code 128 + the signal's number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_code = 128 + signal_number  # type: ignore[misc]  # one kind, a code for each signal
