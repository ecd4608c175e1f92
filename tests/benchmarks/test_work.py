"""The streams: the same each time, and what must come of them is what a plain recount of the messages finds."""

from collections import Counter, defaultdict

import orjson
import pytest

from connectors.log.base import Record
from connectors.messages.cloudevents import Envelope, parse
from state.events.messages import Event
from state.events.normalise import effects
from state.events.validation import Rejection, decode
from state.policy.compiled import compiled
from state.policy.document import Location, Policy
from tests.benchmarks.filling import Message, Writer
from tests.benchmarks.system import RESENT_WITHIN, Mode, Work
from tests.benchmarks.work import Plan, location_ids, partition_of, places_of, plan_of

SECOND = 1_790_000_000
SMALL = Work("W1", "structured", 1, 40, 8, 5, 2_000)
WIDE = Work("wide", "structured", 3, 200, 50, 3, 1_000)
BINARY = Work("W2", "binary", 1, 40, 1, 5, 500)
BASKETS = Work("W3", "structured", 0, 68_000, 433, 5, 300)


def messages(plan: Plan) -> list[list[Message]]:
    """The sales of every partition, behind the receipts of it."""
    writer = Writer(plan.work.mode, SECOND)
    found: list[list[Message]] = [[] for _ in range(plan.work.partitions)]
    for partition, event in plan.receipts():
        found[partition].append(writer.receipt(event))
    for partition, mine in enumerate(found):
        mine += [writer.sale(event) for event in plan.sales(partition)]
    return found


def as_event(message: Message, mode: Mode) -> tuple[str, str, str, dict[str, object]]:
    """Source, id, type and data, by no code of the project."""
    _, value, headers = message
    if mode == "binary":
        told = {name: text.decode() for name, text in headers}
        return told["ce_source"], told["ce_id"], told["ce_type"], orjson.loads(value)
    event = orjson.loads(value)
    return event["source"], event["id"], event["type"], event["data"]


@pytest.mark.parametrize("work", [SMALL, WIDE, BINARY, BASKETS], ids=lambda work: work.name)
def test_what_is_expected_is_what_a_recount_of_the_messages_finds(work: Work) -> None:
    plan = plan_of(work)
    seen = set()
    on_hand: dict[str, Counter[str]] = defaultdict(Counter)
    for mine in messages(plan):
        for message in mine:
            source, identity, kind, data = as_event(message, work.mode)
            if (source, identity) in seen:
                continue
            seen.add((source, identity))
            sign = 1 if kind == "wms.receipt" else -1
            for line in data["lines"]:  # type: ignore[attr-defined]
                on_hand[line["sku"]][str(data["location"])] += sign * line["quantity"]
    expected = plan.expected()
    assert expected.stock == {sku: sum(by.values()) for sku, by in on_hand.items()}
    assert expected.available == {
        sku: sum(max(0, units) for units in by.values()) for sku, by in on_hand.items()
    }
    assert all(units > 0 for by in on_hand.values() for units in by.values())


@pytest.mark.parametrize("work", [SMALL, BINARY], ids=lambda work: work.name)
def test_the_engine_reads_every_message_and_refuses_none(work: Work) -> None:
    shop = compiled(Policy(locations=tuple(Location(x, "store") for x in places_of(work))))
    for partition, mine in enumerate(messages(plan_of(work))):
        for offset, (key, value, headers) in enumerate(mine):
            record = Record("t", partition, offset, 1000 * SECOND, key, tuple(headers), value)
            envelope = parse(record)
            assert isinstance(envelope, Envelope), envelope
            data = decode(envelope.type, envelope.data)
            assert not isinstance(data, Rejection), data
            event = Event(envelope.id, envelope.source, envelope.type, envelope.time_ms, data)
            assert not isinstance(effects(event, 1000 * SECOND, shop, None), Rejection)


def test_a_stream_is_the_same_each_time() -> None:
    assert messages(plan_of(SMALL)) == messages(plan_of(SMALL))
    assert messages(plan_of(SMALL)) != messages(plan_of(SMALL, seed=2))


def test_one_sale_in_a_hundred_is_a_copy_of_one_not_long_before_it() -> None:
    work = Work("W1", "structured", 1, 40, 8, 5, 60_000)
    plan = plan_of(work)
    copies = 0
    for mine in plan.messages:
        at: dict[int, int] = {}
        for place, number in enumerate(mine.tolist()):
            if number in at:
                copies += 1
                assert place - at[number] <= RESENT_WITHIN
            at.setdefault(number, place)
    assert copies == pytest.approx(600, abs=8)
    assert sum(map(len, plan.messages)) == pytest.approx(60_000, abs=8)


def test_a_marker_stands_at_a_tenth_and_at_the_end_of_each_partition() -> None:
    plan = plan_of(SMALL)
    for partition in range(SMALL.partitions):
        skus = [event.lines[0].sku for event in plan.sales(partition)]
        assert skus.index(f"warm-{partition}") == (len(skus) - 2) // 10
        assert skus[-1] == f"end-{partition}"
    assert plan.measured_events == sum(
        len(mine) - len(mine) // 10 for mine in plan.messages
    ) == plan.measured_lines  # fmt: skip


def test_each_partition_has_its_share_of_the_locations_and_each_sale_lies_where_its_key_says() -> (
    None
):
    for locations in (8, 50, 433):
        shares = Counter(partition_of(x, 4) for x in location_ids(locations, 4))
        assert max(shares.values()) - min(shares.values()) <= 2
    for partition, mine in enumerate(messages(plan_of(SMALL))):
        assert {partition_of(key.decode(), 4) for key, _, _ in mine} == {partition}


def test_a_structured_sale_has_about_250_bytes() -> None:
    sizes = [len(value) for mine in messages(plan_of(SMALL)) for key, value, _ in mine[-100:]]
    assert 220 <= sum(sizes) / len(sizes) <= 280
