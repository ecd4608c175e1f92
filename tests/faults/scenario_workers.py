"""Workers are killed with batches in hand, join, leave, freeze and wake up behind those who took over."""

import random
import time

from connectors.log.kafka.client import SESSION_MS
from tests.evidence import stock
from tests.faults.load import Trading, one_each
from tests.faults.stage import Maker, NoProof, Proof, Role, Stage, Worker, asked, until

EVENTS = 520_000
PER_S = 5_000
KILLS = 32
ZOMBIES = 3
GOES_ON_S = 120.0
LIFE_S = 3.0
FREEZES_MAX = 20
"""A worker that was just started is left to live so long, or there would soon be nobody who works."""
FROZEN_SKUS = 400


class Workers:
    """`kill -9` at random moments while something is unacknowledged, and zombies."""

    name = "workers"
    short = True
    finds = ("trust", "token", "settle")

    def run(self, maker: Maker, rng: random.Random, scale: float) -> Proof:
        """Do harm while trading flows in, then let a publisher come back from the dead twice."""
        stage = maker.stage(kafka=maker.kafka())
        crew = Crew(stage, rng)
        events, kills = round(EVENTS * scale), max(4, round(KILLS * scale))
        zombies = max(1, round(ZOMBIES * scale))
        feeder = stage.feed(Trading(maker.seed), PER_S)
        crew.until_applied(1)
        steps = ["kill"] * kills + ["zombie"] * zombies
        rng.shuffle(steps)
        for n, step in enumerate(steps):
            crew.until_applied(events * (n + 1) // (len(steps) + 2))
            if step == "kill":
                crew.kill()
            else:
                crew.haunt()
        feeder.until_sent(events)
        feeder.stop()
        crew.frozen_publisher()
        if len(crew.in_hand) < kills:
            raise NoProof(f"expected {kills} kills with a batch in hand, got {len(crew.in_hand)}")
        return stage.proof(
            self.name,
            f"kills={len(crew.in_hand)} unacknowledged_batches={sum(crew.in_hand)} "
            f"started={len(stage.workers)} stopped={crew.stopped} zombies={crew.zombies} "
            f"passed_while_frozen={crew.passed} claims_frozen={crew.claims_frozen}",
            kills=len(crew.in_hand),
        )


class Crew:
    """The workers of the scenario, and what was done to them."""

    def __init__(self, stage: Stage, rng: random.Random) -> None:
        self.stage = stage
        self.rng = rng
        self.in_hand: list[int] = []
        """Of each killed worker: batches that it had and that were not acknowledged."""
        self.stopped = 0
        self.zombies = 0
        self.passed = 0
        """Partitions that all went on while a reader was frozen, summed over the freezes."""
        self.claims_frozen = 0
        self._born_s: dict[str, float] = {}
        for role in ("ingest", "ingest", "publish"):
            self.start(role)

    def start(self, role: Role) -> Worker:
        """Add a worker."""
        worker = self.stage.start(role)
        self._born_s[worker.name] = time.monotonic()
        return worker

    def until_applied(self, events: int) -> None:
        """Wait until so many events took effect."""
        counters = self.stage.run.store.counters
        until(lambda: sum(counters().values()) >= events, f"{events} events applied", GOES_ON_S)

    def kill(self) -> None:
        """Kill a worker at a random moment with something in hand; others come, and go in good order."""
        role: Role = self.rng.choice(("ingest", "ingest", "publish"))
        victim = self._victim(role)
        self.start(role)
        time.sleep(self.rng.random() / 5)
        victim.metrics()  # its figures go with it
        until(lambda: victim.record.in_hand > 0, f"{victim.name} with a batch in hand")
        victim.kill()
        # It went on until the signal came: what it had in hand then is what counts.
        if victim.record.in_hand > 0:
            self.in_hand.append(victim.record.in_hand)
        else:
            self.kill()
        if self.rng.random() < 0.3:
            self._join_or_leave()

    def haunt(self) -> None:
        """Freeze a reader beyond its session, let others take over, and wake it with its old batch."""
        self.start("ingest").ready()
        zombie = self._victim("ingest")
        self._freeze_amid(zombie)
        try:
            time.sleep(SESSION_MS / 1000)
            before = self._applied()
            # Events come in all partitions: those of the frozen one have another reader.
            until(lambda: self._have_all_moved(before), "partitions taken over", GOES_ON_S)
            self.passed += len(before)
            in_hand = zombie.record
        finally:
            zombie.wake()
        until(lambda: zombie.record.finished > in_hand.finished, "a batch of the past, answered")
        self.zombies += 1

    def _freeze_amid(self, worker: Worker) -> None:
        """Freeze a worker in a moment in which it has a batch in hand."""
        for _ in range(FREEZES_MAX):
            until(lambda: worker.record.in_hand > 0, f"{worker.name} with a batch in hand")
            worker.freeze()
            if worker.record.in_hand > 0:
                return
            worker.wake()
        raise NoProof(f"{worker.name} had finished its batch whenever it froze")

    def frozen_publisher(self) -> None:
        """Freeze a publisher between claim and settle twice, while levels go away and come back."""
        stage = self.stage
        for worker in stage.living("publish")[1:]:
            worker.stop()
        skus = [f"z{n}" for n in range(FROZEN_SKUS)]
        self._send(skus, "wms.receipt", "stock", 100)
        stage.settle()
        # Away and back: an update under way must keep the next one from being left out.
        slow = self._frozen_while(skus, "away")
        self._send(skus, "pos.return", "back", 1)
        quick = self.start("publish")
        stage.settle()
        slow.wake()
        until(lambda: slow.record.in_hand == 0, "a publisher that woke up")
        stage.require()
        quick.stop()
        # Away, back, away: what the sleeper settles is no longer the last word.
        slow = self._frozen_while(skus, "off")
        self._send(skus, "pos.return", "on", 1)
        quick = self.start("publish")
        stage.settle()
        quick.kill()
        self._send(skus, "pos.sale", "over", 1)
        until(lambda: stage.lag() == 0, "sales that are applied", GOES_ON_S)
        slow.wake()

    def _frozen_while(self, skus: list[str], name: str) -> Worker:
        """Return the only publisher, frozen with claims of some SKUs after a sale of each."""
        (slow,) = self.stage.living("publish")
        for turn in range(FREEZES_MAX):
            self._freeze_with_claims(slow, skus, f"{name}{turn}")
            found = {each["sku"]: each["open"] for each in stock(self.stage.run)}
            if claimed := sum(found[sku] for sku in skus):
                self.claims_frozen += claimed
                return slow
            # It had settled when it froze: all is put back, and sold again.
            slow.wake()
            self._send(skus, "pos.return", f"not {name}{turn}", 1)
            self.stage.settle()
        raise NoProof("the publisher had settled whenever it froze")

    def _freeze_with_claims(self, slow: Worker, skus: list[str], name: str) -> None:
        before = slow.record.handed
        self._send(skus, "pos.sale", name, 1, wait=False)
        until(lambda: slow.record.handed > before and slow.record.in_hand > 0, "claims in hand")
        slow.freeze()
        until(lambda: self.stage.lag() == 0, "sales that are applied", GOES_ON_S)

    def _send(
        self, skus: list[str], kind: str, name: str, quantity: int, *, wait: bool = True
    ) -> None:
        feeder = self.stage.feed(one_each(skus, kind, name, quantity))
        feeder.join()
        if wait:
            until(lambda: self.stage.lag() == 0, f"{kind} that is applied", GOES_ON_S)

    def _victim(self, role: Role) -> Worker:
        """Return one that has lived for a while."""
        now_s = time.monotonic()
        old = [w for w in self.stage.living(role) if now_s - self._born_s[w.name] > LIFE_S]
        return self.rng.choice(old or self.stage.living(role)[:1])

    def _join_or_leave(self) -> None:
        role: Role = self.rng.choice(("ingest", "publish"))
        if len(self.stage.living(role)) > 2:
            self._victim(role).stop()
            self.stopped += 1
        else:
            self.start(role)

    def _applied(self) -> dict[str, int]:
        """How far the slowest shard is, by partition."""
        marks = asked(self.stage.run.store.marks)
        return {name: min(shard.get(name, -1) for shard in marks) for name in marks[0]}

    def _have_all_moved(self, before: dict[str, int]) -> bool:
        now = self._applied()
        return all(now[name] > at for name, at in before.items())
