"""The clock that a process goes by: what time it is, and waiting."""

import time

from flows.runtime import signals as stop


class Clock:
    """The clock of this machine."""

    def now_us(self) -> int:
        """Return the time, in microseconds."""
        return time.time_ns() // 1000

    def now_ms(self) -> int:
        """Return the time, in milliseconds."""
        return time.time_ns() // 1_000_000

    def wait(self, seconds: float) -> None:
        """Sleep, but not past a wish to stop."""
        stop.wait(seconds)


now_us, now_ms = Clock().now_us, Clock().now_ms
"""The time by the clock of this machine, where no runtime is at hand."""
