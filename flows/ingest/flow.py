"""Ingest: sales, receipts and orders become stock.

    read -> decode -> normalise -> dead letters -> apply

An item of the flow is a batch, and no step exchanges: increments commute, and each partition has one
reader, so a worker applies what it reads. Delivery guarantee: an event takes effect once, however often
it or its partition is read.

Run it with `penstock run ingest`, or as `python -m bytewax.run flows.ingest:flow` with any number of
workers and processes.
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

from flows.ingest.read_run import Batch
from flows.ingest.reader import Reader
from flows.ingest.steps import bury, decode, normalise, send
from flows.runtime.context import Runtime
from flows.runtime.process import serving
from monitoring.busy import timed, timed_source
from state.protocol.pack import Packer

Item = TypeVar("Item")
Answer = TypeVar("Answer")

PAUSE = timedelta(milliseconds=2)


def build(runtime: Runtime, *, until_idle: bool = False) -> Dataflow:
    """Wire the flow."""
    packer = Packer(runtime.store.shards, runtime.guard_ms)
    flow = Dataflow("ingest")

    def step(name: str, work: Callable[[Item], Answer]) -> Callable[[Item], Answer]:
        return runtime.ending.step(timed("ingest", name, work))

    batches = op.input("read", flow, Batches(lambda: Reader(runtime, until_idle=until_idle)))
    # Batch(run, records, upto)
    decoded = op.map("decode", batches, step("decode", decode))
    # Decoded(batch, events=[(record, event)], rejected)
    normal = op.map("normalise", decoded, step("normalise", partial(normalise, runtime)))
    # Normal(batch, events={partition: [NormalEvent(offset, ..., ops)]}, rejected)
    kept = op.map("dead_letters", normal, step("dead_letters", partial(bury, runtime)))
    # The calls of a batch are under way while the next one comes down to here.
    applied = op.map("apply", kept, step("apply", partial(send, runtime, packer)))
    op.output("done", applied, Done())
    return flow


def from_environment() -> Dataflow:
    """Return the flow with the settings of the environment."""
    return build(serving("ingest"))


class Batches(DynamicSource[Batch]):
    """A reader for each worker."""

    def __init__(self, make: Callable[[], Reader]) -> None:
        self._make = make

    def build(self, _step_id: str, _worker_index: int, _worker_count: int) -> "Batched":
        """Make the reader of one worker."""
        return Batched(self._make())


class Batched(StatelessSourcePartition[Batch]):
    """One reader, as the engine asks it."""

    def __init__(self, reader: Reader) -> None:
        self._empty = False

        def ask() -> Batch | None:
            return reader.next_batch(time.monotonic())

        ending = reader.runtime.ending
        # It mostly waits for messages: what counts is its own work.
        timed_ask = timed_source("ingest", "read", ask, time.thread_time)
        self._ask = partial(ending.source, timed_ask)

    def next_batch(self) -> list[Batch]:
        """Return the next batch, if there is one."""
        batch = self._ask()
        self._empty = batch is None
        return [] if batch is None else [batch]

    def next_awake(self) -> datetime | None:
        """Return when to ask again: at once while there is something to read."""
        return datetime.now(UTC) + PAUSE if self._empty else None


class Done(DynamicSink[None]):
    """The end of the flow: all that counts has happened in the steps."""

    def build(self, _step_id: str, _worker_index: int, _worker_count: int) -> "_Nothing":
        """Make the end of one worker."""
        return _Nothing()


class _Nothing(StatelessSinkPartition[None]):
    def write_batch(self, items: list[None]) -> None:
        """Nothing is left to write."""
