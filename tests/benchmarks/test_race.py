"""The race: its clock, its check, its watch of processes, and a tiny one on real servers."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from tests.benchmarks.filling import Filled
from tests.benchmarks.processes import processes
from tests.benchmarks.race import Arena, Run, measured
from tests.benchmarks.rounds import Plan, compete, events_for
from tests.benchmarks.stock_store import StoreRunning
from tests.benchmarks.system import Site, Work
from tests.benchmarks.systems.engine import Engine, Setting
from tests.benchmarks.systems.hand import Hand
from tests.benchmarks.usage import Look, Usage, Watching
from tests.benchmarks.verify import Finding, Updates, check
from tests.benchmarks.work import Expected, plan_of
from tests.patience import PATIENCE_S
from tests.servers.kafka import Kafka

WORK = Work("W1", "structured", 1, 20, 8, 3, 400)


def told(expected: Expected) -> Iterator[bytes]:
    """An update for each SKU, as they should be."""
    for version, sku in enumerate(expected.stock, 1):
        available, levels = expected.available[sku], expected.levels(sku)
        yield orjson.dumps(
            {"sku": sku, "version": version, "available": available, "levels": levels}
        )


def outcome(change: Callable[[list[bytes], dict[str, int]], None]) -> Finding:
    """What the check says when a right outcome was changed."""
    expected = plan_of(WORK).expected()
    values, stock = list(told(expected)), dict(expected.stock)
    change(values, stock)
    updates = Updates.of(WORK.partitions)
    for value in values:
        updates.take(value, 1_000)
    return check(expected, updates, stock)


def test_a_right_outcome_is_right() -> None:
    assert not outcome(lambda _values, _stock: None)


def test_a_lost_sale_is_found() -> None:
    finding = outcome(lambda _values, stock: stock.update({"0000003": stock["0000003"] + 1}))
    assert finding.counts == {"lost": 1}
    assert "0000003" in str(finding)


def test_a_doubled_sale_is_found() -> None:
    finding = outcome(lambda _values, stock: stock.update({"0000003": stock["0000003"] - 1}))
    assert finding.counts == {"doubled": 1}


def test_a_sku_without_an_update_is_found() -> None:
    assert outcome(lambda values, _stock: values.__delitem__(0)).counts == {"untold": 1}


def test_a_stale_update_is_found_and_wrong_levels_are() -> None:
    def change(values: list[bytes], _stock: dict[str, int]) -> None:
        first, second = orjson.loads(values[0]), orjson.loads(values[1])
        values.append(orjson.dumps({**first, "version": 1_000, "available": 10_000}))
        values.append(orjson.dumps({**second, "version": 1_000, "levels": {"c0": 1}}))

    assert outcome(change).counts == {"stale": 1, "levels": 1}


def test_an_older_version_that_comes_late_changes_nothing() -> None:
    def change(values: list[bytes], _stock: dict[str, int]) -> None:
        values.append(orjson.dumps({**orjson.loads(values[5]), "version": 0, "available": 77}))

    assert not outcome(change)


def test_without_versions_the_last_update_in_the_log_counts() -> None:
    def change(values: list[bytes], _stock: dict[str, int]) -> None:
        first = orjson.loads(values[0])
        values[:] = [value.replace(b'"version"', b'"number"') for value in values]
        values.append(orjson.dumps({"sku": first["sku"], "available": 10_000, "levels": {}}))

    assert outcome(change).counts == {"stale": 1}


def test_what_is_no_update_and_what_nobody_sells_is_found() -> None:
    def change(values: list[bytes], stock: dict[str, int]) -> None:
        values.append(b"[]")
        stock["nobody"] = 1

    assert outcome(change).counts == {"odd": 1, "strange": 1}


def test_an_update_in_an_envelope_is_read_as_one_without() -> None:
    def change(values: list[bytes], _stock: dict[str, int]) -> None:
        values[:] = [b'{"specversion":"1.0","data":%b}' % value for value in values]

    assert not outcome(change)


def marker(sku: str, available: int) -> bytes:
    return orjson.dumps({"sku": sku, "version": 1, "available": available, "levels": {}})


def test_the_clock_runs_from_the_first_warm_up_marker_sold_to_the_last_update() -> None:
    updates = Updates.of(2)
    for value, at_ms in (
        (marker("warm-0", 2), 1_000),  # its opening stock
        (marker("warm-1", 1), 3_000),
        (marker("warm-0", 0), 5_000),  # sold before it was received, as far as the system knew
        (marker("end-0", 1), 12_000),
        (marker("end-1", 1), 11_000),
        (marker("A1", 7), 13_000),
    ):
        updates.take(value, at_ms)
    filled = Filled(WORK, "n", plan_of(WORK).expected(), 2_200, 2_000, 20_000, 250)
    looks = [Look(at, {"own": at / 2_000, "redis": at / 4_000}, {"own": at}) for at in (0, 20_000)]
    run = measured(filled, updates, Usage(looks), Run("x", "c", "W1", 2_000))
    assert updates.ended(2)
    assert (run.elapsed_ms, run.per_second, run.lines_per_second) == (10_000, 200, 2_000)
    assert run.cpu_us == {"own": 2_500.0, "redis": 1_250.0}
    assert not run.fault


def test_a_run_without_markers_does_not_count() -> None:
    filled = Filled(WORK, "n", plan_of(WORK).expected(), 2_200, 2_000, 20_000, 250)
    assert measured(filled, Updates.of(2), Usage(), Run("x", "c", "W1", 2_000)).fault


def test_a_system_gets_a_stream_for_the_time_asked_by_the_lower_of_its_rates() -> None:
    run = Run("x", "c", "W1", 1, per_second=90_000, whole_per_second=10_000)
    assert events_for(run, 60) == 700_000


def test_the_watch_counts_children_and_keeps_what_the_ended_ones_used() -> None:
    spin = "import time\nwhile time.process_time() < 0.3: pass\n"
    both = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {spin!r}])\n{spin}"
    process = subprocess.Popen([sys.executable, "-c", both])
    with Watching(lambda: {"own": [process.pid]}, every_s=0.02, children_every_s=0.02) as watching:
        process.wait(PATIENCE_S)
        watching.look()
    used_s = watching.usage.cpu_s(0, int(time.time() * 1000))["own"]
    assert 0.45 <= used_s <= 2.0
    assert watching.usage.memory_max()["own"] > 1 << 20


@pytest.mark.kafka
def test_engine_and_hand_race_and_both_are_right(tmp_path: Path, kafka: Kafka) -> None:
    class BriefHand(Hand):
        configurations = Hand.configurations[:1]

    engine = Engine({"tick 100 ms": Setting(100, 1_000)})
    arena = Arena(tmp_path, kafka)
    work = Work("W1", "structured", 1, 100, 8, 3, 0)
    lines: list[str] = []
    try:
        standings = compete(
            arena, [engine, BriefHand()], work, Plan(1, 1, events=60_000), lines.append
        )
    finally:
        arena.forget()
    assert [standing.is_right for standing in standings] == [True, True], lines
    for standing in standings:
        assert standing.rounds[0].updates >= 108
        assert set(standing.rounds[0].cpu_us) >= {"redis", "broker"}


class Ending:
    """A system whose process ends at once."""

    name = "ending"
    configurations: Sequence[str] = ("",)

    def missing(self) -> str:
        return ""

    @contextmanager
    def running(self, site: Site, _work: Work, _configuration: str) -> Iterator[StoreRunning]:
        with processes(site.folder) as made:
            made.python("own", "-c", "print('out of ideas')")
            yield StoreRunning(site, made)


@pytest.mark.kafka
def test_a_system_that_ends_is_shown_with_its_last_words(tmp_path: Path, kafka: Kafka) -> None:
    arena = Arena(tmp_path, kafka)
    try:
        run = arena.run(Ending(), "", replace(WORK, name="ending"))
    finally:
        arena.forget()
    assert run.fault.startswith("a process ended (own)")
    assert "out of ideas" in run.fault
    assert run.per_second == 0
