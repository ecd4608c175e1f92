"""A run of a dataflow in this process."""

from datetime import timedelta
from typing import TypeAlias

from bytewax.dataflow import Dataflow
from bytewax.run import cli_main

from flows.engine.failure import DeferredFailure

Flow: TypeAlias = Dataflow
"""What a table of contents makes."""

EPOCH = timedelta(milliseconds=100)
"""Inside an epoch nothing holds a source of Bytewax back, so epochs are short."""


def run(flow: Flow, failure: DeferredFailure) -> None:
    """Run a flow until its sources end, then raise the error that its steps deferred, if there is one."""
    cli_main(flow, epoch_interval=EPOCH)  # type: ignore[no-untyped-call]  # Bytewax has no types here
    failure.reraise()
