"""Stock by SKU with Quix Streams. Runs in an environment of its own, `.venv-bench`.

Both inputs write their lines to one topic of movements, keyed by SKU, from which the positions are kept:
`group_by` would make such a topic for each input, and `concat` hold one input back for the other.
"""

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from quixstreams import Application, State
from quixstreams.models import TopicConfig
from quixstreams.sinks import BatchingSink, SinkBatch

from tests.benchmarks.peer_stock import Event, Levels, binary, structured
from tests.benchmarks.totals import Totals

Body = dict[str, Any]


def main(path: str, number: str) -> None:
    """Run the application, as a file of settings asks for it."""
    known = json.loads(Path(path).read_text())
    app = Application(
        broker_address=known["kafka"],
        consumer_group=known["run"],
        auto_offset_reset="earliest",
        state_dir=Path(known["folder"]) / f"state-{number}",
        loglevel="WARNING",
        **known["application"],
    )
    movements = app.topic(
        f"{known['run']}-movements",
        key_serializer="str",
        key_deserializer="str",
        config=TopicConfig(num_partitions=known["partitions"], replication_factor=1),
    )
    for name in known["inputs"]:
        events = app.dataframe(app.topic(name)).apply(_reader(known["mode"]), metadata=True)
        events = events.filter(_once(known["kept_h"]), stateful=True)
        moved = events.apply(_lines, expand=True).set_headers(_no_headers)
        moved.to_topic(movements, key=_sku)
    told = app.dataframe(movements).apply(_move, stateful=True)
    levels = Levels(known["channels"])
    updates = told.apply(lambda body: levels.update(body["sku"], body["v"], body["a"]))
    updates.to_topic(app.topic(known["updates"], key_serializer="str"))
    told.sink(TotalsSink(known["redis"], known["totals"]))
    app.run()


def _reader(mode: str) -> Callable[[Any, Any, int, Any], Event]:
    if mode == "structured":
        return lambda value, _key, _time, _headers: structured(value)
    return lambda value, _key, _time, headers: binary(headers, value)


def _once(kept_h: int) -> Callable[[Event, State], bool]:
    kept = timedelta(hours=kept_h) if kept_h else None

    def once(event: Event, state: State) -> bool:
        if state.exists(event.identity):
            return False
        state.set(event.identity, 1, ttl=kept)
        return True

    return once


def _lines(event: Event) -> list[Body]:
    return [{"sku": sku, "at": event.location, "n": quantity} for sku, quantity in event.lines]


def _no_headers(_value: Any, _key: Any, _time: int, _headers: Any) -> list[tuple[str, bytes]]:
    # Or those of the event would go along with each of its lines.
    return []


def _sku(movement: Body) -> Any:
    return movement["sku"]


def _move(movement: Body, state: State) -> Body:
    """Add a line to the position of its SKU: version, available, total, on hand by location."""
    position: Body = state.get("position") or {"v": 0, "a": 0, "t": 0, "o": {}}
    location, quantity, on_hand = movement["at"], movement["n"], position["o"]
    before = on_hand.get(location, 0)
    after = on_hand[location] = before + quantity
    position["v"] += 1
    position["a"] += max(0, after) - max(0, before)
    position["t"] += quantity
    state.set("position", position)
    return {"sku": movement["sku"], "v": position["v"], "a": position["a"], "t": position["t"]}


class TotalsSink(BatchingSink):  # type: ignore[misc]  # its package is not in this environment
    """Totals in Redis, written at each checkpoint before its offsets: at least once, and absolute."""

    def __init__(self, url: str, key: str) -> None:
        super().__init__()
        self._where = url, key

    def setup(self) -> None:
        self._totals = Totals(*self._where)

    def write(self, batch: SinkBatch) -> None:
        self._totals.write((item.value["sku"], item.value["t"]) for item in batch)


if __name__ == "__main__":
    main(*sys.argv[1:])
