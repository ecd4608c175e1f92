"""How long tests wait for what must come true: so long that only what hangs is found by it.

A bound measures nothing. On a machine that does other things as well a process takes seconds to start, and one that
is asked to end takes seconds to do so; whoever wants to know how long something takes counts the work instead, or
marks the test `quiet`.
"""

import time
from collections.abc import Callable
from typing import Final

PATIENCE_S: Final = 90.0
"""For one condition, one answer, one end of a process. The time-out of a test is a multiple of it (pyproject.toml)."""
POLL_S: Final = 0.05
PATIENTLY: Final = ("--timeout", f"{PATIENCE_S:g}")
"""What a command is told that waits for flows which have only just been started."""


def eventually(holds: Callable[[], bool], within_s: float = PATIENCE_S) -> bool:
    """Say whether something comes true in time."""
    deadline_s = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(POLL_S)
    return True
