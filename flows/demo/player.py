"""Plays a dumped stream into the log, at a speed in events per second, and counts what it appended."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from connectors.log.base import Appended, AppendFailed, Log, Outgoing
from connectors.messages.cloudevents import structured
from flows.demo.events import StreamEvent
from flows.demo.governor import Governor

BATCH = 100
SLICE_S = 0.01


@dataclass(slots=True)
class Played:
    """What went into the log."""

    appended: int = 0
    took_s: float = 0.0


class Faulty:
    """A stream with one fault in it that the self-check must find: `drop` an event, or `double` one."""

    def __init__(self, plant: str, victim: int) -> None:
        self.plant = plant
        self.victim = victim

    def events(self, stream: Iterable[StreamEvent]) -> Iterator[StreamEvent]:
        """Pass the stream on, the fault planted at the first good event from `victim` on."""
        planted = False
        for n, event in enumerate(stream):
            if planted or n < self.victim or event.kind != "good" or event.event_type != "pos.sale":
                yield event
                continue
            planted = True
            if self.plant == "double":
                yield event
                yield _under_another_id(event)


def play(
    log: Log,
    stream: Iterable[StreamEvent],
    speed: float | None,
    governor: Governor | None = None,
    seen: Callable[[int], None] = lambda _events: None,
) -> Played:
    """Append the stream in order, `speed` events a second, or as fast as the log takes them (None).

    `governor` may hold the stream back; `seen` is called with how many events were appended each time.

    Raises:
        LogError: the log did not take a message.
    """
    played = Played()
    began = time.monotonic()
    waiting: list[StreamEvent] = []

    def append() -> None:
        if not waiting:
            return
        results = log.append([Outgoing(e.topic, e.key, e.value, e.headers) for e in waiting])
        places = [result for result in results if isinstance(result, Appended)]
        failed = [result.error for result in results if isinstance(result, AppendFailed)]
        if failed:
            raise failed[0]
        played.appended += len(waiting)
        seen(len(waiting))
        if governor is not None:
            governor.appended(waiting, places)
        waiting.clear()

    for event in stream:
        if speed is not None and played.appended + len(waiting) >= _due(began, speed, governor):
            append()
            while played.appended >= _due(began, speed, governor):
                time.sleep(SLICE_S)
        waiting.append(event)
        if len(waiting) >= BATCH:
            append()
    append()
    played.took_s = time.monotonic() - began
    return played


def _due(began_s: float, speed: float, governor: Governor | None) -> float:
    """Return how many events should be in the log by now; time that was held back is not caught up."""
    held_s = governor.held_s if governor is not None else 0.0
    return (time.monotonic() - began_s - held_s) * speed


def _under_another_id(event: StreamEvent) -> StreamEvent:
    """Return a sale once more, as if it were another one."""
    import msgspec  # noqa: PLC0415 - only where a fault is planted
    import orjson  # noqa: PLC0415

    if event.headers and event.headers[0][0].startswith("ce_"):
        headers = tuple((n, v + b"-again" if n == "ce_id" else v) for n, v in event.headers)
        return msgspec.structs.replace(event, headers=headers)
    body = orjson.loads(event.value or b"")
    body["id"] += "-again"
    return msgspec.structs.replace(event, value=orjson.dumps(body))


def forged_update(
    sku: str, version: int, available: int, levels: dict[str, int], now_ms: int, cause: str
) -> Outgoing:
    """Return a stock update that the engine never made."""
    data = {
        "sku": sku,
        "version": version,
        "available": available,
        "levels": levels,
        "changed": list(levels),
        "cause_time": cause,
    }
    value = structured(f"{sku}:{version}", "/penstock", "stock.updated", now_ms, data)
    return Outgoing("stock.updates", sku.encode(), value)
