"""Asking again, with the same names, while an answer is not known: what the verbs of holds want of their callers."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from flows.runtime.retry import retry_until_available
from flows.services.holds.values import HoldRejected
from tests.patience import PATIENCE_S

PAUSE_S: Final = 0.05

Answer = TypeVar("Answer")


def asked(call: Callable[[], Answer]) -> Answer:
    """Return an answer that is one: the store may be away for a while, or not know yet.

    Raises:
        TimeoutError: it never came.
    """
    until_s = time.monotonic() + PATIENCE_S
    while True:
        found = retry_until_available(call)
        if not (isinstance(found, HoldRejected) and found.reason in {"busy", "unknown"}):
            return found
        if time.monotonic() > until_s:
            raise TimeoutError(f"asked for {PATIENCE_S:g} s: {found}")
        time.sleep(PAUSE_S)
