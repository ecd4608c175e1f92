"""The stream of the demo: whole, in order, within its limits, and the same every time."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.demo.dump import FULL_YEAR_SHA256, dump, prepare, read_dump, stream_of
from flows.demo.events import Fact, StreamEvent
from flows.demo.grocery_year import read_trading
from flows.demo.sales import Sales, units_by_product
from flows.demo.stock import bought_once, positions_of
from flows.demo.stream import Story
from flows.demo.synthetic import made_up_trading

MONTH_SHA256 = "0b24a8f7e328581c186f485913f4689f26431411a16c3011f0dba2f5a4065620"
SYNTHETIC_SHA256 = "04cfcaa7013ffb615bc3cef1d65cb0aebc1db442425389233e4df498dfe9a7d4"
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def sales() -> Sales:
    return read_trading(1)


@pytest.fixture(scope="module")
def facts(sales: Sales) -> list[Fact]:
    return list(Story(sales).facts())


Position = tuple[str, str]
Move = tuple[int, Position, int]


def moves_of(facts: list[Fact]) -> Iterator[Move]:
    """Yield (business time, (location, sku), sellable units in or out) of every fact, in order."""
    for fact in facts:
        data = fact.data
        where = {
            "wms.count": ("location", 1),
            "pos.sale": ("location", -1),
            "wms.shipment": ("location", -1),
            "wms.receipt": ("location", 1),
            "order.returned": ("location", 1),
            "wms.transfer": ("from", -1) if data.get("stage") == "shipped" else ("to", 1),
        }.get(fact.type)
        for line in data.get("lines", ()) if where else ():
            if line.get("condition") != "damaged" and where:
                yield fact.business_ms, (data[where[0]], line["sku"]), where[1] * line["quantity"]


def units(facts: list[Fact], *types: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for fact in facts:
        if fact.type in types:
            found.update({line["sku"]: line["quantity"] for line in fact.data["lines"]})
    return found


def by_type(facts: list[Fact], type_: str) -> list[Fact]:
    return [fact for fact in facts if fact.type == type_]


def test_the_units_sold_and_ordered_are_the_units_of_the_data(
    sales: Sales, facts: list[Fact]
) -> None:
    expected = {str(product): count for product, count in units_by_product(sales).items()}
    assert units(facts, "pos.sale", "order.placed") == expected


def test_every_order_is_shipped_or_cancelled_and_only_shipped_ones_come_back(
    facts: list[Fact],
) -> None:
    named = {
        type_: [fact.data["order"] for fact in by_type(facts, type_)]
        for type_ in ("order.placed", "wms.shipment", "order.cancelled", "order.returned")
    }
    assert all(len(set(orders)) == len(orders) for orders in named.values())
    closed = named["wms.shipment"] + named["order.cancelled"]
    assert sorted(closed) == sorted(named["order.placed"])
    assert set(named["order.returned"]) < set(named["wms.shipment"])


def test_an_order_is_shipped_and_returned_whole(facts: list[Fact]) -> None:
    lines = {fact.data["order"]: fact.data["lines"] for fact in by_type(facts, "order.placed")}
    for fact in by_type(facts, "wms.shipment"):
        assert fact.data["lines"] == lines[fact.data["order"]]
    for fact in by_type(facts, "order.returned"):
        whole = [{k: line[k] for k in ("sku", "quantity")} for line in fact.data["lines"]]
        assert whole == lines[fact.data["order"]]


def test_no_fact_has_more_than_500_lines_and_no_sku_twice(facts: list[Fact]) -> None:
    for fact in facts:
        skus = [line["sku"] for line in fact.data.get("lines", ())]
        assert len(skus) == len(set(skus)) <= 500


def test_source_and_id_name_a_fact_for_ever(facts: list[Fact]) -> None:
    assert len({(fact.source, fact.id) for fact in facts}) == len(facts)


def test_the_opening_counts_come_first_and_hold_every_position(
    sales: Sales, facts: list[Fact]
) -> None:
    opening = [fact for fact in facts if fact.phase == "opening"]
    assert facts[: len(opening)] == opening
    assert {fact.type for fact in opening} == {"wms.count"}
    assert {fact.business_ms for fact in opening} == {int(sales.time_ms[0]) - 1}
    shops = [fact for fact in opening if fact.data["location"] != "dc"]
    assert sum(len(fact.data["lines"]) for fact in shops) == len(positions_of(sales).store)


def test_facts_are_in_time_order_and_the_closing_one_is_16_days_after_the_rest(
    facts: list[Fact],
) -> None:
    times = [fact.business_ms for fact in facts]
    assert times == sorted(times)
    assert facts[-1].id == "closing"
    assert times[-1] - times[-2] == 16 * DAY_MS


def test_transfers_leave_on_mondays_at_nine_and_arrive_a_day_later(facts: list[Fact]) -> None:
    shipped: dict[str, Fact] = {}
    for fact in by_type(facts, "wms.transfer"):
        sent = shipped.setdefault(fact.data["transfer"], fact)
        if fact.data["stage"] == "shipped":
            # Day 0 of the epoch was a Thursday.
            assert (fact.business_ms // DAY_MS % 7, fact.business_ms % DAY_MS) == (
                4,
                DAY_MS * 3 // 8,
            )
        else:
            assert fact.business_ms - sent.business_ms == DAY_MS
            assert fact.data["lines"] == sent.data["lines"]


def test_every_monday_raises_what_moved_to_its_mark_and_nothing_above_it(
    facts: list[Fact],
) -> None:
    marks: dict[Position, int] = {}
    stock: defaultdict[Position, int] = defaultdict(int)
    sent: defaultdict[Position, int] = defaultdict(int)
    raised_ms = 0

    def check() -> None:
        for position, mark in marks.items():
            after = stock[position] + sent[position]
            assert after == mark or (after > mark and not sent[position])

    for fact in facts:
        if raised_ms and fact.business_ms > raised_ms:
            check()
            raised_ms = 0
            sent.clear()
        if fact.type == "wms.transfer" and fact.data["stage"] == "shipped":
            raised_ms = fact.business_ms
            for line in fact.data["lines"]:
                sent[fact.data["to"], line["sku"]] += line["quantity"]
        for _, position, moved in moves_of([fact]):
            stock[position] += moved
            restocked = not bought_once(int(position[1]))
            if fact.type == "wms.count" and position[0] != "dc" and restocked:
                marks[position] = moved
    assert len(marks) > 50_000


def test_the_centre_never_runs_out_and_ends_with_what_it_opened_with(facts: list[Fact]) -> None:
    opening = units([f for f in by_type(facts, "wms.count") if f.key == "dc"], "wms.count")
    stock: Counter[str] = Counter()
    for _, (location, sku), moved in moves_of(facts):
        if location == "dc":
            stock[sku] += moved
            assert stock[sku] >= 0
    assert stock == opening
    assert units(facts, "wms.receipt") == units(
        [fact for fact in by_type(facts, "wms.transfer") if fact.data["stage"] == "shipped"],
        "wms.transfer",
    )


def test_a_product_bought_once_runs_down_to_what_was_cancelled_or_came_back(
    facts: list[Fact],
) -> None:
    stock: Counter[str] = Counter()
    for _, (_, sku), moved in moves_of(facts):
        if bought_once(int(sku)):
            stock[sku] += moved
    cancelled = {fact.data["order"] for fact in by_type(facts, "order.cancelled")}
    kept: Counter[str] = Counter()
    for fact in facts:
        back = fact.type == "order.placed" and fact.data["order"] in cancelled
        if back or fact.type == "order.returned":
            for line in fact.data["lines"]:
                if line.get("condition") != "damaged" and bought_once(int(line["sku"])):
                    kept[line["sku"]] += line["quantity"]
    assert +stock == +kept
    assert min(stock.values()) == 0


def test_an_announced_reference_is_received_in_full(facts: list[Fact]) -> None:
    received = {
        fact.data["reference"]: fact.data["lines"] for fact in by_type(facts, "wms.receipt")
    }
    announced = [fact for fact in by_type(facts, "wms.announced") if fact.id != "closing"]
    assert announced
    for fact in announced:
        assert fact.data["lines"] == received[fact.data["reference"]]


def test_every_eighth_fact_is_told_in_binary_mode(facts: list[Fact]) -> None:
    assert [fact.binary for fact in facts[:16]] == [n % 8 == 7 for n in range(16)]


def test_a_dump_reads_back_as_the_stream_it_was_written_from(tmp_path: Path) -> None:
    stream = list(stream_of(made_up_trading(), 40))
    path = tmp_path / "stream.jsonl"
    dump(stream, path)
    assert list(read_dump(path)) == stream
    assert path.read_bytes().count(b"\n") == len(stream)


def test_the_month_hashes_to_the_figure_written_here(sales: Sales) -> None:
    assert dump(stream_of(sales), Path(os.devnull)) == MONTH_SHA256


def test_the_year_hashes_to_the_figure_that_the_demo_checks() -> None:
    events = 0

    def counted() -> Iterator[StreamEvent]:
        nonlocal events
        for event in stream_of(read_trading()):
            events += 1
            yield event

    assert dump(counted(), Path(os.devnull)) == FULL_YEAR_SHA256
    assert events >= 150_000


def test_preparing_twice_writes_the_same_files_and_tells_what_is_in_them(tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    (tmp_path / "again").mkdir()
    first = prepare(None, synthetic=True, workdir=tmp_path, progress=lambda *s: steps.append(s))
    again = prepare(None, synthetic=True, workdir=tmp_path / "again")
    assert first.sha256 == again.sha256 == SYNTHETIC_SHA256
    assert first.config_path.read_text() == first.config_text == again.config_text
    stream = list(read_dump(first.stream_path))
    assert first.events == len(stream) == sum(first.kinds.values()) == sum(first.types.values())
    assert first.planted_dead == sum(event.kind == "bad" for event in stream)
    assert first.planted_duplicates == sum(event.kind == "duplicate" for event in stream)
    assert first.lines == sum(event.lines for event in stream)
    assert {step for step, *_ in steps} == {"reading", "planning", "writing"}


def test_the_configuration_names_every_place_and_channel_of_the_stream(tmp_path: Path) -> None:
    import yaml

    prepared = prepare(None, synthetic=True, workdir=tmp_path)
    config: dict[str, Any] = yaml.safe_load(prepared.config_text)
    facts = list(Story(made_up_trading()).facts())
    places = {fact.data["location"] for fact in facts if "location" in fact.data}
    assert places == {place["id"] for place in config["locations"]}
    channels = {fact.data["channel"] for fact in facts if fact.type == "order.placed"}
    assert channels <= {channel["id"] for channel in config["channels"]}
    assert "&" not in prepared.config_text
    ends = {campaign["end"] for campaign in config["campaigns"]}
    assert all(end < "2017-01-20" for end in ends)
