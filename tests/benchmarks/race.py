"""Runs of systems on one broker: a system reads a stream from its start, and is timed, watched and checked."""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.benchmarks.filling import (
    Filled,
    Progress,
    fill,
    looking,
    make_topic,
    remove_topics,
)
from tests.benchmarks.system import RECEIPTS, SALES, Running, Site, System, Work
from tests.benchmarks.usage import Usage, Watching
from tests.benchmarks.verify import Finding, Updates, check
from tests.servers.kafka import Kafka
from tests.servers.redis_servers import RedisServer

LOOK_S = 0.25
QUIET_S = 3.0
"""So long no update has come out: the run may be over."""
BEGIN_S = 120.0
STALL_S = 60.0
"""So long no update has come out, and the run is not over: it never will be."""
LATE_S = 12.0
"""So long Redis, or an update, may follow when the last sale has come out: some write in intervals."""
OVERDUE_EVERY_S = 1.0
OVERDUE_MAX_MS = 1_000
US = 1_000_000

REDIS = {"auto-aof-rewrite-percentage": "0"}
"""Append-only, synced each second, and not rewritten in the middle of a run."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run has shown."""

    system: str
    configuration: str
    work: str
    events: int
    """Sales that were counted: those behind the warm-up."""
    per_second: int = 0
    lines_per_second: int = 0
    elapsed_ms: int = 0
    updates: int = 0
    whole_per_second: int = 0
    """All sales, over the time from the first update to the last: for comparison alone."""
    cpu_us: Mapping[str, float] = field(default_factory=dict)
    """By role, CPU time per event that was counted."""
    memory_max: Mapping[str, int] = field(default_factory=dict)
    """By role, resident bytes."""
    overdue_ms_max: int | None = None
    """How long a SKU has waited for its update at most; None when the system cannot tell."""
    fault: str = ""
    """Why the run does not count, "" when it does."""

    @property
    def is_late(self) -> bool:
        """Whether a SKU had to wait for its update longer than a customer should."""
        return self.overdue_ms_max is not None and self.overdue_ms_max > OVERDUE_MAX_MS


def measured(filled: Filled, updates: Updates, usage: Usage, run: Run) -> Run:
    """Complete a run by what the clock of the log says.

    The clock starts when the broker took the first update that knew of a warm-up marker. At that moment no other
    partition had told of its own, so that at least the sales behind the markers were still to come out.
    """
    begins = [at for sku, at in updates.seen_ms.items() if sku.startswith("warm-")]
    if not begins or updates.last_ms <= min(begins):
        return replace(run, fault=run.fault or "no time passed between its warm-up and its end")
    begin_ms, end_ms = min(begins), updates.last_ms
    elapsed_ms = end_ms - begin_ms
    whole_ms = max(1, updates.last_ms - updates.first_ms)
    cpu_s = usage.cpu_s(begin_ms, end_ms)
    return replace(
        run,
        per_second=filled.measured_events * 1000 // elapsed_ms,
        lines_per_second=filled.measured_lines * 1000 // elapsed_ms,
        elapsed_ms=elapsed_ms,
        updates=updates.count,
        whole_per_second=filled.messages * 1000 // whole_ms,
        cpu_us={role: round(US * s / filled.measured_events, 2) for role, s in cpu_s.items()},
        memory_max=usage.memory_max(),
    )


class Arena:
    """One broker, the streams that lie in it, and a Redis for each run."""

    def __init__(self, folder: Path, kafka: Kafka, progress: Progress | None = None) -> None:
        self._folder = folder
        self._kafka = kafka
        self._progress = progress
        self._filled: dict[Work, Filled] = {}
        self._runs = 0

    def filled(self, work: Work) -> Filled:
        """Return a stream, laid into its topics when it is first asked for."""
        found = self._filled.get(work)
        if found is None:
            namespace = f"bench{len(self._filled)}-{work.name.lower()}-{work.events}"
            found = fill(self._kafka.bootstrap, work, namespace, self._progress)
            self._filled[work] = found
        return found

    def forget(self) -> None:
        """Remove all streams."""
        for filled in self._filled.values():
            names = [f"{filled.namespace}.{topic}" for topic in (SALES, RECEIPTS)]
            remove_topics(self._kafka.bootstrap, [*names, filled.updates])
        self._filled.clear()

    def run(self, system: System, configuration: str, work: Work, limit_s: float = 900.0) -> Run:
        """Let a system do a work once."""
        filled = self.filled(work)
        self._runs += 1
        name = f"run{self._runs}-{system.name}"
        folder = self._folder / name
        redis = RedisServer(folder / "redis", REDIS)
        redis.start()
        try:
            make_topic(self._kafka.bootstrap, filled.updates, work.partitions)
            site = Site(
                self._kafka.bootstrap, redis.url, filled.namespace, filled.updates, folder, name
            )
            run = self._watched(system, configuration, filled, site, redis, limit_s)
        except Exception as error:  # noqa: BLE001 - the others' figures outlive one that fails
            fault = f"{type(error).__name__}: {error}"
            return Run(system.name, configuration, work.name, filled.measured_events, fault=fault)
        finally:
            redis.kill()
        if not run.fault:
            shutil.rmtree(folder)
        return run

    def _watched(
        self,
        system: System,
        configuration: str,
        filled: Filled,
        site: Site,
        redis: RedisServer,
        limit_s: float,
    ) -> Run:
        run = Run(system.name, configuration, filled.work.name, filled.measured_events)
        servers = {
            "redis": [redis.client.info("server")["process_id"]],
            "broker": [self._kafka.pid],
        }
        with system.running(site, filled.work, configuration) as running:
            with Watching(lambda: {**running.pids(), **servers}) as watching:
                follow = Following(running, filled, site, time.monotonic() + limit_s)
                fault = follow.until_told()
                finding = follow.checked(LATE_S if not fault else 0.0)
            if fault and hasattr(running, "words"):
                fault = f"{fault}: {running.words()}"
        if finding and not fault:
            fault = f"wrong: {finding}"
        run = measured(filled, follow.updates, watching.usage, replace(run, fault=fault))
        return replace(run, overdue_ms_max=follow.overdue_ms())


class Following:
    """Waits until a system has told all, looking from afar."""

    def __init__(self, running: Running, filled: Filled, site: Site, deadline_s: float) -> None:
        self.updates = Updates.of(filled.work.partitions)
        self._running = running
        self._filled = filled
        self._site = site
        self._deadline_s = deadline_s
        self._overdue: list[tuple[int, int]] = []
        self._asked_s = 0.0

    def until_told(self) -> str:
        """Return when the last sale of every partition has come out, and nothing more comes; or why it does not."""
        partitions, topic = self._filled.work.partitions, self._filled.updates
        known, moved_s = 0, time.monotonic()
        with looking(self._site.kafka, topic, partitions) as look:
            while time.monotonic() < self._deadline_s:
                time.sleep(LOOK_S)
                self._ask_overdue()
                if gone := self._gone():
                    return f"a process ended ({gone})"
                now_s, count = time.monotonic(), sum(look().values())
                if count != known:
                    known, moved_s = count, now_s
                    continue
                if known and now_s - moved_s >= QUIET_S:
                    self.updates.read_on(self._site.kafka, topic)
                    if self.updates.ended(partitions):
                        return ""
                if now_s - moved_s >= (STALL_S if known else BEGIN_S):
                    self.updates.read_on(self._site.kafka, topic)
                    return f"nothing comes any more after {known} updates"
        self.updates.read_on(self._site.kafka, topic)
        return "it took too long"

    def checked(self, patience_s: float) -> Finding:
        """Compare what came of the run with what had to, in Redis and in the last updates.

        One that writes in intervals may follow for a while; updates that come later move the end of the run.
        """
        deadline = time.monotonic() + patience_s
        while True:
            finding = check(self._filled.expected, self.updates, self._running.stock())
            if not finding or time.monotonic() > deadline:
                return finding
            time.sleep(LOOK_S)
            self.updates.read_on(self._site.kafka, self._filled.updates)

    def overdue_ms(self) -> int | None:
        """Return how long a SKU has waited at most, behind the warm-up."""
        begins = [at for sku, at in self.updates.seen_ms.items() if sku.startswith("warm-")]
        mine = [age for at, age in self._overdue if begins and at >= min(begins)]
        return max(mine, default=None)

    def _ask_overdue(self) -> None:
        ask = getattr(self._running, "overdue_ms", None)
        if ask is not None and time.monotonic() - self._asked_s >= OVERDUE_EVERY_S:
            self._asked_s = time.monotonic()
            self._overdue.append((int(time.time() * 1000), ask()))

    def _gone(self) -> str:
        """Return the roles of processes that have ended."""
        roles: Mapping[str, Sequence[int]] = self._running.pids()
        return ", ".join(
            role for role, pids in roles.items() if any(not _lives(pid) for pid in pids)
        )


def _lives(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
