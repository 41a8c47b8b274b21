"""Signals: what they end at once, and what they ask to end once the step is done and the state saved."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")  # SIGHUP is not on Windows


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
    os.write(2, b"error: interrupted while bpcli was starting\n")
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
def stop_on_signals() -> Iterator[StopRequest]:
    """Notes the first SIGINT, SIGTERM or SIGHUP instead of dying of it; the second of a kind acts as ever.

    A SIGINT that came before and was swallowed counts, see `raise_on_interrupt`. Outside the main thread, where
    Python lets nobody handle signals, nothing changes.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before = {number: signal.getsignal(number) for name in NAMES if (number := getattr(signal, name, None))}

    def note(number: int, frame: FrameType | None) -> None:
        request.signal_number = number
        signal.signal(number, before[signal.Signals(number)])

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:  # nohup ignores SIGHUP: so it stays
            signal.signal(number, note)
    if _early():
        request.signal_number, _early.signal_number = _early.signal_number, None
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
