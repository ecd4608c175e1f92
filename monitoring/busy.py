"""What each step of a flow takes: measured where the steps are wired, once for each batch."""

from collections.abc import Callable
from time import perf_counter
from typing import TypeVar

from monitoring import metrics

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def timed(flow: str, step: str, work: Callable[[Item], Answer]) -> Callable[[Item], Answer]:
    """Return a step that adds the time it takes, waiting for a server included, to the metrics."""
    busy = metrics.BUSY.labels(flow, step)

    def measured(item: Item) -> Answer:
        began_s = perf_counter()
        try:
            return work(item)
        finally:
            busy.inc(perf_counter() - began_s)

    return measured


def timed_source(
    flow: str, step: str, ask: Callable[[], Answer], clock: Callable[[], float] = perf_counter
) -> Callable[[], Answer]:
    """Return a source that adds the time it takes, and counts what it hands on, unless it is None.

    By the clock `thread_time` only its own work is counted, for a source that waits for something to come.
    """
    busy, batches = metrics.BUSY.labels(flow, step), metrics.BATCHES.labels(flow)

    def measured() -> Answer:
        began_s = clock()
        try:
            found = ask()
        finally:
            busy.inc(clock() - began_s)
        if found is not None:
            batches.inc()
        return found

    return measured
