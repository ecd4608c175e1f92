"""Figures of suppliers that take too much away at once."""

from pathlib import Path
from typing import Any

import pytest

from connectors.messages import dead_letters
from connectors.redis.embedded import Embedded
from flows.ingest.shrink_guard import verdict
from flows.runtime.clock import now_ms
from state.events.timestamps import ms_rfc3339
from state.protocol.figures import Position, StoredPosition
from state.store import guard_decisions as feeds
from tests.flows.harness import Engine, engine
from tests.flows.shop import lines

SKUS = tuple(f"A{n}" for n in range(20))
GUARDED = "  - {id: sup-a, kind: dropship, shrink_guard_pct: 30}\n"


@pytest.fixture
def guarded(config: Path) -> Path:
    config.write_text(config.read_text().replace("locations:\n", f"locations:\n{GUARDED}"))
    return config


def figures(e: Engine, age_ms: int = 0, **quantities: int) -> None:
    data: dict[str, Any] = {"location": "sup-a", "as_of": ms_rfc3339(now_ms() - age_ms)}
    e.send("supplier.stock", lines=lines(**quantities), **data)
    e.ingest()


def letters(e: Engine) -> list[str]:
    return [listed.letter.reason for listed in dead_letters.listing(e.run.log)]


def test_figures_that_empty_too_much_are_held_back_until_accepted(
    valkey: Embedded, guarded: Path
) -> None:
    with engine(valkey, guarded) as e:
        figures(e, 9_000, **dict.fromkeys(SKUS, 5))
        figures(e, 6_000, **dict.fromkeys(SKUS[:6], 0))
        assert letters(e) == []
        figures(e, 3_000, **dict.fromkeys(SKUS[6:16], 0), **dict.fromkeys(SKUS[16:], 5))
        assert letters(e) == [
            "supplier_shrink: expected at most 30 % of SKUs to go to 0, got 10 of 14"
        ]
        assert e.on_hand("A6") == {"sup-a": 5}
        (listed,) = dead_letters.listing(e.run.log)
        dead_letters.replay(e.run.log, [listed.letter.id], now_ms())
        e.ingest()
        assert e.on_hand("A6") == {"sup-a": 5}
        dead_letters.replay(e.run.log, [listed.letter.id], now_ms(), (feeds.ACCEPTED,))
        e.ingest()
        assert e.on_hand("A6") == {"sup-a": 0}


def test_what_was_decided_of_figures_stays_though_the_stock_has_changed(
    valkey: Embedded, guarded: Path
) -> None:
    with engine(valkey, guarded) as e:
        figures(e, 9_000, **dict.fromkeys(SKUS, 5))
        figures(e, 3_000, **dict.fromkeys(SKUS, 0))
        assert len(letters(e)) == 1
        # All of it sold: by now the same figures would pass.
        e.send("pos.sale", location="sup-a", receipt="x", lines=lines(**dict.fromkeys(SKUS, 5)))
        e.ingest()
        for shard in range(e.run.store.shards):
            e.run.primaries.client.delete(e.run.store.keys.shard(shard, "mark"))
    with engine(valkey, guarded) as again:
        again.ingest()
        assert len(letters(again)) == 1
        assert again.on_hand("A1") == {"sup-a": 0}


def test_an_unguarded_location_is_never_asked_about(valkey: Embedded, config: Path) -> None:
    plain = GUARDED.replace(", shrink_guard_pct: 30", "")
    config.write_text(config.read_text().replace("locations:\n", f"locations:\n{plain}"))
    with engine(valkey, config) as e:
        figures(e, 9_000, **dict.fromkeys(SKUS, 5))
        figures(e, 3_000, **dict.fromkeys(SKUS, 0))
        assert letters(e) == []
        assert not e.run.primaries.client.exists(e.run.store.keys.feeds())


def test_decisions_behind_all_marks_are_forgotten_and_the_newest_kept(
    valkey: Embedded, guarded: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "KEPT", 4)
    with engine(valkey, guarded) as e:
        client, keys, decisions = e.run.primaries.client, e.run.store.keys, e.run.shared.decisions
        for offset in range(6):
            assert decisions.decide_once("log/0", offset, lambda: "") == ""
        assert decisions.trim([{"log/0": 9}, {"log/0": 3}]) == 2
        assert sorted(client.hkeys(keys.feeds())) == [
            b"log/0/2", b"log/0/3", b"log/0/4", b"log/0/5",
        ]  # fmt: skip


def stored(on_hand: int, counted_at_ms: int | None = None) -> StoredPosition:
    return StoredPosition(Position("x", on_hand, 0, 0, 0, counted_at_ms), None, 0, ())


@pytest.mark.parametrize(
    ("before", "after", "pct", "held"),
    [
        ([5] * 10, [0] * 3 + [5] * 7, 30, ""),
        ([5] * 10, [0] * 4 + [9] * 6, 30, "got 4 of 10"),
        ([5] * 10, [1] * 10, 79, "got 40 of 50"),
        ([5] * 10, [1] * 10, 80, ""),
        ([5] * 9, [0] * 9, 10, ""),
        ([5] * 9 + [0] * 50, [0] * 59, 10, ""),
        ([5] * 10, [0] * 10, 100, ""),
        ([5] * 10, [4] * 10, 0, "got 10 of 50"),
    ],
)
def test_the_share_is_of_the_skus_with_stock_and_of_their_units(
    before: list[int], after: list[int], pct: int, held: str
) -> None:
    reason = verdict(after, list(map(stored, before)), 7, pct)
    assert reason.endswith(held)
    assert bool(reason) == bool(held)


def test_figures_older_than_the_newest_take_nothing_away_and_are_not_asked_about() -> None:
    assert verdict([0] * 10, [stored(5, 8)] * 10, 7, 10) == ""
    assert verdict([0] * 10, [None] * 10, 7, 10) == ""
