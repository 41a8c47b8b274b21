"""Signals that ask training to stop: noted, so that the step can end and the state be saved."""

from __future__ import annotations

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


def note_early_interrupts() -> None:
    """Has SIGINT noted from now on, beside the KeyboardInterrupt that it raises.

    While libraries are imported, some of their code takes any exception for a sign that something is not there, and
    swallows it: then training stops at its first step instead.
    """

    def note(number: int, frame: FrameType | None) -> None:
        _early.signal_number = number
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, note)


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

    A SIGINT that came before and was swallowed counts, see `note_early_interrupts`. Outside the main thread, where
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
