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
    """Makes SIGINT end the process at once with one line on stderr: for the start, when nothing has been done yet.

    A KeyboardInterrupt within an import would end in a traceback or be lost: some packages take any exception for a
    missing module, and Python drops exceptions that are raised in its callbacks.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # otherwise nohup or the calling program decides
        signal.signal(signal.SIGINT, _quit)


def raise_on_interrupt() -> None:
    """Makes SIGINT raise KeyboardInterrupt again, so that a command can clean up after itself.

    Within an import it still ends the process at once. It is also recorded: if a library swallows the exception,
    training stops at its first step.
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
    """Gives a KeyboardInterrupt without a message this text, which the command shows."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(*(interrupt.args or [text])) from None


def before_training() -> AbstractContextManager[None]:
    """The message for an interrupt before the first iteration; from then on `stop_on_signals` handles signals."""
    return interrupted_as("interrupted before training began; nothing was saved")


@contextmanager
def stop_on_signals(at_once: str) -> Iterator[StopRequest]:
    """Records the first SIGINT, SIGTERM, SIGHUP or SIGBREAK instead of ending; a second one of a kind ends as usual.

    at_once: what is shown then. The command exits at once with this line, since a library in the middle of a save may
    turn a KeyboardInterrupt into another error. If bpcli is used as a library, the KeyboardInterrupt is raised, with
    this text.

    An earlier SIGINT that was swallowed counts, see `raise_on_interrupt`. Outside the main thread, where Python does
    not allow signal handlers, nothing changes.
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
