"""The stage of a scenario: a namespace of its own on real servers, its workers, and what is judged in the end."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self
from uuid import uuid4

from connectors.config.settings import PREFIX, Settings
from connectors.redis.embedded import await_end
from flows.runtime.context import Runtime
from flows.runtime.idle import open_work
from flows.runtime.retry import is_unavailable
from flows.runtime.session import runtime
from tests import evidence
from tests.faults.check import Found, Verdict, judge, left_open
from tests.faults.load import Event, Feeder
from tests.faults.process import Worker, asked, until
from tests.faults.proof import NoProof, NotIdle, NotRun, Proof, Scenario, Wrong
from tests.oracle.policy import read_policy
from tests.oracle.stream import marked
from tests.oracle.topics import updates_of
from tests.patience import PATIENCE_S
from tests.servers.kafka import Kafka

__all__ = [
    "Maker",
    "NoProof",
    "NotIdle",
    "NotRun",
    "Proof",
    "Scenario",
    "Stage",
    "Worker",
    "Wrong",
    "asked",
    "until",
]
"""All that a scenario needs."""

ROOT = Path(__file__).parents[2]
QUIET_S = 1.0
POLL_S = 0.05

CONFIG = """
version: 1
locations:
  - {id: wh, kind: warehouse}
  - {id: wh2, kind: warehouse}
  - {id: s1, kind: store}
  - {id: s2, kind: store}
  - {id: s3, kind: store}
  - {id: s4, kind: store}
  - {id: s5, kind: store}
  - {id: s6, kind: store}
policies: {floors: {store: 1}}
channels:
  - {id: shop}
  - {id: shopee, share_bp: 5000, buffer: {units: 1}, cap: 40}
"""

Role = Literal["ingest", "publish"]


class Stage:
    """Servers and workers of one scenario, in a folder and a namespace of its own.

    A context manager that leaves no process behind. Without `kafka` the log is on Redis; without
    `redis_url` the stock is in the embedded store, which lives as long as the stage. `breaks` is a rule
    that the workers go without. `env` is for all workers; `files` lie beside the configuration, or
    stand for it.
    """

    def __init__(
        self,
        folder: Path,
        *,
        kafka: Kafka | None,
        redis_url: str | None,
        breaks: str | None,
        seed: int,
        env: Mapping[str, str] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.seed = seed
        self.breaks = breaks
        self.config = folder / "penstock.yaml"
        for name, text in {self.config.name: CONFIG, **(files or {})}.items():
            (folder / name).write_text(text)
        self.namespace = f"faults-{uuid4().hex[:12]}"
        mine = {
            "PENSTOCK_CONFIG": str(self.config),
            "PENSTOCK_DATA": str(folder / "data"),
            "PENSTOCK_NAMESPACE": self.namespace,
            **({"PENSTOCK_KAFKA": kafka.bootstrap} if kafka is not None else {}),
            **({"PENSTOCK_REDIS": redis_url} if redis_url is not None else {}),
            **(env or {}),
        }
        outside = {name: text for name, text in os.environ.items() if not name.startswith(PREFIX)}
        self.env = {**outside, "PYTHONPATH": str(ROOT), **mine}
        fields = {name.removeprefix(PREFIX).lower(): text for name, text in mine.items()}
        self.settings = Settings(metrics="off", **fields)  # type: ignore[arg-type]  # texts, as in the environment
        self.workers: list[Worker] = []
        self.feeders: list[Feeder] = []
        self.noted = Verdict()
        """What checks found that were made on the way."""
        self.translate: Callable[[dict[str, Any], int], dict[str, Any]] = lambda event, _log_ms: (
            event
        )
        """What an event says in our own codes, given its log timestamp; for a stage that maps codes."""
        self._stack = ExitStack()
        self.run: Runtime

    def __enter__(self) -> Self:
        try:
            self.run = self._stack.enter_context(runtime(self.settings))
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for feeder in self.feeders:
            feeder._stop.set()
        for worker in self.workers:
            if worker.lives:
                worker.kill()
        self._stack.close()
        if self.run.primaries.store is not None:
            await_end(self.settings.data)

    def start(self, role: Role, *, patches: Iterable[str] = (), **env: str) -> Worker:
        """Start a worker and return at once; `patches` are modules that it imports before anything else."""
        command = [word for module in patches for word in ("--patch", module)]
        if self.breaks is not None:
            command += ["--without", self.breaks]
        name = f"{role}-{len(self.workers)}"
        worker = Worker([*command, "run", role], self.folder, {**self.env, **env}, name)
        self.workers.append(worker)
        return worker

    def living(self, role: Role | None = None) -> list[Worker]:
        """Return the workers that have not ended."""
        return [w for w in self.workers if w.lives and w.name.startswith(role or "")]

    def feed(self, events: Iterable[Event], per_s: float | None = None) -> Feeder:
        """Begin to append events from a thread; `per_s` None = as fast as the log takes them."""
        feeder = Feeder(self.settings, events, per_s)
        self.feeders.append(feeder)
        return feeder

    def stop_feeding(self) -> None:
        """Send no more than what is under way."""
        for feeder in self.feeders:
            feeder.stop()

    def settle(self, within_s: float = 2 * PATIENCE_S) -> None:
        """Wait until all is sent, applied, published and settled.

        Raises:
            NotIdle: it did not come to that.
        """
        for feeder in self.feeders:
            feeder.join(within_s)
        deadline = time.monotonic() + within_s
        quiet_s: float | None = None
        words, lag, due = "no answer", 0, 0
        while time.monotonic() < deadline:
            try:
                work, live = open_work(self.run), self._holds()
            except Exception as error:
                if not is_unavailable(error):
                    raise
                words, quiet_s = f"a server is away: {error}", None
            else:
                words, lag, due = str(work), sum(work.lag.values()), work.due
                if not work and live:
                    words, quiet_s = f"{live} holds live", None
                elif not work:
                    quiet_s = quiet_s or time.monotonic()
                    if time.monotonic() - quiet_s >= QUIET_S:
                        return
                else:
                    quiet_s = None
            time.sleep(POLL_S)
        dead = [f"{w.name} ended: {w.words()[-300:]}" for w in self.workers if not w.lives][-1:]
        raise NotIdle("; ".join([words, *dead]), lag, due)

    def _holds(self) -> int:
        """How many holds live."""
        store = self.run.store
        pipeline = store.client.pipeline(transaction=False)
        for shard in range(store.shards):
            pipeline.zcard(store.keys.shard(shard, "holds"))
        return sum(pipeline.execute())

    def lag(self) -> int:
        """How many messages some shard has not applied yet."""
        return sum(open_work(self.run).lag.values())

    def total(self, metric: str) -> int:
        """Return the sum of a counter over all workers, of the ended ones as last seen."""
        return round(sum(worker.metrics().get(metric, 0) for worker in self.workers))

    def count_logs(self, event: str) -> int:
        """Return how many lines of the workers' logs say this; what killed ones said counts too."""
        return sum(line.get("event") == event for w in self.workers for line in w.logs())

    def recoveries(self) -> int:
        """Return how often a shard was recovered, by the logs: those of the killed are still there."""
        return self.count_logs("shard went back") + self.count_logs("shard recovers")

    def refused(self) -> int:
        """Return how many calls shards refused: because they were behind, or knew a newer policy."""
        return self.count_logs("shard went back") + self.total("penstock_refused_claims_total")

    def proof(self, name: str, words: str, *, kills: int = 0, refused: int = 0) -> Proof:
        """Return the proof of a scenario, with what its workers counted. `refused` comes on top: by servers."""
        return Proof(
            name,
            words,
            kills=kills,
            rewinds=self.total("penstock_rewinds_total"),
            refused=self.refused() + refused,
            recoveries=self.recoveries(),
        )

    def check(self, within_s: float = 2 * PATIENCE_S) -> Verdict:
        """Wait until idle, and compare everything with the truth."""
        verdict = Verdict()
        try:
            self.settle(within_s)
        except NotIdle as error:
            left_open(verdict, error.lag, error.due, str(error))
            if error.lag or not error.due:
                return verdict
        found = self._found()
        if any(sku["open"] for sku in found.stock):
            # A repetition of a recovery may have come between; it must come to an end.
            try:
                self.settle(within_s)
            except NotIdle as error:
                left_open(verdict, error.lag, error.due, str(error))
            found = self._found()
        verdict += judge(found)
        return verdict

    def require(self, within_s: float = 2 * PATIENCE_S) -> None:
        """Make the check at once.

        Raises:
            Wrong: it found something.
        """
        verdict = self.check(within_s)
        if not verdict:
            raise Wrong(verdict)

    def take_note(self, within_s: float = 2 * PATIENCE_S) -> None:
        """Make the check at once, and go on whatever it finds: it counts in the end.

        Raises:
            NotIdle: there was nothing to judge yet.
        """
        self.settle(within_s)
        found = self.check(within_s)
        # Its events are counted by the last check.
        self.noted += replace(found, events=0, copies=0)

    def _found(self) -> Found:
        log, policy = self.run.log, read_policy(self.config)
        sent = marked(
            self.translate(evidence.event_of(record), record.timestamp_ms)
            for record in evidence.inputs(log)
        )
        dead = {
            (data["topic"], data["partition"], data["offset"])
            for data in evidence.outputs(log, "dead.letters")
        }
        counters = self.run.store.counters()
        channels = [channel.id for channel in policy.channels]
        return Found(
            sent=sent,
            policy=policy,
            confirmed=set[str]().union(*(feeder.confirmed for feeder in self.feeders)),
            applied=counters["applied"],
            duplicates=counters["duplicates"],
            dead=len(dead),
            stock=list(evidence.stock(self.run)),
            consumer=updates_of(evidence.outputs(log, "stock.updates"), channels),
        )


@dataclass(slots=True)
class Maker:
    """Makes the stages of one scenario, and the servers that they ask for; ends them all."""

    folder: Path
    breaks: str | None
    seed: int
    shared_kafka: Callable[[], Kafka]
    stages: list[Stage] = field(default_factory=list)
    stack: ExitStack = field(default_factory=ExitStack)

    def kafka(self) -> Kafka:
        """Return the broker that all scenarios share. None may harm it."""
        return self.shared_kafka()

    def stage(
        self,
        *,
        kafka: Kafka | None,
        redis_url: str | None = None,
        files: Mapping[str, str] | None = None,
        **env: str,
    ) -> Stage:
        """Return a stage that is open until the scenario was checked."""
        folder = self.folder / str(len(self.stages))
        made = Stage(
            folder, kafka=kafka, redis_url=redis_url, breaks=self.breaks, seed=self.seed, env=env,
            files=files,
        )  # fmt: skip
        self.stages.append(self.stack.enter_context(made))
        return made
