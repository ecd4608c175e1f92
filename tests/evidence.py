"""What a run left in its log and its store, as `tests.oracle` reads it: the judges of all suites take it from here."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import orjson

from connectors.log.base import INPUT_TOPICS, Log, Record, history
from flows.runtime.active_policy import ActivePolicy
from flows.runtime.context import Runtime
from flows.runtime.policy_follower import follow_policy
from flows.services.queries.stock_view import view
from state.protocol.figures import SkuState
from tests.oracle.stream import envelope

Json = dict[str, Any]

AT_ONCE = 1_000


def inputs(log: Log) -> Iterator[Record]:
    """Yield every message of the input topics, topic by topic."""
    for topic in INPUT_TOPICS:
        yield from history(log, topic)


def event_of(record: Record) -> Json:
    """Return the event of a message: `{id, source, type, time, data}`."""
    headers = [(name, value.decode()) for name, value in record.headers]
    return envelope({"headers": headers, "value": record.value})


def outputs(log: Log, topic: str) -> Iterator[Json]:
    """Yield the data of every event of an output topic."""
    for record in history(log, topic):
        yield orjson.loads(record.value or b"")["data"]


def stock(run: Runtime) -> Iterator[Json]:
    """Yield every SKU of the store."""
    follow_policy(run)
    skus = iter(sorted(set(run.store.skus())))
    while chunk := list(islice(skus, AT_ONCE)):
        yield from shown(run.store.read_many(chunk), run.policy)


def shown(states: Iterable[SkuState | None], policy: ActivePolicy) -> Iterator[Json]:
    """Yield SKUs as `penstock stock` prints them, with `open`: whether somebody has claimed one and not settled it."""
    for state in states:
        if state is not None:
            yield {**view(state, policy), "open": state.open}
