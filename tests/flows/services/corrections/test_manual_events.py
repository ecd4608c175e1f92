"""What people do by command, with the flows running."""

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from connectors.config.settings import Settings
from connectors.redis.embedded import Embedded
from flows.runtime.session import connected
from flows.services.corrections.reconcile import BadFile, rows_of
from state.events.ops import MOVE
from state.protocol.apply import Apply, Part, ShardEvent
from state.protocol.sharding import shard_of
from tests.flows.harness import engine
from tests.flows.shop import CONFIG, Done, Shop, event, eventually, lines, rows, running

WITH_CODES = CONFIG + "sources:\n  - {prefix: /pos/, system: pos, codes: codes.csv}\n"


@pytest.fixture
def stocked(shop: Shop) -> Shop:
    """Ten of A and three of B at wh, four of A at s1, one of them sold."""
    shop.emit(
        event(1, "wms.receipt", location="wh", reference="r1", lines=lines(A=10, B=3)),
        event(2, "wms.receipt", location="s1", reference="r2", lines=lines(A=4)),
        event(3, "pos.sale", location="s1", receipt="x", lines=lines(A=1)),
        event(3, "pos.sale", location="s1", receipt="x", lines=lines(A=1)),
        event(4, "order.placed", order="o1", channel="shopee", lines=lines(A=2)),
    )
    shop.settle()
    return shop


def told(done: Done) -> str:
    return done.stderr.splitlines()[-1]


def test_an_adjustment_tells_the_figures_before_and_after(stocked: Shop) -> None:
    with running(stocked, ("run", "ingest")):
        done = stocked.penstock(
            "adjust", "A", "s1", "-2", "--reason", "damaged", "--by", "y.lin", "--note", "fell"
        )
        (found,) = rows(done)
    assert (found["before"], found["after"]) == (3, 1)
    (event_told,) = [
        each
        for each in rows(stocked.penstock("tail", "wms.receipts", "--from-start", "--until-idle"))
        if each["value"]["id"] == found["id"]
    ]
    assert event_told["value"]["source"] == "/penstock/adjust"
    assert event_told["value"]["data"]["actor"] == "y.lin"
    assert event_told["value"]["data"]["reason"] == "damaged"


def test_what_is_done_by_hand_while_events_set_the_clock_happens_then_and_not_today(
    shop: Shop,
) -> None:
    shop.env["PENSTOCK_CLOCK"] = "event"
    counted, listed = shop.folder / "positions.csv", shop.folder / "listed.csv"
    counted.write_text("location,sku,on_hand,unavailable\nwh,A,8,0\n")
    listed.write_text("location,sku,on_hand\nwh,A,8\n")

    def has(on_hand: int) -> bool:
        return [p["on_hand"] for p in shop.stock("A")["positions"]] == [on_hand]

    received = event(1, "wms.receipt", location="wh", reference="r", lines=lines(A=5))
    shop.emit(received | {"time": "2011-07-04T10:00:00+00:00"})
    with running(shop, ("run", "ingest")):
        assert eventually(lambda: shop.penstock("stock", "A").returncode == 0)
        adjusted = shop.penstock("adjust", "A", "wh", "1", "--reason", "found", "--by", "y.lin")
        assert (rows(adjusted)[0]["after"], has(6)) == (6, True)
        assert shop.penstock("import", str(counted)).returncode == 0
        assert eventually(lambda: has(8))
        compared = shop.penstock("reconcile", str(listed), "--source", "wms")
        assert "as_of=2011-07-04T10:00:00" in told(compared)
        sold = event(2, "pos.sale", location="wh", receipt="x", lines=lines(A=2))
        shop.emit(sold | {"time": "2011-07-04T11:00:00+00:00"})
        assert eventually(lambda: has(6)), "a count of today would have seen that sale"


def test_an_adjustment_that_makes_no_sense_is_not_sent(stocked: Shop) -> None:
    nowhere = stocked.penstock("adjust", "A", "mars", "1", "--reason", "found", "--by", "y")
    assert (nowhere.returncode, told(nowhere)) == (
        2,
        "penstock adjust: location: unknown location 'mars'",
    )
    nothing = stocked.penstock("adjust", "A", "s1", "0", "--reason", "found", "--by", "y")
    assert (nothing.returncode, told(nothing)) == (
        2,
        "penstock adjust: lines[0].quantity: expected integer other than 0, got 0",
    )
    assert (
        stocked.penstock("adjust", "A", "s1", "1", "--reason", "fun", "--by", "y").returncode == 2
    )


def test_an_adjustment_that_nobody_applies_says_so(stocked: Shop) -> None:
    done = stocked.penstock(
        "adjust", "A", "s1", "1", "--reason", "found", "--by", "y", "--timeout", "0.1"
    )
    assert done.returncode == 3
    assert "not applied within 0.1 s" in done.stderr
    assert "before" not in orjson.loads(done.stdout)


def test_an_audit_lists_what_touched_a_sku_and_agrees_with_the_log(stocked: Shop) -> None:
    stocked.emit(event(5, "order.cancelled", order="o1"))
    stocked.settle()
    (found,) = rows(stocked.penstock("audit", "A"))
    assert found["findings"] == []
    assert found["whole_log"]
    assert sorted((each["type"], each["does"], each["repeated"]) for each in found["events"]) == [
        ("order.cancelled", "order o1: given up", False),
        ("order.placed", "order o1: 2 asked for", False),
        ("pos.sale", "s1: on_hand -1", False),
        ("pos.sale", "s1: on_hand -1", True),
        ("wms.receipt", "s1: on_hand +4; s1: incoming -4 under r2", False),
        ("wms.receipt", "wh: on_hand +10; wh: incoming -10 under r1", False),
    ]
    (short,) = rows(stocked.penstock("audit", "A", "--limit", "1"))
    assert len(short["events"]) == 1
    assert stocked.penstock("audit", "none").returncode == 1


def test_an_audit_finds_a_figure_that_the_log_does_not_give(stocked: Shop) -> None:
    settings = Settings(data=stocked.folder / "data", config=stocked.config, metrics="off")
    with connected(settings) as run:
        place = run.policy.locate("A", "wh")
        stray = ShardEvent(7, "1", 5, 1, 1, 1, "", ((MOVE, "A", 0, 1, 0, 0),))
        part = Part("elsewhere/0", -1, 7, (stray,))
        call = Apply(run.clock.now_us(), run.policy.sums_revision, 9_000_000, (place,), (part,))
        run.store.apply({shard_of("A", run.store.shards): call})
    done = stocked.penstock("audit", "A")
    assert done.returncode == 1
    (found,) = [orjson.loads(line) for line in done.stdout.splitlines()]
    assert {"what": "wh: on_hand", "expected": "10 by the log", "found": "11"} in found["findings"]


@pytest.mark.slow
def test_a_list_of_another_system_is_compared_and_then_made_true(stocked: Shop) -> None:
    listed = stocked.folder / "wms.csv"
    listed.write_text("location,sku,on_hand\nwh,A,9\nwh,B,3\ns1,A,5\ns1,C,1\n")
    as_of = (datetime.now(UTC) - timedelta(milliseconds=200)).isoformat()
    stocked.emit(event(9, "pos.sale", location="s1", receipt="y", lines=lines(A=1)))
    with running(stocked, ("run", "ingest")):
        assert eventually(lambda: stocked.stock("A")["positions"][0]["on_hand"] == 2)
        base = ("reconcile", str(listed), "--source", "wms", "--as-of", as_of)
        done = stocked.penstock(*base)
        assert done.returncode == 1
        found = [orjson.loads(line) for line in done.stdout.splitlines()]
        assert [(each["location"], each["sku"], each["delta"]) for each in found] == [
            ("wh", "A", -1),
            ("s1", "A", 2),
            ("s1", "C", 1),
        ]
        assert stocked.penstock(*base, "--apply").returncode == 2
        mended = stocked.penstock(*base, "--apply", "--reason", "correction", "--by", "y.lin")
        assert mended.returncode == 0, mended.stderr
        assert told(mended).endswith("differ=3 counted_since=0 events=2 applied=2")
    assert {each["location"]: each["on_hand"] for each in stocked.stock("A")["positions"]} == {
        "wh": 9,
        "s1": 4,
    }
    assert stocked.penstock(*base).returncode == 0


@pytest.mark.slow
def test_a_position_counted_since_the_list_was_made_is_left_alone(stocked: Shop) -> None:
    stocked.emit(
        event(
            9,
            "wms.count",
            location="wh",
            counted_at=datetime.now(UTC).isoformat(),
            lines=lines(A=8),
        )
    )
    stocked.settle()
    listed = stocked.folder / "wms.csv"
    listed.write_text("location,sku,on_hand\nwh,A,10\n")
    done = stocked.penstock(
        "reconcile", str(listed), "--source", "wms", "--as-of", "2026-01-01T00:00:00Z", "--apply",
        "--reason", "correction", "--by", "y",
    )  # fmt: skip
    assert done.returncode == 1
    assert orjson.loads(done.stdout)["counted_since"]
    assert "applied=0" in told(done)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sku,on_hand\n", "wms.csv:1: expected the header location,sku,on_hand, got sku,on_hand"),
        (
            "location,sku,on_hand\nmars,A,1\n",
            "wms.csv:2: location: expected a known one, got 'mars'",
        ),
        ("location,sku,on_hand\nwh,A,x\n", "wms.csv:2: on_hand: expected an integer, got 'x'"),
        (
            "location,sku,on_hand\nwh,A,1\nwh,A,2\n",
            "wms.csv:3: expected each sku once at a location, got it again",
        ),
    ],
)
def test_a_list_that_is_wrong_is_refused_with_its_line(
    valkey: Embedded, config: Path, text: str, expected: str
) -> None:
    path = config.parent / "wms.csv"
    path.write_text(text)
    with engine(valkey, config) as e, pytest.raises(BadFile) as refused:
        list(rows_of(path, "wms", e.run))
    assert str(refused.value) == expected


def exported(shop: Shop, what: str) -> list[dict[str, str]]:
    done = shop.penstock("export", what, "--csv")
    assert done.returncode == 0, done.stderr
    return list(csv.DictReader(done.stdout.splitlines()))


def test_the_pool_and_the_sales_are_exported(stocked: Shop) -> None:
    positions = exported(stocked, "positions")
    assert sorted((p["sku"], p["location"], p["on_hand"]) for p in positions) == [
        ("A", "s1", "3"),
        ("A", "wh", "10"),
        ("B", "wh", "3"),
    ]
    levels = {(each["sku"], each["channel"]): each["level"] for each in exported(stocked, "levels")}
    assert levels["A", "shopee"] == "10"
    sales = exported(stocked, "sales")
    assert [(each["type"], each["document"], each["quantity"]) for each in sales] == [
        ("pos.sale", "x", "1"),
        ("order.placed", "o1", "2"),
    ]
    assert exported(stocked, "oversold") == []
    stocked.emit(event(8, "order.placed", order="o2", channel="shop", lines=lines(B=5)))
    stocked.settle()
    assert rows(stocked.penstock("export", "oversold")) == [
        {"sku": "B", "available": -2, "unrouted": 5, "held": 0}
    ]


@pytest.mark.slow
def test_a_code_added_while_the_flows_run_is_taken_up_and_its_letters_replay(
    shop: Shop, tmp_path: Path
) -> None:
    (shop.folder / "codes.csv").write_text("system,code,sku,units\npos,1,A,1\n")
    shop.config.write_text(WITH_CODES)
    sale = {
        **event(1, "pos.sale", location="s1", receipt="x", lines=lines(six=2)),
        "source": "/pos/1",
    }
    more = tmp_path / "more.csv"
    more.write_text("system,code,sku,units\npos,1,A,1\npos,six,A,6\n")
    with running(shop, ("run", "ingest")):
        assert eventually(lambda: shop.penstock("codes", "list").stdout != "")
        shop.emit(sale)
        assert eventually(lambda: shop.penstock("dead-letters", "list").stdout != "")
        planned = rows(shop.penstock("codes", "add", str(more), "--dry-run"))
        assert [each["code"] for each in planned] == ["six"]
        assert shop.penstock("codes", "show", "six").returncode == 1
        added = shop.penstock("codes", "add", str(more))
        assert told(added) == "penstock codes add: read=2 new=1 added=1"
        (row,) = rows(shop.penstock("codes", "show", "six"))
        assert (row["sku"], row["units"]) == ("A", 6)
        assert eventually(lambda: datetime.now(UTC).isoformat() > row["valid_from"])
        assert shop.penstock("dead-letters", "replay", "--all").returncode == 0
        assert eventually(lambda: shop.penstock("stock", "A").returncode == 0)
    assert shop.stock("A")["positions"][0]["on_hand"] == -12
    assert {each["code"] for each in rows(shop.penstock("codes", "show", "A"))} == {"1", "six"}


def test_codes_of_a_system_that_the_policy_does_not_map_are_refused(shop: Shop) -> None:
    shop.settle()
    (shop.folder / "more.csv").write_text("system,code,sku,units\nmars,1,A,1\n")
    done = shop.penstock("codes", "add", "more.csv")
    assert done.returncode == 2
    assert "expected one of a source with `codes` in the policy in force, got mars" in done.stderr
