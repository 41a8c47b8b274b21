"""What bpcli asks of the operating system: signals, and the processors and threads of a run."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # Windows has the last in place of SIGHUP, and for Ctrl-Break


class StopRequest:
    """Whether a signal has come, and which."""

    def __init__(self) -> None:
        self.signal_number: int | None = None

    def __call__(self) -> bool:
        return self.signal_number is not None


_early = StopRequest()


def quit_on_interrupt() -> None:
    """Has SIGINT end the process at once, in a line: for the start, when nothing has been done yet.

    A KeyboardInterrupt would come out of the depths of some import with its traceback, or not at all: some code there
    takes any exception for a sign that something is missing, and Python itself drops those of its callbacks.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else nohup, or whoever calls, has the word
        signal.signal(signal.SIGINT, _quit)


def raise_on_interrupt() -> None:
    """Has SIGINT raise KeyboardInterrupt again: for the work of a command, which may have something to clear away.

    It still quits at once in the middle of an import. It is noted as well: should some library swallow it all the
    same, training stops at its first step.
    """
    if signal.getsignal(signal.SIGINT) is _quit:
        signal.signal(signal.SIGINT, _raise)


def _quit(number: int, frame: FrameType | None) -> None:
    _leave("interrupted while bpcli was starting", number, frame)


def _leave(text: str, number: int, frame: FrameType | None) -> None:
    """Ends the process with a line on stderr, below a progress bar that may be there."""
    with suppress(OSError):
        os.write(2, f"{os.linesep if os.isatty(2) else ''}error: {text}\n".encode())
    os._exit(128 + number)


def _raise(number: int, frame: FrameType | None) -> None:
    if _is_importing(frame):
        _quit(number, frame)
    _early.signal_number = number
    raise KeyboardInterrupt


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


@contextmanager
def interrupted_as(text: str) -> Iterator[None]:
    """Gives a KeyboardInterrupt that says nothing yet a text for the user."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(*(interrupt.args or [text])) from None


def before_training() -> AbstractContextManager[None]:
    """For all that comes before the first iteration; training itself has its own word on interrupts."""
    return interrupted_as("interrupted before training began; nothing was saved")


@contextmanager
def stop_on_signals(at_once: str) -> Iterator[StopRequest]:
    """Notes the first SIGINT, SIGTERM, SIGHUP or SIGBREAK instead of dying of it; the second of a kind acts as ever.

    But the command then leaves at once, with the line `at_once`: a KeyboardInterrupt in the middle of a save becomes
    whatever error the library there makes of it. It is raised, with this text, where bpcli is used as a library.

    A SIGINT that came before and was swallowed counts, see `raise_on_interrupt`. Outside the main thread, where
    Python lets nobody handle signals, nothing changes.
    """
    from bpcli.text import printable  # late: until this module is there, an interrupt ends in a traceback

    at_once = printable(at_once)
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for name in NAMES if (number := getattr(signal, name, None))}

    def note(number: int, frame: FrameType | None) -> None:
        request.signal_number = number
        second = before[signal.Signals(number)]
        signal.signal(number, partial(_leave, at_once) if second is _raise else second)

    for number, handler in before.items():
        if handler not in (signal.SIG_IGN, None):  # nohup ignores SIGHUP: so it stays; None was not set by Python
            signal.signal(number, note)
    if _early():
        request.signal_number, _early.signal_number = _early.signal_number, None
    try:
        with interrupted_as(at_once):
            yield request
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """One thread for matrix products: OpenBLAS's own wait for each other by spinning, and change the order of sums."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield


def usable_cpus() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
