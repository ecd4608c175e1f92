"""The clocks of two machines are apart by nearly the second that is allowed, and their workers share all SKUs."""

import random
from collections import Counter, defaultdict

import orjson

from connectors.log.base import history
from tests.faults.load import Trading
from tests.faults.stage import Maker, NoProof, Proof, Role, Stage, Worker, until

EVENTS = 30_000
PER_S = 2_500
APART_MS = 900
PATCH = "tests.faults.skewed_clock"
ROLES: tuple[Role, ...] = ("ingest", "publish")
TURNS = 5
TURN_UPDATES = 1_000
UPDATES = "penstock_updates_total"
GOES_ON_S = 120.0
LEAST = 100


class Clocks:
    """One of two readers, and one of two publishers, lives 0.9 s in the future."""

    name = "clocks"
    short = True
    finds = ()

    def run(self, maker: Maker, rng: random.Random, scale: float) -> Proof:
        """Let both machines work on the same stock, and find out who told what by the versions."""
        stage = maker.stage(kafka=maker.kafka())
        for off_ms in rng.sample((0, APART_MS), 2):
            for role in ROLES:
                stage.start(role, patches=(PATCH,), FAULTS_CLOCK_MS=str(off_ms))
        for worker in stage.workers:
            worker.ready()
        feeder = stage.feed(Trading(maker.seed), PER_S)
        self._take_turns(stage, max(1, round(TURNS * scale)))
        feeder.until_sent(round(EVENTS * scale))
        feeder.stop()
        stage.settle()
        told = [round(w.metrics()[UPDATES]) for w in stage.living("publish")]
        by_clock, both = told_by(stage)
        if min(*told, by_clock[False], by_clock[True], both) < LEAST:
            raise NoProof(f"expected updates by both clocks, got {told}, {dict(by_clock)}, {both}")
        return stage.proof(
            self.name,
            f"apart_ms={APART_MS} updates_by_publisher={told} versions_in_time={by_clock[False]} "
            f"versions_ahead={by_clock[True]} skus_with_both={both}",
        )

    def _take_turns(self, stage: Stage, turns: int) -> None:
        """Freeze the two machines by turns: the one ahead sees first what is due, and would do nearly all."""
        machines = stage.workers[: len(ROLES)], stage.workers[len(ROLES) :]
        for _ in range(turns):
            for frozen, awake in (machines, machines[::-1]):
                for worker in frozen:
                    worker.freeze()
                # Time passes too: what was told ahead lies in the past by then.
                until_told(awake[-1], TURN_UPDATES)
                for worker in frozen:
                    worker.wake()


def until_told(publisher: Worker, updates: int) -> None:
    """Wait until a publisher has told so many more."""
    before = publisher.metrics().get(UPDATES, 0)
    until(
        lambda: publisher.metrics().get(UPDATES, 0) >= before + updates,
        f"{updates} updates by {publisher.name}",
        GOES_ON_S,
    )


def told_by(stage: Stage) -> tuple[Counter[bool], int]:
    """Count updates by whether their version is ahead of the log's clock, and the SKUs with both."""
    by_clock: Counter[bool] = Counter()
    found: dict[str, set[bool]] = defaultdict(set)
    for record in history(stage.run.log, "stock.updates"):
        data = orjson.loads(record.value or b"")["data"]
        is_ahead = data["version"] // 1000 - record.timestamp_ms > APART_MS // 2
        by_clock[is_ahead] += 1
        found[data["sku"]].add(is_ahead)
    return by_clock, sum(len(each) == 2 for each in found.values())
