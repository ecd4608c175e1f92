"""Events that people send by command: written, appended, and waited for until they are applied."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec

from connectors.log.base import Appended, AppendFailed, Outgoing
from connectors.messages import dead_letters
from connectors.messages.cloudevents import STRUCTURED, structured
from flows.runtime import signals as stop
from flows.runtime.context import Runtime
from state.events.messages import TOPIC_OF, Event
from state.events.normalise import effects
from state.events.rejection import Rejection
from state.events.validation import decode
from state.protocol.sharding import shard_of

LOOK_EVERY_S = 0.05


class EventRejected(Exception):
    """The event would be rejected; in the words of a dead letter."""


class Sent(NamedTuple):
    """An event in the log."""

    id: str
    log_id: str
    place: Appended


def checked(
    runtime: Runtime, kind: str, source: str, time_ms: int, data: Mapping[str, Any]
) -> tuple[str, bytes]:
    """Return the id and the bytes of an event.

    Raises:
        Refused: ingest would reject it.
    """
    event_id, now_ms = str(uuid4()), runtime.clock.now_ms()
    value = structured(event_id, source, kind, time_ms, data)
    decoded = decode(kind, msgspec.json.encode(data))
    if isinstance(decoded, Rejection):
        raise EventRejected(decoded.reason)
    event = Event(event_id, source, kind, time_ms, decoded)
    ops = effects(event, now_ms, runtime.policy.compiled, runtime.policy.codes)
    if isinstance(ops, Rejection):
        raise EventRejected(ops.reason)
    return event_id, value


def send(
    runtime: Runtime, kind: str, source: str, time_ms: int, data: Mapping[str, Any], key: str
) -> Sent:
    """Append an event to its topic. Delivery: at least once, confirmed by the log.

    Raises:
        Refused: ingest would reject it; nothing is sent.
        LogError: the log did not confirm it.
    """
    event_id, value = checked(runtime, kind, source, time_ms, data)
    topic = TOPIC_OF[kind]
    (result,) = runtime.log.append([Outgoing(topic, key.encode(), value, STRUCTURED)])
    if isinstance(result, AppendFailed):
        raise result.error
    return Sent(event_id, runtime.log.log_id(topic), result)


def wait_until_applied(
    runtime: Runtime, sent: Sequence[Sent], skus: Sequence[str], timeout_s: float
) -> bool:
    """Wait until the shards of these SKUs have passed the events. Return whether they all did in time."""
    until_s = time.monotonic() + timeout_s
    shards = {shard_of(sku, runtime.store.shards) for sku in skus}
    wanted: dict[str, int] = {}
    for each in sent:
        mark = f"{each.log_id}/{each.place.partition}"
        wanted[mark] = max(wanted.get(mark, -1), each.place.offset)
    while True:
        marks = runtime.store.marks()
        if all(marks[shard].get(mark, -1) >= at for shard in shards for mark, at in wanted.items()):
            return True
        left_s = until_s - time.monotonic()
        if left_s <= 0 or stop.wanted():
            return False
        stop.wait(min(LOOK_EVERY_S, left_s))


def rejected(runtime: Runtime, sent: Sequence[Sent]) -> dict[str, str]:
    """Return, of these events, id -> reason of those that went to the dead letters."""
    by_letter = {f"{each.log_id}/{each.place.partition}/{each.place.offset}": each for each in sent}
    return {
        by_letter[listed.letter.id].id: listed.letter.reason
        for listed in dead_letters.listing(runtime.log)
        if listed.letter.id in by_letter
    }
