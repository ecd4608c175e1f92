"""The demo as a user runs it: it ends in zeros, it ends the same at any speed, and its check can fail."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flows.demo.show import Plant
from tests.servers.kafka import Kafka
from tests.servers.redis_servers import RedisCluster, RedisServer

LINE = re.compile(
    r"^demo: events=(?P<events>\d+) updates=(?P<updates>\d+) pauses=(?P<pauses>\d+) resumes=(?P<resumes>\d+) "
    r"dead=(?P<dead>\d+) planted_dead=(?P<planted_dead>\d+) duplicates=(?P<duplicates>\d+) "
    r"planted_duplicates=(?P<planted_duplicates>\d+) lost=(?P<lost>\d+) doubled=(?P<doubled>\d+) "
    r"mismatched=(?P<mismatched>\d+) p50_ms=(?P<p50_ms>\d+) p99_ms=(?P<p99_ms>\d+) "
    r"events_per_s=(?P<events_per_s>\d+) sha256=(?P<sha256>[0-9a-f]{64})$"
)


SYNTHETIC = ("--synthetic", "--speed", "400")
"""Slow enough that ads are looked at between two deliveries, also where other work takes most of the machine."""

MONTH = ("--months", "1", "--speed", "max")
"""Real trading, about a minute on an idle machine; its tests carry a time-out for a busy one."""


class Result:
    """Exit code, the figures of the last line, and the digest of the end state."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        lines = done.stdout.strip().splitlines()
        found = LINE.match(lines[-1]) if lines else None
        assert found is not None, done.stderr[-2000:] + done.stdout[-2000:]
        self.code, self.stderr = done.returncode, done.stderr
        self.figures = {
            name: int(text) for name, text in found.groupdict().items() if name != "sha256"
        }
        self.sha256 = found["sha256"]
        self.end_state = lines[-2]
        self.explained = lines[-3]


def demo(folder: Path, *arguments: str, **servers: str) -> Result:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")}
    environment |= {"PENSTOCK_METRICS": "off", **servers}
    command = [sys.executable, "-m", "flows.cli", "demo", *arguments]
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[3])
    return Result(
        subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    )


def assert_clean(result: Result) -> None:
    figures = result.figures
    assert (figures["lost"], figures["doubled"], figures["mismatched"]) == (0, 0, 0)
    assert figures["dead"] == figures["planted_dead"] > 0
    assert figures["duplicates"] == figures["planted_duplicates"] > 0
    assert figures["pauses"] > 0
    assert figures["resumes"] > 0
    assert re.fullmatch(r"explained=([1-9]\d*)/\1", result.explained)
    assert result.code == 0, result.stderr[-2000:]


def test_the_made_up_chain_ends_in_zeros_and_leaves_nothing_behind(tmp_path: Path) -> None:
    result = demo(tmp_path, *SYNTHETIC, "--dump", "stream.jsonl")
    assert_clean(result)
    with (tmp_path / "stream.jsonl").open("rb") as stream:
        assert sum(1 for _ in stream) == result.figures["events"]
    assert list((tmp_path / ".penstock").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("plant", list(Plant))
def test_a_planted_fault_is_found(plant: Plant, tmp_path: Path) -> None:
    result = demo(tmp_path, "--synthetic", "--speed", "max", "--plant", plant.value)
    wrong = {"drop": "lost", "double": "doubled", "level": "mismatched", "stale": "mismatched"}
    assert result.figures[wrong[plant.value]] > 0
    assert result.code == 1


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A month of real trading on the embedded store."""
    return demo(tmp_path_factory.mktemp("month"), *MONTH)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_month_of_real_trading_ends_the_same_at_any_speed(tmp_path: Path, month: Result) -> None:
    assert_clean(month)
    paced = demo(tmp_path, "--months", "1")
    assert_clean(paced)
    assert (paced.end_state, paced.sha256) == (month.end_state, month.sha256)


def test_a_speed_that_is_none_is_refused_in_words(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "demo", "--speed", "fast"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
    )  # fmt: skip
    assert done.returncode == 2
    assert "number of events per second" in done.stderr


def topics_of(kafka: Kafka) -> list[str]:
    return [topic for topic in kafka.tool("topics", "--list").split() if "demo-" in topic]


def on_kafka_and_redis(folder: Path, kafka: Kafka, redis: RedisServer, *arguments: str) -> Result:
    """A demo on real servers, which leaves nothing on them."""
    result = demo(folder, *arguments, PENSTOCK_KAFKA=kafka.bootstrap, PENSTOCK_REDIS=redis.url)
    assert_clean(result)
    assert topics_of(kafka) == []
    assert redis.client.dbsize() == 0
    return result


@pytest.mark.kafka
def test_on_kafka_and_redis_it_ends_as_on_the_embedded_store(
    tmp_path: Path, kafka: Kafka, redis_debian: RedisServer
) -> None:
    there = on_kafka_and_redis(tmp_path, kafka, redis_debian, *SYNTHETIC)
    here = demo(tmp_path, *SYNTHETIC)
    assert (there.end_state, there.sha256) == (here.end_state, here.sha256)


@pytest.mark.slow
@pytest.mark.kafka
@pytest.mark.timeout(1200)
def test_a_month_on_kafka_and_redis_ends_as_on_the_embedded_store(
    tmp_path: Path, kafka: Kafka, redis_debian: RedisServer, month: Result
) -> None:
    there = on_kafka_and_redis(tmp_path, kafka, redis_debian, *MONTH)
    assert (there.end_state, there.sha256) == (month.end_state, month.sha256)


@pytest.mark.cluster
def test_on_kafka_and_a_cluster_it_ends_as_on_the_embedded_store(
    tmp_path: Path, kafka: Kafka, redis_cluster: RedisCluster
) -> None:
    there = demo(
        tmp_path, *SYNTHETIC, PENSTOCK_KAFKA=kafka.bootstrap, PENSTOCK_REDIS=redis_cluster.url
    )
    assert_clean(there)
    assert there.end_state == demo(tmp_path, *SYNTHETIC).end_state
    assert topics_of(kafka) == []
    assert [primary.client.dbsize() for primary in redis_cluster.primaries] == [0, 0, 0]


def test_a_cluster_without_kafka_is_refused_in_words(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")}
    environment |= {
        "PENSTOCK_REDIS": "redis+cluster://127.0.0.1:1",
        "PYTHONPATH": str(Path(__file__).resolve().parents[3]),
    }
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "demo", "--synthetic"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "PENSTOCK_KAFKA" in done.stderr
