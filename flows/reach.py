"""Reaching the store and the log for a command, with the settings of the environment."""

from collections.abc import Iterator
from contextlib import contextmanager

from connectors.config import settings as environment
from flows.runtime import Runtime, connected, initialise


@contextmanager
def reached() -> Iterator[Runtime]:
    """Reach the servers and change nothing there."""
    with connected(environment.load()) as run:
        yield run


@contextmanager
def reached_or_made() -> Iterator[Runtime]:
    """Reach the servers, and make functions and topics, but no policy, in a store that is new."""
    with reached() as run:
        if not run.server.client.hexists(run.keys.store(), "shards"):
            initialise(run)
        yield run
