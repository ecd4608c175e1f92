"""After a new policy, what may fall is due before the rest."""

from pathlib import Path
from typing import Any

import pytest

from connectors.redis.embedded import Embedded
from flows.publish import policy_rollout
from flows.services.policy.activate import activate
from state.store.policy_history import By
from tests.flows.harness import Engine, Waited, engine
from tests.flows.shop import CONFIG, lines

SKUS = 400
SPREAD = """
categories: [{id: some, skus: ["?[0-9]0"]}]
policies: {overrides: [{category: some, channel: shop, buffer: {units: 2}}]}
"""


def stocked(e: Engine) -> None:
    names = [f"A{n:02d}" for n in range(SKUS)]
    for start in range(0, SKUS, 100):
        some = dict.fromkeys(names[start : start + 100], 5)
        e.send("wms.receipt", location="wh", reference=f"r{start}", lines=lines(**some))
    e.ingest()
    while e.publish(1):
        pass


@pytest.fixture(autouse=True)
def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """SKUs come up so slowly after a new policy that it tells which of them were in a hurry."""
    monkeypatch.setattr(policy_rollout, "REQUEUED_PER_S", 40)


@pytest.fixture
def passing() -> Waited:
    """Seconds decide here what comes up meanwhile: they are those that somebody waited, not those that work took."""
    return Waited()


def emitted(e: Engine) -> list[dict[str, Any]]:
    return e.emitted("stock.updates")


def change(e: Engine, config: Path, text: str) -> int:
    """Bring a configuration in force. Return how many updates were told before."""
    config.write_text(text)
    activate(e.run, config, By("ann", "test"))
    return len(emitted(e))


def due(e: Engine) -> dict[str, float]:
    """Return when each SKU is due, in ms from now."""
    now_ms = e.run.clock.now_ms()
    found: dict[str, float] = {}
    for shard in range(e.run.store.shards):
        key = e.run.store.keys.shard(shard, "due")
        scores: Any = e.run.primaries.client.zrange(key, 0, -1, withscores=True)
        found |= {sku.decode(): at_ms - now_ms for sku, at_ms in scores}
    return found


def test_what_may_fall_is_told_first_and_the_rest_in_its_turn(
    valkey: Embedded, config: Path, passing: Waited
) -> None:
    with engine(valkey, config, passing) as e:
        stocked(e)
        before = change(e, config, CONFIG + SPREAD)
        e.publish(1)
        news = emitted(e)[before:]
        e.publish(1)
        fell = {f"A{n:02d}" for n in range(0, 100, 10)}
        assert {update["sku"] for update in news} == fell
        assert all(update["changed"] == ["shop"] for update in news)
        left = {sku: in_ms for sku, in_ms in due(e).items() if in_ms < 60_000}
        assert set(left) >= {f"A{n:02d}" for n in range(SKUS)} - fell
        # 400 SKUs at 40 a second.
        assert 8_000 < max(left.values()) < 10_500
        assert sum(in_ms < 5_000 for in_ms in left.values()) > SKUS / 3


def test_a_process_that_starts_with_another_file_hastens_what_falls_by_it(
    valkey: Embedded, config: Path, passing: Waited
) -> None:
    with engine(valkey, config, passing) as e:
        stocked(e)
    config.write_text(CONFIG + SPREAD)
    with engine(valkey, config, passing) as e:
        before = len(emitted(e))
        e.publish(1)
        assert {update["sku"] for update in emitted(e)[before:]} == {
            f"A{n:02d}" for n in range(0, 100, 10)
        }


def test_a_policy_that_only_gives_hastens_nothing(
    valkey: Embedded, config: Path, passing: Waited
) -> None:
    with engine(valkey, config, passing) as e:
        stocked(e)
        before = change(e, config, CONFIG.replace("units: 1", "units: 0"))
        e.publish(2)
        news = emitted(e)[before:]
        assert len(news) < SKUS / 3
        left = [in_ms for in_ms in due(e).values() if in_ms < 60_000]
        assert len(left) + len(news) >= SKUS
        assert sum(in_ms > 1_000 for in_ms in left) > SKUS / 2


def test_when_every_sku_may_fall_all_come_up_at_once_and_each_is_claimed_once(
    valkey: Embedded, config: Path, passing: Waited
) -> None:
    with engine(valkey, config, passing) as e:
        stocked(e)
        before = change(e, config, CONFIG.replace("units: 1", "units: 2"))
        assert e.publish() == SKUS
        assert len(emitted(e)[before:]) == SKUS
        assert min(due(e).values()) > 60_000


def test_what_had_not_come_up_when_another_policy_followed_comes_up_at_once_all_the_same(
    valkey: Embedded, config: Path, passing: Waited
) -> None:
    """The second policy gives back half of what the first took, which most SKUs have not even told."""
    with engine(valkey, config, passing) as e:
        stocked(e)
        before = change(e, config, CONFIG + "policies: {network_threshold: 2}\n")
        e.now_s += 1
        e.claimer._tick(e.now_s)
        e.claimer._rollout.advance(e.now_s)
        assert e.claimer._rollout._all_at_once
        change(e, config, CONFIG + "policies: {network_threshold: 1}\n")
        e.publish()
        news = emitted(e)[before:]
        assert {update["sku"] for update in news} == {f"A{n:02d}" for n in range(SKUS)}
        assert all(update["levels"]["shop"] == 4 for update in news)
