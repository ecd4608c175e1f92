"""Publish: changed stock becomes levels for every channel, ad signals and alerts.

    claim -> decide -> guard -> emit -> settle

An item of the flow is a batch of claimed SKUs. Delivery guarantee: levels and ad states are absolute,
emitted at least once, under a version that never goes back; a crash anywhere ends in emitting again.

Run it with `penstock run publish`, or as `python -m bytewax.run flows.publish:flow`; any number of
publishers share the due queues.
"""

import time
from datetime import timedelta
from functools import partial

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from flows.engine.polling import NullSink, Poll, PollingSource
from flows.engine.steps import Steps
from flows.publish.claimer import Claimer, Claims
from flows.publish.steps import begin_settle, decide, emit, guard
from flows.runtime.context import Runtime
from flows.runtime.process import Background, serving
from flows.services.policy.reload import reloading
from flows.services.scrub.scrubber import scrubbing

BACKGROUND: tuple[Background, ...] = (scrubbing, reloading)
"""Background tasks of a process that runs this flow."""
PAUSE_MAX = timedelta(milliseconds=50)
"""Between two checks of the due queues, however long a SKU gathers its changes."""


def build(runtime: Runtime, *, until_idle: bool = False) -> Dataflow:
    """Wire the flow."""
    steps = Steps("publish", runtime.failure)
    flow = Dataflow("publish")

    claims = op.input(
        "claim", flow, PollingSource(lambda: _poll(runtime, steps, until_idle=until_idle))
    )
    # Claims(owner, policy, business_ms, by_shard={shard: Claimed})
    decided = op.map("decide", claims, steps.step("decide", partial(decide, runtime)))
    # Decided(claims, decisions=[(shard, Decision(due, available, levels, ads, signals, ...))])
    guarded = op.map("guard", decided, steps.step("guard", partial(guard, runtime)))
    # Decided, again under the freeze of channels that would drop
    emitted = op.map("emit", guarded, steps.step("emit", partial(emit, runtime)))
    # Emitted(claims, decisions)
    # The settlement of a round is in flight while the next one comes down to here.
    settled = op.map("settle", emitted, steps.step("settle", partial(begin_settle, runtime)))
    op.output("done", settled, NullSink())
    return flow


def from_environment() -> Dataflow:
    """Return the flow with the settings of the environment."""
    return build(serving("publish", BACKGROUND))


def _poll(runtime: Runtime, steps: Steps, *, until_idle: bool) -> Poll[Claims]:
    """Return how a worker's claimer is asked: again at once while more is due, else after a tick."""
    claimer = Claimer(runtime, until_idle=until_idle)
    tick = min(timedelta(milliseconds=runtime.settings.tick_ms), PAUSE_MAX)
    ask = steps.source("claim", lambda: claimer.next_claims(time.monotonic()))
    return Poll(ask, lambda: None if claimer.loop.more else tick)
