"""The steps of a flow, each timed and guarded alike."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

from flows.engine.failure import DeferredFailure
from monitoring.busy import timed, timed_source

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Steps:
    """What wraps each step of one flow: its busy time goes into the metrics, its error may end the flow."""

    flow: str
    failure: DeferredFailure

    def step(self, name: str, work: Callable[[Item], Answer]) -> Callable[[Item], Answer]:
        """Return a step, timed and guarded."""
        return self.failure.step(timed(self.flow, name, work))

    def source(
        self, name: str, ask: Callable[[], Answer], clock: Callable[[], float] = perf_counter
    ) -> Callable[[], Answer]:
        """Return what a source asks, timed by `clock` and guarded."""
        return self.failure.source(timed_source(self.flow, name, ask, clock))
