"""What the log still tells of a SKU."""

from pathlib import Path

import pytest

from connectors.log.base import Partition
from connectors.redis.embedded import Embedded
from flows.cli.op_text import summary
from flows.services.queries import sku_history as history
from flows.services.queries.sku_history import backwards, touched
from tests.flows.harness import Engine, engine
from tests.flows.shop import lines

CODED = "sources:\n  - {prefix: /test, system: pos, codes: codes.csv}\n"


def sale(e: Engine, sku: str, units: int = 1) -> None:
    e.send("pos.sale", location="s1", receipt="x", lines=lines(**{sku: units}))


def does(e: Engine, sku: str, limit: int | None = None) -> list[str]:
    return [summary(touch.ops) for touch in touched(e.run, sku, limit)]


def test_a_log_is_read_from_its_end_in_windows(
    valkey: Embedded, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "WINDOW", 3)
    with engine(valkey, config, partitions=1) as e:
        for n in range(10):
            sale(e, f"A{n}")
        log, partition = e.run.log, Partition("pos.sales", 0)
        start, end = log.start_offsets("pos.sales")[0], log.end_offsets("pos.sales")[0]
        found = [record.offset for record in backwards(log, partition, start, end)]
        assert found == sorted(found, reverse=True)
        assert len(found) == 10


def test_the_newest_that_touched_a_sku_are_found_and_no_other(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        for units in range(1, 6):
            sale(e, "A", units)
            sale(e, "AB")
        assert does(e, "A", 2) == ["s1: on_hand -4", "s1: on_hand -5"]
        assert len(does(e, "A")) == 5


def test_what_names_no_sku_is_found_by_its_order_or_its_reference(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        for order, sku in (("o1", "A"), ("o2", "B")):
            e.send("order.placed", key=order, order=order, channel="shop", lines=lines(**{sku: 1}))
            e.send("order.cancelled", key=order, order=order)
        announced = {"location": "wh", "reference": "po", "expected_at": "2026-01-01T00:00:00Z"}
        e.send("wms.announced", lines=lines(A=2), **announced)
        e.send("wms.receipt", location="wh", reference="po", final=True)
        e.send("wms.receipt", location="wh", reference="other", final=True)
        assert sorted(does(e, "A")) == [
            "order o1: 1 asked for",
            "order o1: given up",
            "wh: incoming +2 under po",
            "wh: nothing more incoming under po",
        ]


def test_what_went_to_the_dead_letters_is_not_told_though_it_would_pass_by_now(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        e.send("pos.sale", location="new", receipt="x", lines=lines(A=1))
        e.ingest()
    config.write_text(config.read_text().replace("id: s1", "id: new"))
    with engine(valkey, config) as again:
        assert does(again, "A") == []


def test_a_sku_is_found_under_the_codes_of_other_systems(valkey: Embedded, config: Path) -> None:
    (config.parent / "codes.csv").write_text("system,code,sku,units\npos,six,A,6\npos,one,B,1\n")
    config.write_text(config.read_text() + CODED)
    with engine(valkey, config) as e:
        sale(e, "six", 2)
        sale(e, "one")
        assert does(e, "A") == ["s1: on_hand -12"]


def test_an_event_sent_twice_is_told_as_repeated(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config) as e:
        for _ in range(2):
            e.send("pos.sale", event_id="1", location="s1", receipt="x", lines=lines(A=1))
        assert [touch.is_repeated for touch in touched(e.run, "A", None)] == [False, True]
