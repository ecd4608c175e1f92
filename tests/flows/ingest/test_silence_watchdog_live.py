"""A silent shop, with both flows at work: how soon its stock is left out, and how soon it counts again."""

from typing import Any

import pytest

from tests.flows.shop import Shop, event, lines, rows
from tests.patience import PATIENCE_S, eventually

CONFIG = """
version: 1
locations: [{id: s1, kind: store, silent_after_s: 7}, {id: s2, kind: store}]
channels: [{id: shop}]
"""
SILENT_AFTER_MS, LEFT_OUT_WITHIN_MS, BACK_WITHIN_MS = 7_000, 2_000, 1_000


def received(shop: Shop, number: int, location: str) -> None:
    shop.emit(event(number, "wms.receipt", location=location, reference="r", lines=lines(A=5)))


def messages(shop: Shop, topic: str) -> list[dict[str, Any]]:
    return rows(shop.penstock("tail", topic, "--from-start", "--until-idle"))


def shown(shop: Shop) -> list[tuple[int, int]]:
    """Levels as they were told, each with its log timestamp (ms)."""
    emitted = sorted(
        messages(shop, "stock.updates"), key=lambda row: row["value"]["data"]["version"]
    )
    return [(row["value"]["data"]["levels"]["shop"], row["timestamp_ms"]) for row in emitted]


@pytest.mark.quiet
def test_a_silent_shop_is_left_out_promptly_and_counts_again_with_its_first_event(
    shop: Shop,
) -> None:
    shop.config.write_text(CONFIG)
    flows = [shop.start("run", role) for role in ("ingest", "publish")]
    try:
        received(shop, 1, "s1")
        received(shop, 2, "s2")
        assert eventually(lambda: [level for level, _ in shown(shop)][-1:] == [5])
        (_, left_out_ms) = shown(shop)[-1]
        received(shop, 3, "s1")
        assert eventually(lambda: shown(shop)[-1][0] == 15)
    finally:
        for process in flows:
            process.terminate()
        said = [process.communicate(timeout=PATIENCE_S)[1].decode() for process in flows]
    assert [process.returncode for process in flows] == [0, 0]
    assert [text.count("location ") for text in said] == [2, 0]
    first, _, third = sorted(messages(shop, "wms.receipts"), key=lambda row: row["timestamp_ms"])
    back_ms = next(ms for level, ms in shown(shop) if level == 15)
    due_ms = first["timestamp_ms"] + SILENT_AFTER_MS
    assert 0 <= left_out_ms - due_ms <= LEFT_OUT_WITHIN_MS
    assert back_ms - third["timestamp_ms"] <= BACK_WITHIN_MS
