"""The work done for an event, counted and not timed, so that it is the same on every machine and in every run.

A change that makes the path of an event longer shows here before it shows on a clock. If it is meant, the limit
moves with it, in the same commit. A limit leaves a twentieth of room, for servers count by versions of their own.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from connectors.log.base import Outgoing
from connectors.messages.cloudevents import structured
from connectors.redis.embedded import Embedded
from flows.ingest.steps import apply, decode, normalise, to_dead_letters
from flows.ingest.steps import guard as guard_feeds
from flows.publish.steps import decide, emit, render, settle
from flows.publish.steps import guard as guard_channels
from flows.runtime.clock import now_ms
from tests.flows.harness import Engine, engine

ROOM = 1.05
EVENTS, SKUS, LOCATIONS = 2_000, 400, ("wh", "s1")


class Work(NamedTuple):
    """For one event, or one update."""

    calls: float
    """Of our functions on Redis."""
    commands: float
    """That they run there."""
    bytes: float
    """Both ways between client and Redis, the log's left out."""
    python: float
    """Functions called, Python's and the interpreter's own."""


class Counter:
    """Counts while its block lasts."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._python = 0
        self._calls = self._commands = self._bytes = 0

    @contextmanager
    def counting(self) -> Iterator[None]:
        earlier = self._server()[2]
        calls, commands, size = self._server()
        asking = size - earlier
        sys.setprofile(self._on_call)
        try:
            yield
        finally:
            sys.setprofile(None)
        after_calls, after_commands, after_size = self._server()
        self._calls += after_calls - calls
        self._commands += after_commands - commands
        self._bytes += after_size - size - asking

    def work(self, units: int) -> Work:
        return Work(
            self._calls / units, self._commands / units, self._bytes / units, self._python / units
        )

    def _on_call(self, _frame: object, event: str, _argument: object) -> None:
        if event in {"call", "c_call"}:
            self._python += 1

    def _server(self) -> tuple[int, int, int]:
        stats = self._client.info("commandstats")
        calls = stats.get("cmdstat_fcall", {"calls": 0})["calls"]
        others = sum(
            each["calls"]
            for name, each in stats.items()
            if name not in {"cmdstat_fcall", "cmdstat_info"}
        )
        net = self._client.info("stats")
        return calls, others, net["total_net_input_bytes"] + net["total_net_output_bytes"]


def sales(lines: int) -> Callable[[int], bytes]:
    def sale(n: int) -> bytes:
        skus = sorted({(n * 7 + 31 * at) % SKUS for at in range(lines)})
        data = {
            "location": LOCATIONS[n % len(LOCATIONS)],
            "receipt": f"r{n}",
            "lines": [{"sku": f"{sku:07d}", "quantity": 1} for sku in skus],
        }
        return structured(f"e{lines}-{n}", "/pos/s1", "pos.sale", now_ms(), data)

    return sale


def fill(e: Engine, message: Callable[[int], bytes]) -> None:
    for n in range(EVENTS):
        e.run.log.append([Outgoing("pos.sales", b"k", message(n))])


def ingest(e: Engine, counter: Counter) -> int:
    """Read all there is, counting from the batch read to the batch applied. Return the events."""
    found = 0
    while (batch := e.reader.next_batch(e.now_s)) is not None:
        with counter.counting():
            normal = guard_feeds(e.run, normalise(e.run, decode(batch)))
            outcome = apply(e.run, e.packer, to_dead_letters(e.run, normal))
        found += outcome.events
    return found


@pytest.mark.parametrize(
    ("lines", "limit"),
    [
        (1, Work(calls=0.016, commands=0.984, bytes=59.9, python=53.4)),
        (10, Work(calls=0.064, commands=5.273, bytes=481.2, python=142.8)),
    ],
)
def test_an_event_costs_no_more_work_than_it_did(
    valkey: Embedded, config: Path, lines: int, limit: Work
) -> None:
    with engine(valkey, config) as e:
        e.ingest(1)
        fill(e, sales(lines))
        counter = Counter(e.run.primaries.client)
        assert ingest(e, counter) == EVENTS
        judge(counter.work(EVENTS), limit)


def test_an_update_costs_no_more_work_than_it_did(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config, tick_ms=1) as e:
        fill(e, sales(1))
        e.ingest(2)
        e.publish()
        fill(e, sales(2))
        e.ingest(2)
        time.sleep(0.01)
        counter, updates = Counter(e.run.primaries.client), 0
        while True:
            with counter.counting():
                claims = e.claimer.next_claims(e.now_s)
                decided = None if claims is None else guard_channels(e.run, decide(e.run, claims))
                if decided is not None:
                    render(e.run, decided)
            if decided is None:
                break
            emitted = emit(e.run, decided)
            with counter.counting():
                updates += settle(e.run, emitted)
        assert updates == SKUS
        judge(counter.work(updates), Work(calls=0.16, commands=8.685, bytes=495.0, python=73.3))


def judge(found: Work, limit: Work) -> None:
    over = {
        name: (value, most)
        for name, value, most in zip(Work._fields, found, limit, strict=True)
        if value > most * ROOM
    }
    assert not over, f"found {found}"
