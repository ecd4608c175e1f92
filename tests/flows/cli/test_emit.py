"""`penstock emit`."""

from pathlib import Path

import orjson
import pytest

from tests.flows.shop import Shop, event, lines, rows

AS_STRUCTURED = {"content-type": "application/cloudevents+json"}


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
