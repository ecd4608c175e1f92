"""What runs on a machine: the loops that the engine would turn, over the real steps of a flow."""

import os
from typing import cast

from connectors.config.settings import Settings
from connectors.redis.server import Server
from flows.ingest.read_session import Batch
from flows.ingest.reader import OUTSTANDING_MAX, Reader
from flows.ingest.steps import decode, normalise, send, to_dead_letters
from flows.ingest.steps import guard as guard_feeds
from flows.publish.claimer import Claimer
from flows.publish.steps import begin_settle, decide, emit
from flows.publish.steps import guard as guard_channels
from flows.runtime.active_policy import ActivePolicy
from flows.runtime.clock import Clock
from flows.runtime.context import Runtime
from state.events.codes import CodeTable
from state.protocol.keys import Keys
from state.protocol.pack import Packer
from state.store.client import Client
from state.store.policy import PolicyRecord
from state.store.shared import Shared
from tests.simulation.log import Broker, SimLog
from tests.simulation.scenario import Scenario
from tests.simulation.store import Servers, SimServer, SimStore
from tests.simulation.wire import Wire
from tests.simulation.world import Worker, World

LEASE_MS = 1500
PAUSE_US = {"ingest": 60_000, "publish": 45_000}


class SimClock(Clock):
    """The clock of one machine, ahead or behind by its skew; waiting by it lets others run."""

    def __init__(self, world: World, worker: Worker) -> None:
        self._world = world
        self._worker = worker
        self._skew_us = worker.machine.skew_ms * 1000

    def now_us(self) -> int:
        return self._world.true_us + self._skew_us

    def now_ms(self) -> int:
        return self.now_us() // 1000

    def wait(self, seconds: float) -> None:
        self._world.sleep(self._worker, int(seconds * 1e6))


class Machines:
    """Starts processes on the machines of a world, again after a death. `pace_us` is how long one without work
    sleeps, or until `rests_us` of the run, if that is later."""

    def __init__(self, world: World, behind: Servers, broker: Broker) -> None:
        self.world = world
        self.servers = behind
        self.broker = broker
        self.pace_us = 0
        self.rests_us = 0
        self._settings = settings(world.scenario)

    def start(self, worker: Worker) -> None:
        """Begin a process unless one runs; it takes the policy that is in force now."""
        if worker.is_alive:
            return
        ingests = worker.machine.role == "ingest"
        loop = self._ingest if ingests else self._publish
        self.world.start(worker, lambda: loop(self._runtime(worker), worker))

    def start_later(self, worker: Worker, us: int) -> None:
        """Bring a process back after a while."""
        self.world.at(self.world.now_us + us, lambda: self.start(worker))

    def _runtime(self, worker: Worker) -> Runtime:
        world, behind = self.world, self.servers
        wire = Wire(world, worker, lambda us: self.start_later(worker, us))
        found = PolicyRecord(behind.revision, behind.policy, behind.sums_revision)
        policy = ActivePolicy(found, CodeTable(behind.codes))
        server = cast("Server", SimServer(wire, behind))
        store, log = SimStore(wire, behind), SimLog(wire, self.broker)
        clock = SimClock(world, worker)
        shared = Shared.over(cast("Client", server), Keys(), store.shards)
        return Runtime(self._settings, server, store, shared, log, policy, clock=clock)

    def _ingest(self, runtime: Runtime, worker: Worker) -> None:
        reader, packer = Reader(runtime), Packer(runtime.store.shards, runtime.guard_ms)
        while True:
            batches: list[Batch] = []
            while len(batches) < OUTSTANDING_MAX and (batch := reader.next_batch(self._now_s())):
                batches.append(batch)
            if not batches:
                self._rest(worker)
            for batch in batches:
                send(
                    runtime,
                    packer,
                    to_dead_letters(
                        runtime, guard_feeds(runtime, normalise(runtime, decode(batch)))
                    ),
                )

    def _publish(self, runtime: Runtime, worker: Worker) -> None:
        claimer = Claimer(runtime)
        while True:
            claims = claimer.next_claims(self._now_s())
            if claims is None:
                self._rest(worker)
            else:
                begin_settle(
                    runtime, emit(runtime, guard_channels(runtime, decide(runtime, claims)))
                )

    def _rest(self, worker: Worker) -> None:
        pause_us = self.pace_us or PAUSE_US[worker.machine.role]
        self.world.sleep(worker, max(pause_us, self.rests_us - self.world.now_us))

    def _now_s(self) -> float:
        return self.world.true_us / 1e6


def settings(scenario: Scenario) -> Settings:
    """Return settings that nothing in the environment has a say in."""
    for name in os.environ:
        assert not name.startswith("PENSTOCK_"), f"{name} is set"
    return Settings(
        shards=scenario.shards, partitions=scenario.partitions, batch_events=scenario.batch_events,
        lease_ms=LEASE_MS, tick_ms=10, dedup_h=1, metrics="off",
    )  # fmt: skip
