"""Levels explained on a running engine: by what the store and the log say, and by what was emitted."""

from pathlib import Path
from typing import Any

import pytest

from connectors.redis.embedded import Embedded
from flows.services.holds.service import HoldService
from flows.services.holds.values import HoldCreated, Wanted
from flows.services.policy.activate import activate
from flows.services.policy.overlay import change_overlay
from flows.services.queries.explain import LevelExplainer
from state.policy import overlay
from state.protocol.figures import SkuState
from state.store.policy_history import By
from tests.flows.harness import Engine, engine
from tests.flows.shop import lines

CONFIG = """
version: 1
locations: [{id: wh, kind: warehouse}, {id: s1, kind: store}, {id: s2, kind: store}]
policies: {floors: {store: 1}}
channels:
  - {id: shop}
  - {id: side, mode: shadow}
  - {id: market, opening: counted, locations: {exclude: [s2]}, buffer: {units: 2}}
"""


@pytest.fixture
def config(config: Path) -> Path:
    config.write_text(CONFIG)
    return config


def run(e: Engine) -> None:
    e.ingest()
    e.publish()


def counted(e: Engine, location: str, **units: int) -> None:
    at = "2026-01-01T00:00:00Z"
    e.send("wms.count", location=location, counted_at=at, lines=lines(**units))
    run(e)


def read(e: Engine, sku: str) -> SkuState:
    state = e.run.store.read(sku)
    assert state is not None
    return state


def apart(e: Engine, sku: str, channel: str) -> tuple[str, int | None, int]:
    """Why the channel was told another level, what it was told, and what the level is."""
    found, emitted = LevelExplainer(e.run).explain(read(e, sku), channel)
    assert found.findings == ()
    return emitted.apart, emitted.level, found.level


def test_what_was_emitted_is_what_is_explained(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config) as e:
        counted(e, "wh", A=9)
        counted(e, "s1", A=4)
        assert apart(e, "A", "shop") == ("", 12, 12)
        assert apart(e, "A", "market") == ("", 10, 10)
        assert apart(e, "A", "side") == ("shadow", None, 12)


def test_a_channel_that_waits_for_counts_names_the_locations(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        counted(e, "wh", A=9)
        found, emitted = LevelExplainer(e.run).explain(read(e, "A"), "market")
        assert (emitted.apart, emitted.level, emitted.uncounted) == ("not_counted", None, ("s1",))
        assert (found.level, found.findings) == (7, ())


def test_a_change_that_waits_for_its_tick_is_due(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config) as e:
        counted(e, "wh", A=9)
        e.send("pos.sale", location="wh", receipt="1", lines=lines(A=2))
        e.ingest()
        assert apart(e, "A", "shop") == ("due", 9, 7)
        e.publish()
        assert apart(e, "A", "shop") == ("", 7, 7)


def test_a_frozen_channel_keeps_its_level_and_the_bill_says_so(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        counted(e, "wh", A=9)
        now_ms = e.run.clock.now_ms()
        change_overlay(
            e.run, lambda known: overlay.hold(known, "shop", "frozen", now_ms, "ana", "test")
        )
        e.send("pos.sale", location="wh", receipt="1", lines=lines(A=2))
        run(e)
        found, emitted = LevelExplainer(e.run).explain(read(e, "A"), "shop")
        assert (emitted.apart, emitted.level, found.level, found.findings) == ("", 9, 9, ())
        assert found.steps[-1][:3] == ("frozen", 2, 9)


def test_a_level_that_was_told_wrong_is_a_finding(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config) as e:
        counted(e, "wh", A=9, B=5)
        counted(e, "s1", A=0, B=0)
        right = LevelExplainer(e.run).check_all(["A", "B"])
        assert (right.pairs, right.explained, right.findings) == (6, 6, ())
        spoil(e, "A", b'"shop":9', b'"shop":8')
        checked = LevelExplainer(e.run).check_all(["A", "B"])
        assert (checked.pairs, checked.explained) == (6, 5)
        (finding,) = checked.findings
        assert finding[:4] == ("A", "shop", 9, 8)
        assert finding.findings == ("emitted: expected 9, got 8, and nothing is under way",)


def spoil(e: Engine, sku: str, right: bytes, wrong: bytes) -> None:
    """Change what the store remembers as emitted, behind the engine's back."""
    client: Any = e.run.primaries.client
    (key,) = [key for key in client.keys("*") if key.endswith(f":pos:{sku}".encode())]
    text = client.hget(key, ">")
    assert right in text
    client.hset(key, ">", text.replace(right, wrong))


def test_after_another_policy_every_level_is_explained_under_it(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        counted(e, "wh", A=9)
        counted(e, "s1", A=4)
        config.write_text(CONFIG.replace("{id: shop}", "{id: shop, cap: 3}"))
        activate(e.run, config, By("ana", "fewer for the shop"))
        run(e)
        assert apart(e, "A", "shop") == ("", 3, 3)
        assert LevelExplainer(e.run).check_all(["A"]).findings == ()


def test_a_confirmed_hold_is_told_as_an_order(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config) as e:
        counted(e, "wh", A=9)
        holding = HoldService(e.run)
        assert isinstance(holding.create(Wanted("h1", (("A", 2),), channel="shop")), HoldCreated)
        holding.confirm("h1", "o9")
        run(e)
        assert apart(e, "A", "shop") == ("", 7, 7)
        steps = LevelExplainer(e.run).explain(read(e, "A"), "shop")[0].steps
        assert [step[:2] for step in steps][:2] == [("stock", 9), ("unrouted", -2)]
