"""A file of what lies where, as counts in the log."""

import json
from pathlib import Path
from typing import Any

import pytest

from connectors.config.positions_file import Counted, Positions
from connectors.log.base import Outgoing
from connectors.redis.embedded import Embedded
from flows.services.corrections.import_counts import LINES, Plan, plan
from state.events.timestamps import rfc3339_ms
from tests.flows.harness import Engine, engine
from tests.flows.shop import lines

AS_OF_MS = rfc3339_ms("2026-05-04T06:00:00Z")
CONFIG = """
version: 1
locations: [{id: wh, kind: warehouse}, {id: s1, kind: store}]
channels: [{id: shop}]
"""


@pytest.fixture
def config(config: Path) -> Path:
    config.write_text(CONFIG)
    return config


def counted(**units: int) -> dict[str, Counted]:
    return {sku: Counted(n, 0, 1) for sku, n in units.items()}


def sent(e: Engine, found: Positions, *, complete: tuple[str, ...] = ()) -> Plan:
    made = plan(found, AS_OF_MS, e.run.store, complete)
    events: list[Outgoing] = [event for event, _ in made.events()]
    e.run.log.append(events)
    e.ingest()
    return made


def positions(e: Engine, sku: str) -> dict[str, tuple[int, int]]:
    state = e.run.store.read(sku)
    assert state is not None
    return {p.location: (p.on_hand, p.unavailable) for p in state.positions}


def data(made: Plan) -> list[dict[str, Any]]:
    return [json.loads(event.value or b"") for event, _ in made.events()]


def test_an_import_is_what_lies_there_afterwards(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config) as e:
        sent(e, {"wh": {"A": Counted(5, 2, 1), "B": Counted(7, None, 2)}, "s1": counted(A=1)})
        assert positions(e, "A") == {"wh": (5, 2), "s1": (1, 0)}
        assert positions(e, "B") == {"wh": (7, 0)}


def test_the_same_import_again_changes_nothing(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config) as e:
        found: Positions = {"wh": {"A": Counted(5, 2, 1)}}
        first = plan(found, AS_OF_MS, e.run.store)
        second = plan(found, AS_OF_MS, e.run.store)
        for made in (first, second):
            e.run.log.append([event for event, _ in made.events()])
        e.ingest()
        assert positions(e, "A") == {"wh": (5, 2)}
        e.send("pos.sale", location="wh", receipt="r", lines=lines(A=1))
        e.ingest()
        assert [each["type"] for each in data(sent(e, found))] == ["wms.count"]
        assert positions(e, "A") == {"wh": (4, 2)}


def test_a_corrected_file_of_the_same_time_is_another_count(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config) as e:
        sent(e, {"wh": counted(A=5)})
        sent(e, {"wh": counted(A=4)})
        assert positions(e, "A") == {"wh": (4, 0)}


def test_less_unavailable_than_before_is_released(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config) as e:
        sent(e, {"wh": {"A": Counted(9, 6, 1), "B": Counted(9, 6, 2)}})
        sent(e, {"wh": {"A": Counted(9, 1, 1), "B": Counted(9, None, 2)}})
        assert positions(e, "A") == {"wh": (9, 1)}
        assert positions(e, "B") == {"wh": (9, 6)}


def test_what_a_complete_file_does_not_name_is_not_there(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config) as e:
        sent(e, {"wh": {"A": Counted(5, 1, 1)} | counted(B=5), "s1": counted(B=5)})
        made = plan({"wh": counted(B=3)}, AS_OF_MS + 1000, e.run.store, ["wh", "s1"])
        e.run.log.append([event for event, _ in made.events()])
        e.ingest()
        assert made.emptied == 2
        assert positions(e, "A") == {"wh": (0, 0)}
        assert positions(e, "B") == {"wh": (3, 0), "s1": (0, 0)}


def test_events_are_cut_and_do_not_depend_on_the_order_of_lines(
    valkey: Embedded, config: Path
) -> None:
    skus = [f"A{n:04d}" for n in range(2 * LINES + 1)]
    with engine(valkey, config) as e:
        forth = plan({"wh": counted(**dict.fromkeys(skus, 1))}, AS_OF_MS, e.run.store)
        back = plan({"wh": counted(**dict.fromkeys(skus[::-1], 1))}, AS_OF_MS, e.run.store)
        assert [len(each["data"]["lines"]) for each in data(forth)] == [LINES, LINES, 1]
        assert list(forth.events()) == list(back.events())
        assert len({each["id"] for each in data(forth)}) == 3
