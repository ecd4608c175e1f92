"""`penstock tail`."""

import signal
import threading
from itertools import count
from pathlib import Path
from queue import Queue

import orjson

from tests.flows.shop import Shop, event, lines
from tests.patience import PATIENCE_S, eventually


def test_tail_prints_what_comes_and_ends_when_asked(shop: Shop) -> None:
    old = event("old", "pos.sale", location="s1", receipt="x", lines=lines(A=1))
    shop.emit(old)
    tail = shop.start("tail", "pos.sales")
    heard: Queue[bytes] = Queue()
    assert tail.stdout is not None
    out = tail.stdout
    listener = threading.Thread(target=lambda: list(map(heard.put, out)), daemon=True)
    listener.start()
    numbers = count()

    def is_heard() -> bool:
        sale = event(next(numbers), "pos.sale", location="s1", receipt="x", lines=lines(A=1))
        shop.emit(sale)
        return not heard.empty()

    assert eventually(is_heard)
    first = orjson.loads(heard.get())
    assert first["value"]["id"] != "old"
    tail.send_signal(signal.SIGTERM)
    assert tail.wait(PATIENCE_S) == 0
    listener.join(PATIENCE_S)
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
    assert tail.wait(PATIENCE_S) == 0
    assert tail.stderr is not None
    assert tail.stderr.read() == b""
    tail.stderr.close()


def test_tail_of_an_unknown_topic_is_wrong_usage(tmp_path: Path) -> None:
    done = Shop(tmp_path).penstock("tail", "stock.update")
    assert done.returncode == 2
    assert done.stderr.startswith("penstock tail: expected one of pos.sales, ")
