"""Ingest: sales, receipts and orders become stock.

    read -> decode -> normalise -> guard -> dead letters -> apply

An item of the flow is a batch, and no step exchanges: increments commute, and each partition has one
reader, so a worker applies what it reads. Delivery guarantee: an event takes effect once, however often
it or its partition is read.

Run it with `penstock run ingest`, or as `python -m bytewax.run flows.ingest:flow` with any number of
workers and processes.
"""

import time
from datetime import timedelta
from functools import partial

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from flows.engine.polling import NullSink, Poll, PollingSource
from flows.engine.steps import Steps
from flows.ingest.read_session import Batch
from flows.ingest.reader import Reader
from flows.ingest.steps import decode, guard, normalise, send, to_dead_letters
from flows.runtime.context import Runtime
from flows.runtime.process import Background, serving
from flows.services.policy.reload import reloading
from state.protocol.pack import Packer

BACKGROUND: tuple[Background, ...] = (reloading,)
"""Background tasks of a process that runs this flow."""
PAUSE = timedelta(milliseconds=2)


def build(runtime: Runtime, *, until_idle: bool = False) -> Dataflow:
    """Wire the flow."""
    steps = Steps("ingest", runtime.failure)
    packer = Packer(runtime.store.shards, runtime.guard_ms)
    flow = Dataflow("ingest")

    batches = op.input(
        "read", flow, PollingSource(lambda: _poll(runtime, steps, until_idle=until_idle))
    )
    # Batch(run, records, upto)
    decoded = op.map("decode", batches, steps.step("decode", decode))
    # Decoded(batch, events=[(record, event)], rejected)
    normal = op.map("normalise", decoded, steps.step("normalise", partial(normalise, runtime)))
    # Normal(batch, events={partition: [NormalEvent(offset, ..., ops)]}, rejected)
    guarded = op.map("guard", normal, steps.step("guard", partial(guard, runtime)))
    # Normal, without what the shrink guard quarantines
    kept = op.map(
        "dead_letters", guarded, steps.step("dead_letters", partial(to_dead_letters, runtime))
    )
    # The calls of a batch are in flight while the next one comes down to here.
    applied = op.map("apply", kept, steps.step("apply", partial(send, runtime, packer)))
    op.output("done", applied, NullSink())
    return flow


def from_environment() -> Dataflow:
    """Return the flow with the settings of the environment."""
    return build(serving("ingest", BACKGROUND))


def _poll(runtime: Runtime, steps: Steps, *, until_idle: bool) -> Poll[Batch]:
    """Return how a worker's reader is asked: again at once while there is something to read."""
    reader = Reader(runtime, until_idle=until_idle)
    empty = False

    def ask() -> Batch | None:
        nonlocal empty
        batch = reader.next_batch(time.monotonic())
        empty = batch is None
        return batch

    # A reader mostly waits for messages: what counts is its own work.
    return Poll(steps.source("read", ask, time.thread_time), lambda: PAUSE if empty else None)
