"""What comes in is doubled, out of order and old; policy and codes change while it comes."""

import csv
import io
import random
import time
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from tests.faults.load import Event, Trading
from tests.faults.stage import CONFIG, Maker, NoProof, Proof, Stage, Worker, until
from tests.patience import PATIENCE_S

EVENTS = 60_000
TWICE = 0.6
PER_S = 3_000
HELD_BACK = {"pos.sales": 50, "wms.receipts": 2_000, "marketplace.orders": 400}
"""So many events of a topic wait while others pass them: receipts come long after the sales."""
POLICIES = 4
CODES = 300
MAPPED_PER_S = 600
MAPPED_SOURCE = "/mapped/till"
AHEAD_S = 5.0
"""A new code holds from so much later."""
REFUSED_S = PATIENCE_S
FREEZES_MAX = 50
GOES_ON_S = 120.0

SOURCES = 'sources: [{prefix: "/mapped/", system: till, codes: codes.csv}]\n'


class Upstream:
    """Each event sent 1 to 3 times, disorder, new policies and codes, and the log replayed weeks later."""

    name = "upstream"
    short = True
    finds = ("mark", "max", "guard", "cut")

    def run(self, maker: Maker, rng: random.Random, scale: float) -> Proof:
        """Let all of it come, then forget the guard and lose a shard."""
        stage = maker.stage(
            kafka=maker.kafka(),
            files={"penstock.yaml": CONFIG + SOURCES, "codes.csv": codes_csv("m")},
        )
        codes = Codes(stage)
        for role in ("ingest", "ingest", "publish", "publish"):
            stage.start(role).ready()
        feeder = stage.feed(disordered(Trading(maker.seed, twice=TWICE), rng), PER_S)
        policies = Policies(stage, rng)
        policies.change_under_load()
        kills = codes.remap_between_crash_and_replay()
        feeder.until_sent(round(EVENTS * scale))
        feeder.stop()
        stage.take_note()
        replayed, forgotten = replay_weeks_later(stage, rng)
        return stage.proof(
            self.name,
            f"copies={sum(f.sent for f in stage.feeders) - len(ids(stage))} policies={policies.brought} "
            f"refused_claims={policies.refused} remapped_on_replay={codes.replayed} "
            f"replayed_from_the_start={replayed} ids_forgotten={forgotten}",
            kills=kills,
        )


def disordered(events: Iterable[Event], rng: random.Random) -> Iterator[Event]:
    """Yield the events out of order: each topic is late by its own measure, and mixed within that."""
    held: dict[str, list[Event]] = {topic: [] for topic in HELD_BACK}
    for event in events:
        mine = held[event.topic]
        mine.append(event)
        if len(mine) > HELD_BACK[event.topic]:
            at = rng.randrange(len(mine))
            mine[at], mine[-1] = mine[-1], mine[at]
            yield mine.pop()


def ids(stage: Stage) -> set[str]:
    """Return the ids of all events that were sent."""
    return set[str]().union(*(feeder.confirmed for feeder in stage.feeders))


class Policies:
    """Policies that are brought in force while levels are worked out by another."""

    def __init__(self, stage: Stage, rng: random.Random) -> None:
        self._stage = stage
        self._rng = rng
        self.brought = 0
        self.refused = 0

    def change_under_load(self) -> None:
        """Bring policies in force, each by a publisher that starts, while others go by the last one."""
        stage = self._stage
        for n in range(POLICIES):
            until(lambda: stage.total("penstock_updates_total") > 0, "updates", GOES_ON_S)
            floor, share_bp = n % 3, 3_000 + 500 * self._rng.randrange(10)
            text = CONFIG.replace("{store: 1}", f"{{store: {floor}}}")
            text = text.replace("share_bp: 5000", f"share_bp: {share_bp}") + SOURCES
            override = f'overrides: [{{sku: "1*", location: s1, floor: {n + 2}}}]'
            text = text.replace("policies: {", f"policies: {{{override}, ")
            stage.config.write_text(text)
            old = stage.living("publish")[0]
            before = self.refused
            stage.start("publish")
            deadline = time.monotonic() + REFUSED_S
            while self.refused == before and time.monotonic() < deadline:
                time.sleep(0.1)
                self.refused = stage.total("penstock_refused_claims_total")
            old.stop()
            self.brought += 1
        if self.refused == 0:
            raise NoProof("no publisher had the older policy when it claimed")


class Codes:
    """Codes of a till, mapped to one set of SKUs and then to another."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.replayed = 0
        """Messages logged under the old codes and applied only after the new ones were known."""
        stage.translate = self._translate
        self._rows: dict[str, list[tuple[int, str]]] = {}

    def remap_between_crash_and_replay(self) -> int:
        """Kill all readers with batches in hand, map the codes anew, and start others. Return the kills."""
        stage = self._stage
        feeder = stage.feed(_mapped(), MAPPED_PER_S)
        feeder.until_sent(2 * CODES)
        readers = stage.living("ingest")
        in_hand = self._frozen(readers)
        for reader in readers:
            reader.kill()
        feeder.until_sent(feeder.sent + CODES)
        self.replayed = stage.lag()
        if in_hand == 0 or self.replayed == 0:
            raise NoProof("everything had been applied when the codes changed")
        (stage.folder / "codes.csv").write_text(codes_csv("n"))
        for _ in readers:
            stage.start("ingest")
        changed_s = time.monotonic()
        until(lambda: time.monotonic() > changed_s + 2 * AHEAD_S, "new codes that hold")
        feeder.until_sent(feeder.sent + 2 * CODES)
        feeder.stop()
        return len(readers)

    def _frozen(self, readers: list[Worker]) -> int:
        """Freeze the readers at a moment when there are batches in hand. Return how many."""
        for _ in range(FREEZES_MAX):
            until(lambda: any(w.record.in_hand for w in readers), "a batch in hand", GOES_ON_S)
            for reader in readers:
                reader.freeze()
            if in_hand := sum(reader.record.in_hand for reader in readers):
                return in_hand
            for reader in readers:
                reader.wake()
        return 0

    def _translate(self, event: dict[str, Any], log_ms: int) -> dict[str, Any]:
        """Say an event of the till in our SKUs, as the table of codes held when it was logged."""
        if event["source"] != MAPPED_SOURCE:
            return event
        lines = [{**line, "sku": self._sku(line["sku"], log_ms)} for line in event["data"]["lines"]]
        return {**event, "data": {**event["data"], "lines": lines}}

    def _sku(self, code: str, log_ms: int) -> str:
        run = self._stage.run
        table: Any = (
            run.primaries.client.lrange(run.store.keys.codes(), 0, -1) if not self._rows else []
        )
        for row in table:
            _, its_code, sku, _, valid_from_ms = orjson.loads(row)
            self._rows.setdefault(its_code, []).append((valid_from_ms, sku))
        return [sku for valid_from_ms, sku in self._rows[code] if valid_from_ms <= log_ms][-1]


def codes_csv(kind: str) -> str:
    """Return a table that maps each code of the till to a SKU of a kind."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("system", "code", "sku", "units"))
    rows.writerows(("till", f"c{n}", f"{kind}{n}", 1) for n in range(CODES))
    return text.getvalue()


def _mapped() -> Iterator[Event]:
    n = 0
    while True:
        line = {"sku": f"c{n % CODES}", "quantity": 1}
        data = {"location": "s1", "receipt": "t", "lines": [line]}
        now_ms = time.time_ns() // 1_000_000
        yield Event("pos.sale", f"{n % 16}", f"t{n}", now_ms, data, MAPPED_SOURCE)
        n += 1


def replay_weeks_later(stage: Stage, rng: random.Random) -> tuple[int, int]:
    """Forget all ids, as time would, and lose one shard whole: the log is read from its start.

    Returns the offsets that the other shards see again, and the ids that were forgotten.
    """
    client: Any = stage.run.primaries.client
    keys, shards = stage.run.store.keys, stage.run.store.shards
    replayed = sum(stage.run.store.marks()[0].values())
    guards = [
        key for shard in range(shards) for key in client.scan_iter(keys.shard(shard, "seen:*"))
    ]
    forgotten = sum(client.scard(key) for key in guards)
    lost = rng.randrange(shards)
    whole = list(client.scan_iter(keys.shard(lost, "*")))
    before = stage.count_logs("shard went back")
    with client.pipeline(transaction=True) as pipeline:
        pipeline.unlink(*guards, *whole)
        pipeline.execute()
    if not guards or stage.run.store.marks()[lost]:
        raise NoProof("there was no guard, or the shard has marks")
    until(lambda: stage.count_logs("shard went back") > before, "a shard that is missed", GOES_ON_S)
    return replayed, forgotten
