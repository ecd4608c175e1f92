"""Stopping cleanly: a signal sets a flag, the sources end, what is in hand is finished."""

import signal
import threading
from types import FrameType

_stop = threading.Event()


def install() -> None:
    """Let SIGTERM and SIGINT set the flag. Does nothing outside the main thread."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _set)
        signal.signal(signal.SIGINT, _set)


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
