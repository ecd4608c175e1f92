"""Publish: what became of the stock becomes levels for every channel, ad signals and alerts.

    claim -> derive -> emit -> settle

An item of the flow is a batch of claimed SKUs. Delivery guarantee: levels and ad states are absolute,
emitted at least once, under a version that never goes back; a crash anywhere ends in emitting again.

Run it with `penstock run publish`, or as `python -m bytewax.run flows.publish:flow`; any number of
publishers share the due queues.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.outputs import DynamicSink, StatelessSinkPartition

from flows.publish.claimer import Claimer, Claims
from flows.publish.steps import begin_settle, derive, emit
from flows.runtime.context import Runtime
from flows.runtime.process import serving
from monitoring.busy import timed, timed_source

Item = TypeVar("Item")
Answer = TypeVar("Answer")

PAUSE_MAX = timedelta(milliseconds=50)
"""Between two looks at the due queues, however long a SKU gathers its changes."""


def build(runtime: Runtime, *, until_idle: bool = False) -> Dataflow:
    """Wire the flow."""
    tick = min(timedelta(milliseconds=runtime.settings.tick_ms), PAUSE_MAX)
    flow = Dataflow("publish")

    def step(name: str, work: Callable[[Item], Answer]) -> Callable[[Item], Answer]:
        return runtime.ending.step(timed("publish", name, work))

    claims = op.input("claim", flow, Due(lambda: Claimer(runtime, until_idle=until_idle), tick))
    # Claims(owner, policy, business_ms, by_shard={shard: Claimed})
    decided = op.map("derive", claims, step("derive", partial(derive, runtime)))
    # (claims, [Decided(shard, settle, messages, cause_ms)])
    emitted = op.map("emit", decided, step("emit", partial(emit, runtime)))
    # Emitted(claims, decided)
    # The settlement of a round is under way while the next one comes down to here.
    settled = op.map("settle", emitted, step("settle", partial(begin_settle, runtime)))
    op.output("done", settled, Done())
    return flow


def from_environment() -> Dataflow:
    """Return the flow with the settings of the environment."""
    return build(serving("publish"))


class Due(DynamicSource[Claims]):
    """A claimer for each worker."""

    def __init__(self, make: Callable[[], Claimer], tick: timedelta) -> None:
        self._make = make
        self._tick = tick

    def build(self, _step_id: str, _worker_index: int, _worker_count: int) -> "Claimed":
        """Make the claimer of one worker."""
        return Claimed(self._make(), self._tick)


class Claimed(StatelessSourcePartition[Claims]):
    """One claimer, as the engine asks it."""

    def __init__(self, claimer: Claimer, tick: timedelta) -> None:
        self._claimer = claimer
        self._tick = tick

        def ask() -> Claims | None:
            return claimer.next_claims(time.monotonic())

        ending = claimer.runtime.ending
        self._ask = partial(ending.source, timed_source("publish", "claim", ask))

    def next_batch(self) -> list[Claims]:
        """Return what is due, if anything is."""
        claims = self._ask()
        return [] if claims is None else [claims]

    def next_awake(self) -> datetime | None:
        """Return when to ask again: at once while more is due, else after a tick."""
        return None if self._claimer.more else datetime.now(UTC) + self._tick


class Done(DynamicSink[None]):
    """The end of the flow: all that counts has happened in the steps."""

    def build(self, _step_id: str, _worker_index: int, _worker_count: int) -> "_Nothing":
        """Make the end of one worker."""
        return _Nothing()


class _Nothing(StatelessSinkPartition[None]):
    def write_batch(self, items: list[None]) -> None:
        """Nothing is left to write."""
