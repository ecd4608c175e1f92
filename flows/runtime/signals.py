"""Stopping cleanly: a signal sets a flag, the sources end, what is in hand is finished."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_STOPS = signal.SIGTERM, signal.SIGINT
_HELD = *_STOPS, signal.SIGHUP

_stop = threading.Event()


def install() -> None:
    """Let SIGTERM and SIGINT set the flag, also those that `held` kept. Does nothing outside the main thread."""
    if threading.current_thread() is threading.main_thread():
        for number in _STOPS:
            signal.signal(number, _set)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


@contextmanager
def held() -> Iterator[None]:
    """Let SIGTERM, SIGINT and SIGHUP wait until the block ends; in a process started inside, until it calls `install`.

    A process inherits what its parent holds back (pthread_sigmask(3)), so what it is told before it has
    handlers is not lost, and does not end it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def wanted() -> bool:
    """Say whether this process was asked to stop."""
    return _stop.is_set()


def wait(seconds: float) -> bool:
    """Sleep, but not past a wish to stop; say whether there is one."""
    return _stop.wait(seconds)


def ask() -> None:
    """Ask this process to stop, as a signal would."""
    _stop.set()


def _set(_number: int, _frame: FrameType | None) -> None:
    _stop.set()
