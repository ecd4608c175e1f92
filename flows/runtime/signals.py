"""Signals of a process: a stop ends the sources and finishes what is in hand, a hangup reads the policy file again."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_STOPS = signal.SIGTERM, signal.SIGINT
_HELD = *_STOPS, signal.SIGHUP

hangup = threading.Event()
"""Set by SIGHUP, where `catch_hangups` was called."""

_stop = threading.Event()


def install() -> None:
    """Let SIGTERM and SIGINT set the flag, also those that `held` kept. Does nothing outside the main thread."""
    if threading.current_thread() is threading.main_thread():
        for number in _STOPS:
            signal.signal(number, _set)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)


def catch_hangups() -> None:
    """Let SIGHUP set `hangup`. At a terminal it ends the process, as ever."""
    if threading.current_thread() is threading.main_thread() and not at_terminal():
        signal.signal(signal.SIGHUP, _hang_up)


def at_terminal() -> bool:
    """Say whether an operator runs this process at a terminal: SIGHUP means that their terminal is gone."""
    return sys.stdin is not None and sys.stdin.isatty()


@contextmanager
def held() -> Iterator[None]:
    """Let SIGTERM, SIGINT and SIGHUP wait until the block ends; in a process started inside, until it calls `install`.

    A process inherits what its parent holds back (pthread_sigmask(3)), so a signal that it gets before it has
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


def _hang_up(_number: int, _frame: FrameType | None) -> None:
    hangup.set()
