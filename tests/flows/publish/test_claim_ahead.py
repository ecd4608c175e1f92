"""While more is due, the next claims are asked for before those in hand are told, and that changes nothing else."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis

from connectors.redis.embedded import Embedded
from flows.publish import claimer as claiming
from flows.publish.claimer import Claims
from flows.publish.steps import begin_settle, decide, emit, guard
from flows.runtime import signals as stop
from state.protocol.claim import Claim
from state.protocol.sharding import shard_of
from state.store.shards import Store
from tests.flows.harness import Engine, engine
from tests.flows.shop import lines
from tests.patience import eventually

TICK_MS = 1


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One SKU of a shard at once, so that more is due."""
    monkeypatch.setattr(claiming, "CLAIM_MAX", 1)


def trade(e: Engine, skus: int = 3) -> list[str]:
    """Make SKUs of one shard due, and let all that was due before them be told."""
    e.publish()
    names = [f"A{n}" for n in range(1000) if shard_of(f"A{n}", e.run.store.shards) == 0][:skus]
    e.send("wms.receipt", location="wh", reference="r", lines=lines(**dict.fromkeys(names, 5)))
    e.ingest()
    e.run.clock.wait(2 * TICK_MS / 1000)
    e.now_s += 1
    return names


def claimed(e: Engine) -> Claims | None:
    return e.claimer.next_claims(e.now_s)


def tell(e: Engine, claims: Claims) -> None:
    """Tell a round as the flow does."""
    begin_settle(e.run, emit(e.run, guard(e.run, decide(e.run, claims))))


def tell_all(e: Engine) -> None:
    while (claims := claimed(e)) is not None:
        tell(e, claims)


def emitted(e: Engine) -> list[str]:
    return [update["sku"] for update in e.emitted("stock.updates")]


def still_open(e: Engine, names: list[str]) -> int:
    states = [e.run.store.read(name) for name in names]
    return sum(state is not None and state.open for state in states)


def first(e: Engine) -> Claims:
    claims = claimed(e)
    assert claims is not None
    return claims


def test_the_next_is_claimed_while_the_first_is_told(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config, tick_ms=TICK_MS) as e:
        names = trade(e)
        claims = first(e)
        assert eventually(lambda: still_open(e, names) == 2)
        assert emitted(e) == []
        tell(e, claims)
        tell_all(e)
        assert sorted(emitted(e)) == sorted(names)
        assert still_open(e, names) == 0
        assert e.claimer.loop._outstanding == 0


def test_who_stops_tells_what_was_claimed_ahead(
    valkey: Embedded, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine(valkey, config, tick_ms=TICK_MS) as e:
        names = trade(e)
        tell(e, first(e))
        monkeypatch.setattr(stop, "wanted", lambda: True)
        with pytest.raises(StopIteration):
            tell_all(e)
        assert len(emitted(e)) == 2
        assert still_open(e, names) == 0
        assert e.claimer.loop.is_settled


def test_claims_whose_answers_are_cut_off_come_back(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config, tick_ms=TICK_MS, lease_ms=100) as e:
        names = trade(e)
        claims = first(e)
        with redis.Redis(unix_socket_path=valkey.socket) as other:
            other.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        tell(e, claims)
        tell_all(e)
        e.run.clock.wait(0.2)
        tell_all(e)
        assert set(emitted(e)) == set(names)
        assert still_open(e, names) == 0


def test_a_server_that_has_lost_the_functions_gets_them_again(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config, tick_ms=TICK_MS) as e:
        names = trade(e)
        claims = first(e)
        client: Any = e.run.primaries.client
        assert eventually(lambda: still_open(e, names) == 2)
        client.execute_command("FUNCTION", "FLUSH")
        e.run.log.create("stock.updates", 1)  # the log's own are on that server, too
        tell(e, claims)
        tell_all(e)
        assert sorted(emitted(e)) == sorted(names)
        assert still_open(e, names) == 0


def test_nothing_is_asked_ahead_when_all_that_is_due_was_claimed(
    valkey: Embedded, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claiming, "CLAIM_MAX", 128)
    asked: list[int] = []
    begin: Callable[..., Any] = Store.begin_claim

    def counted(store: Store, calls: Mapping[int, Claim]) -> Any:
        asked.append(len(calls))
        return begin(store, calls)

    with engine(valkey, config, tick_ms=TICK_MS) as e:
        trade(e)
        monkeypatch.setattr(Store, "begin_claim", counted)
        tell(e, first(e))
        assert len(asked) == 1
