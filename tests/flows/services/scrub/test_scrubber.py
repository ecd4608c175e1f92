"""The walk of a process: one walks at a time, its findings are metrics, and each new one is a line in the log."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Thread
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import structlog

from connectors.config.settings import Settings
from connectors.redis.embedded import Embedded
from flows.runtime.context import Runtime
from flows.runtime.session import beside, runtime
from flows.services.scrub.scrubber import Scrubber, scrubbing
from monitoring import metrics
from state.protocol.sharding import shard_of
from state.store.lease import Lease
from tests.flows.harness import Engine, engine
from tests.flows.shop import Shop, event, lines
from tests.patience import PATIENCE_S, eventually
from tests.servers.redis_servers import RedisServer, free_ports

FAST = "50%"


@pytest.fixture
def e(valkey: Embedded, config: Path) -> Iterator[Engine]:
    with engine(valkey, config, walk=FAST, tick_ms=1) as made:
        made.send("wms.receipt", location="wh", reference="r", lines=lines(A1=5, A2=9))
        made.ingest()
        made.publish()
        yield made


def value(name: str, **labels: str) -> float | None:
    return metrics.REGISTRY.get_sample_value(name, labels)


def finished() -> bool:
    return value("penstock_walk_finished_timestamp_seconds") is not None


@contextmanager
def walker(run: Runtime) -> Iterator[Scrubber]:
    walk = Scrubber(run, 0.5)
    thread = Thread(target=walk.run, daemon=True)
    thread.start()
    try:
        yield walk
    finally:
        walk.stop()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()


def lease(side: Runtime) -> Lease:
    return side.shared.scrub_lease("test", 10_000)


def walks(walk: Scrubber) -> bool:
    return bool(walk._found_at_ms)


def test_what_a_round_found_is_told_by_metrics_until_the_walk_ends(e: Engine) -> None:
    e.send("pos.sale", location="wh", receipt="b", lines=lines(A1=8))
    e.send("order.placed", order="o", channel="shop", lines=lines(A1=1))
    e.ingest()
    e.publish()
    with scrubbing(e.run):
        assert eventually(finished)
        assert value("penstock_walk_skus") == 2
        assert value("penstock_oversold_skus") == 1
        assert value("penstock_negative_positions") == 1
        assert value("penstock_ads_paused", rule="google") == 1
        for name in metrics.INVARIANTS:
            assert value("penstock_invariant_violations", invariant=name) == 0
    for gauge in metrics.OF_THE_WALK:
        assert list(gauge.collect()) == []
    assert e.run.primaries.client.exists(e.run.store.keys.walk()) == 0


def test_a_walk_that_is_off_does_nothing(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config, walk="off") as e, scrubbing(e.run):
        assert e.run.primaries.client.exists(e.run.store.keys.walk()) == 0


def test_of_two_only_one_walks_and_the_other_goes_on_when_it_ends(e: Engine) -> None:
    with ExitStack() as first:
        one = first.enter_context(walker(e.run))
        assert eventually(lambda: walks(one))
        with walker(e.run) as other:
            name = e.run.primaries.client.get(e.run.store.keys.walk())
            e.run.clock.wait(0.5)
            assert not walks(other)
            assert e.run.primaries.client.get(e.run.store.keys.walk()) == name
            first.close()
            assert eventually(lambda: walks(other))


def test_one_that_lost_its_lease_tells_nothing_any_more(e: Engine) -> None:
    with walker(e.run) as walk:
        assert eventually(lambda: walks(walk))
        e.run.primaries.client.set(e.run.store.keys.walk(), "another")
        assert eventually(lambda: not walks(walk))
        assert not finished()
    assert e.run.primaries.client.get(e.run.store.keys.walk()) == b"another"


def test_a_new_fault_is_logged_once(e: Engine) -> None:
    key = e.run.store.keys.shard(shard_of("A1", e.run.store.shards), "pos:A1")
    e.run.primaries.client.hdel(key, "l:wh")
    walk = Scrubber(e.run, 1.0, rest_s=0.0)
    with beside(e.run) as side, structlog.testing.capture_logs() as said:
        walk.scan(side, lease(side))
        walk.scan(side, lease(side))
    faults = [line for line in said if line["event"] == "invariant broken"]
    assert {(line["sku"], line["invariant"]) for line in faults} == {("A1", "class_sums")}
    assert {line["expected"] for line in faults} == {"base 0", "class 2 0"}
    assert len(faults) == 2, "once in two rounds: the base, and the class"
    assert value("penstock_invariant_violations", invariant="class_sums") == 1
    walk._forget()


def test_after_a_call_that_took_long_it_rests_no_longer_than_the_longest_pause(
    e: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.services.scrub.scrubber.PAUSE_MAX_S", 0.01)
    walk = Scrubber(e.run, 1e-9, rest_s=0.0)
    with beside(e.run) as side:
        walk.scan(side, lease(side))
    assert finished(), "by its share alone it would have rested for days"
    walk._forget()


def test_an_error_of_the_walk_is_told_and_ends_nothing(e: Engine) -> None:
    key = e.run.store.keys.shard(shard_of("A1", e.run.store.shards), "pos:A1")
    e.run.primaries.client.hset(key, "=", "no head")
    with structlog.testing.capture_logs() as said, walker(e.run):
        assert eventually(lambda: bool(said))
    assert [line["event"] for line in said] == ["walk failed"]


def test_a_server_that_is_away_is_waited_for(tmp_path: Path, config: Path) -> None:
    server = RedisServer(tmp_path / "server")
    server.start()
    try:
        settings = Settings(redis=server.url, config=config, metrics="off", walk="50%")
        with runtime(settings) as run, scrubbing(run):
            assert eventually(finished)
            server.kill()
            assert eventually(lambda: not finished())
            server.restart()
            assert eventually(finished)
    finally:
        server.kill()


def scraped(port: int) -> dict[str, float]:
    """What a process exports, without labels; nothing when it does not answer."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_S) as answer:
            text = answer.read().decode()
    except (URLError, ConnectionError):
        return {}
    return {
        name: float(number) for name, number in re.findall(r"^(\w+) (\S+)$", text, re.MULTILINE)
    }


@pytest.mark.slow
def test_when_the_process_that_walks_is_killed_another_takes_over(shop: Shop) -> None:
    shop.emit(event(1, "wms.receipt", location="wh", reference="r", lines=lines(A1=5)))
    ports = [port for port, _ in zip(free_ports(), range(2), strict=False)]
    publishers = []
    for port in ports:
        shop.env["PENSTOCK_METRICS"] = f"127.0.0.1:{port}"
        publishers.append(shop.start("run", "publish"))
    name = "penstock_walk_finished_timestamp_seconds"
    assert eventually(lambda: all(map(scraped, ports)))
    assert eventually(lambda: any(name in scraped(port) for port in ports))
    first = next(n for n, port in enumerate(ports) if name in scraped(port))
    assert name not in scraped(ports[1 - first])
    publishers[first].kill()
    assert eventually(lambda: name in scraped(ports[1 - first]))
    publishers[1 - first].terminate()
    assert publishers[1 - first].communicate(timeout=PATIENCE_S)[1] == b"", "it has nothing to log"
    assert publishers[1 - first].returncode == 0
