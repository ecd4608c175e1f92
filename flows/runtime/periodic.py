"""Periodic work: tasks that a loop runs by the way, each when its period has passed."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class Periodic:
    """A task and its period. `period_s` 0 runs it each time."""

    period_s: float
    task: Callable[[float], object]
    ran_s: float | None = None

    def run(self, now_s: float) -> None:
        """Run the task if its period has passed since the last time, by the caller's monotonic clock."""
        if self.ran_s is None or now_s - self.ran_s >= self.period_s:
            self.ran_s = now_s
            self.task(now_s)
