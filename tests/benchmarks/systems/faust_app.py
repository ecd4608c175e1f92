"""Stock by SKU with Faust. Runs in an environment of its own, `.venv-bench`.

python -m tests.benchmarks.systems.faust_app peer.json
"""

import json
import sys
from pathlib import Path
from typing import Any

import faust
import orjson

from tests.benchmarks.peer_stock import Event, Levels, Seen, binary, structured
from tests.benchmarks.totals import Totals


def make(path: str) -> Any:
    """Return the application, as a file of settings asks for it."""
    known = json.loads(Path(path).read_text())
    app = faust.App(
        known["run"],
        broker=f"kafka://{known['kafka']}",
        store=known["store"],
        datadir=Path(known["folder"]) / "state",
        topic_partitions=known["partitions"],
        topic_replication_factor=1,
        topic_disable_leader=True,
        web_enabled=False,
        **known["application"],
    )
    raw = {"key_serializer": "raw", "value_serializer": "raw"}
    inputs = app.topic(*known["inputs"], **raw)
    movements = app.topic(f"{known['run']}-movements", **raw)
    updates = app.topic(known["updates"], **raw)
    _reading(app, inputs, movements, known["mode"])
    _keeping(app, movements, updates, known)
    return app


def _reading(app: Any, inputs: Any, movements: Any, mode: str) -> None:
    seen: dict[tuple[str, int], Seen] = {}

    @app.agent(inputs)  # type: ignore[untyped-decorator]
    async def read(stream: Any) -> None:
        async for message in stream.events():
            body = orjson.loads(message.value)
            event = structured(body) if mode == "structured" else _binary(message, body)
            ids = seen.setdefault((message.message.topic, message.message.partition), Seen())
            if ids.before(event.identity):
                continue
            for sku, quantity in event.lines:
                value = orjson.dumps((sku, event.location, quantity))
                # Without waiting for the broker, message by message.
                movements.send_soon(key=sku.encode(), value=value)


def _binary(message: Any, body: Any) -> Event:
    headers = message.headers
    return binary(headers.items() if hasattr(headers, "items") else headers, body)


def _keeping(app: Any, movements: Any, updates: Any, known: dict[str, Any]) -> None:
    levels, totals = Levels(known["channels"]), Totals(known["redis"], known["totals"])
    # Version, available, total, on hand by location. A change goes to the partition of its SKU, because
    # within `take` the partition of the last event stands for them all.
    positions = app.Table(
        "positions", default=None, partitions=known["partitions"], use_partitioner=True
    )

    async def apply(batch: list[bytes]) -> None:
        changed: dict[str, Any] = {}
        for value in batch:
            sku, location, quantity = orjson.loads(value)
            position = changed.get(sku) or positions.get(sku) or [0, 0, 0, {}]
            changed[sku] = _moved(position, location, quantity)
        for sku, position in changed.items():
            positions[sku] = position
            update = levels.update(sku, position[0], position[1])
            updates.send_soon(key=sku.encode(), value=orjson.dumps(update))
        totals.write((sku, position[2]) for sku, position in changed.items())

    async def keep_batches(stream: Any) -> None:
        async for batch in stream.take(known["take"], within=known["within_s"]):
            await apply(batch)

    async def keep_each(stream: Any) -> None:
        async for value in stream:
            await apply([value])

    app.agent(movements)(keep_batches if known["take"] > 1 else keep_each)


def _moved(position: list[Any], location: str, quantity: int) -> list[Any]:
    version, available, total, on_hand = position
    before = on_hand.get(location, 0)
    after = before + quantity
    told = available + max(0, after) - max(0, before)
    return [version + 1, told, total + quantity, {**on_hand, location: after}]


if __name__ == "__main__":
    application = make(sys.argv[1])
    sys.argv[1:] = ["worker", "--loglevel", "warn", "--without-web"]
    application.main()
