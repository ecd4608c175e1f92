"""`penstock wait`."""

import signal

import orjson

from tests.flows.shop import Shop, event, lines
from tests.patience import PATIENCE_S, PATIENTLY


def test_wait_tells_what_is_open_when_time_runs_out(shop: Shop) -> None:
    shop.emit(event(1, "pos.sale", location="s1", receipt="x", lines=lines(A=1)))
    waited = shop.penstock("wait", "--idle", "--timeout", "0.5")
    assert waited.returncode == 1
    printed = orjson.loads(waited.stdout)
    assert (printed["idle"], list(printed["lag"].values()), printed["due"]) == (False, [1], 0)
    assert waited.stderr.startswith("penstock wait: not idle within 0.5 s; open: pos.sales/")


def test_wait_returns_once_the_flows_have_done_all(shop: Shop) -> None:
    flows = shop.start("run")
    try:
        shop.emit(event(1, "wms.receipt", location="wh", reference="r", lines=lines(A=5)))
        waited = shop.penstock("wait", "--idle", *PATIENTLY)
        assert (waited.returncode, waited.stderr) == (0, "")
        assert orjson.loads(waited.stdout) == {"idle": True, "lag": {}, "due": 0}
        assert shop.stock("A")["levels"] == {"shopee": 4, "shop": 5}
    finally:
        flows.send_signal(signal.SIGTERM)
        said = flows.communicate(timeout=PATIENCE_S)[1]
    assert (flows.returncode, said) == (0, b"")
