"""The clocks of two machines are apart by nearly the second that is allowed, and their workers share all SKUs."""

import random
from collections import Counter, defaultdict

import orjson

from connectors.log import history
from tests.faults.load import Trading
from tests.faults.stage import Maker, NoProof, Proof, Stage

EVENTS = 30_000
PER_S = 2_500
APART_MS = 900
PATCH = "tests.faults.skewed_clock"
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
            for role in ("ingest", "publish"):
                stage.start(
                    "ingest" if role == "ingest" else "publish",
                    patches=(PATCH,),
                    FAULTS_CLOCK_MS=str(off_ms),
                )
        for worker in stage.workers:
            worker.ready()
        stage.feed(Trading(maker.seed).take(round(EVENTS * scale)), PER_S).join()
        stage.settle()
        by_machine, changed_hands = told_by(stage)
        if min(by_machine.values()) < LEAST or len(by_machine) < 2 or changed_hands < LEAST:
            raise NoProof(
                f"expected updates of both clocks by turns, got {dict(by_machine)}, {changed_hands}"
            )
        return Proof(
            self.name,
            f"apart_ms={APART_MS} updates_in_time={by_machine[False]} updates_ahead={by_machine[True]} "
            f"skus_that_changed_hands={changed_hands}",
            rewinds=stage.total("penstock_rewinds_total"),
            refused=stage.refused(),
            recoveries=stage.recoveries(),
        )


def told_by(stage: Stage) -> tuple[Counter[bool], int]:
    """Count updates by whether their version is ahead of the log's clock, and the SKUs with both."""
    by_machine: Counter[bool] = Counter()
    hands: dict[str, set[bool]] = defaultdict(set)
    for record in history(stage.run.log, "stock.updates"):
        data = orjson.loads(record.value or b"")["data"]
        is_ahead = data["version"] // 1000 - record.timestamp_ms > APART_MS // 2
        by_machine[is_ahead] += 1
        hands[data["sku"]].add(is_ahead)
    return by_machine, sum(len(each) == 2 for each in hands.values())
