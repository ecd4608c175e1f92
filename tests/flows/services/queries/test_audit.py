"""The figures of a SKU beside those that its events in the log give."""

from pathlib import Path

from connectors.redis.embedded import Embedded
from flows.services.queries.audit import audit
from tests.faults.load import Trading
from tests.flows.harness import engine
from tests.flows.shop import lines

ANYTHING = "unknown: {location: create, channel: create}\n"
EVENTS = 1_500
LOOKED_AT = 40


def test_random_trading_agrees_with_the_log_in_every_sku_looked_at(
    valkey: Embedded, config: Path
) -> None:
    config.write_text(config.read_text() + ANYTHING)
    with engine(valkey, config) as e:
        e.run.log.append([event.message() for event in Trading(3).take(EVENTS)])
        e.ingest()
        looked_at = sorted(set(e.run.store.skus()))[:LOOKED_AT]
        for sku in looked_at:
            found = audit(e.run, sku)
            assert found is not None
            assert found.findings == []
            assert found.is_whole
        assert len(looked_at) == LOOKED_AT


def test_after_the_log_was_trimmed_only_what_was_counted_since_is_compared(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config, partitions=1) as e:
        e.send("wms.receipt", location="wh", reference="r", lines=lines(A=5))
        e.send("wms.receipt", location="s1", reference="r", lines=lines(A=5))
        e.ingest()
        e.send_at("2026-01-02T00:00:00Z", "wms.adjustment", location="wh", reason="x", actor="y",
                  lines=lines(A=1))  # fmt: skip
        e.ingest()
        ends = e.run.log.end_offsets("wms.receipts")
        e.run.log.trim("wms.receipts", 0, ends[0] - 1)
        found = audit(e.run, "A")
        assert found is not None
        assert not found.is_whole
        assert (found.findings, found.unproven) == ([], ["s1", "wh"])
