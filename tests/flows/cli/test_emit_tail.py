import signal
import threading
from pathlib import Path
from queue import Queue

import orjson
import pytest

from flows.cli.emit import Unroutable, route
from tests.flows.shop import Shop, event, lines, rows

AS_STRUCTURED = {"content-type": "application/cloudevents+json"}


@pytest.mark.parametrize(
    ("kind", "data", "topic", "key"),
    [
        ("pos.sale", {"location": "s1", "order": "o1"}, "pos.sales", b"s1"),
        ("wms.receipt", {"location": "wh"}, "wms.receipts", b"wh"),
        ("supplier.stock", {"location": "sup-a"}, "wms.receipts", b"sup-a"),
        ("wms.shipment", {"location": "s1", "order": "o1"}, "wms.receipts", b"s1"),
        ("wms.transfer", {"from": "a", "to": "b", "stage": "shipped"}, "wms.receipts", b"a"),
        ("wms.transfer", {"from": "a", "to": "b", "stage": "received"}, "wms.receipts", b"b"),
        ("order.placed", {"order": "o1"}, "marketplace.orders", b"o1"),
        ("order.returned", {"order": "o1", "location": "s1"}, "marketplace.orders", b"o1"),
        ("pos.sale", {"location": 7}, "pos.sales", None),
        ("pos.sale", {}, "pos.sales", None),
    ],
)
def test_an_event_goes_where_its_type_and_data_say(
    kind: str, data: dict[str, str], topic: str, key: bytes | None
) -> None:
    assert route(orjson.dumps({"type": kind, "data": data})) == (topic, key)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"no json", "expected JSON"),
        (b'{"type": "pos.sale"', "expected JSON"),
        (b'{"type": "\xff"}', "expected JSON"),
        (b"[" * 100_000, "expected"),
        (b"[1]", "expected a CloudEvent in structured mode"),
        (b'{"type": 1}', "expected a CloudEvent in structured mode"),
        (b'{"type": "pos.sail"}', 'type: expected one of pos.sale, .*, got "pos.sail"'),
    ],
)
def test_a_line_that_belongs_nowhere_says_why(line: bytes, reason: str) -> None:
    with pytest.raises(Unroutable, match=reason):
        route(line)


def test_lines_that_fail_are_told_by_number_and_the_others_are_appended(shop: Shop) -> None:
    good = orjson.dumps(event(1, "pos.sale", location="s1", receipt="x", lines=lines(A=1)))
    (shop.folder / "events.jsonl").write_bytes(b"\n".join([good, b"", b"garbage", good, b"{}"]))
    done = shop.penstock("emit", "events.jsonl")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "emit: appended=2 failed=2"
    told = done.stderr.splitlines()
    assert [line.split(": ")[1] for line in told] == ["line 3", "line 5"]
    (first, second) = rows(shop.penstock("tail", "pos.sales", "--from-start", "--until-idle"))
    assert (first["key"], first["headers"], first["value"]) == (
        "s1", AS_STRUCTURED, orjson.loads(good),
    )  # fmt: skip
    assert second["offset"] == first["offset"] + 1


def test_with_a_topic_the_bytes_of_each_line_are_appended_as_they_are(shop: Shop) -> None:
    given = b'{"n": 18446744073709551616}\nplain\n\xff\x00\n\n[1,\r2]\r\n'
    args = ("--topic", "pos.sales", "--key", "k", "--header", "ce_id=1", "--header", "x=a=b")
    done = shop.penstock("emit", "-", *args, given=given)
    assert (done.returncode, done.stdout) == (0, "emit: appended=5 failed=0\n")
    tail = shop.penstock("tail", "pos.sales", "--from-start", "--until-idle")
    assert '"value":{"n": 18446744073709551616}}' in tail.stdout
    found = rows(tail)
    assert [row["value"] for row in found[1:]] == ["plain", {"base64": "/wA="}, "", [1, 2]]
    assert {row["key"] for row in found} == {"k"}
    assert found[0]["headers"] == {"ce_id": "1", "x": "a=b"}


def test_a_line_of_ten_megabytes_is_appended_whole(shop: Shop) -> None:
    long = orjson.dumps({"type": "pos.sale", "data": {"location": "s1", "note": "x" * 10_000_000}})
    done = shop.penstock("emit", "-", given=long + b"\n" + long)
    assert done.stdout == "emit: appended=2 failed=0\n"
    found = rows(shop.penstock("tail", "pos.sales", "--from-start", "--until-idle"))
    assert [len(row["value"]["data"]["note"]) for row in found] == [10_000_000] * 2


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("-", "--topic", "pos.sails"), "--topic: expected one of pos.sales, wms.receipts, "),
        (("-", "--header", "name"), "--header: expected name=value, got 'name'"),
        (("none.jsonl",), "none.jsonl: expected a readable file, got No such file or directory"),
        ((".",), ".: expected a readable file, got Is a directory"),
    ],
)
def test_what_cannot_be_emitted_is_said_in_a_line(
    tmp_path: Path, args: tuple[str, ...], told: str
) -> None:
    done = Shop(tmp_path).penstock("emit", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"penstock emit: {told}")
    assert done.stderr.count("\n") == 1


def test_tail_prints_what_comes_and_ends_when_asked(shop: Shop) -> None:
    old = event("old", "pos.sale", location="s1", receipt="x", lines=lines(A=1))
    shop.emit(old)
    tail = shop.start("tail", "pos.sales")
    heard: Queue[bytes] = Queue()
    assert tail.stdout is not None
    out = tail.stdout
    listener = threading.Thread(target=lambda: list(map(heard.put, out)), daemon=True)
    listener.start()
    for number in range(20):
        shop.emit(event(number, "pos.sale", location="s1", receipt="x", lines=lines(A=1)))
        if not heard.empty():
            break
    first = orjson.loads(heard.get(timeout=5))
    assert first["value"]["id"] != "old"
    tail.send_signal(signal.SIGTERM)
    assert tail.wait(10) == 0
    listener.join(10)
    assert tail.stderr is not None
    assert tail.stderr.read() == b""
    out.close()
    tail.stderr.close()


def test_tail_ends_cleanly_when_nobody_reads_on(shop: Shop) -> None:
    line = orjson.dumps({"type": "pos.sale", "data": {"note": "x" * 1_000}}) + b"\n"
    shop.penstock("emit", "-", given=line * 2_000)
    tail = shop.start("tail", "pos.sales", "--from-start")
    assert tail.stdout is not None
    assert tail.stdout.readline()
    tail.stdout.close()
    assert tail.wait(20) == 0
    assert tail.stderr is not None
    assert tail.stderr.read() == b""
    tail.stderr.close()


def test_tail_of_an_unknown_topic_is_wrong_usage(tmp_path: Path) -> None:
    done = Shop(tmp_path).penstock("tail", "stock.update")
    assert done.returncode == 2
    assert done.stderr.startswith("penstock tail: expected one of pos.sales, ")
