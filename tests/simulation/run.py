"""One run: a scenario is lived through, comes to rest, and is judged."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import stamina
import structlog
from greenlet import getcurrent
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from connectors.log.base import Outgoing
from connectors.messages.cloudevents import structured
from flows.ingest import steps as ingest_steps
from flows.publish import claimer as claiming
from flows.runtime import rebuild_sums as rebuilding
from flows.runtime.context import CODES_AHEAD_MS
from state.events.codes import CodeRow
from state.events.messages import TOPIC_OF
from state.events.timestamps import ms_rfc3339
from state.protocol.pack import rounds
from tests.rules.means import replaced
from tests.simulation import checkout
from tests.simulation.draw import AFTER_WEEKS_MS
from tests.simulation.judge import judge, unfinished
from tests.simulation.log import Broker
from tests.simulation.process import Machines
from tests.simulation.profiles import PROFILES
from tests.simulation.rules import ALL_KEPT, Rule
from tests.simulation.scenario import Copy, Happening, Message, Scenario
from tests.simulation.shards import Pool
from tests.simulation.shop import CODES, SKUS
from tests.simulation.store import servers
from tests.simulation.world import WEEKS_US, Violation, Worker, World

STEP_US = 250_000
CALM_US = 75_000_000
"""How long a run may take to come to rest. Where clocks differ, SKUs seem to be late, and the brake on ingest leaves
it a fourth of its speed."""


@dataclass(slots=True)
class Outcome:
    """How a run ended. `violation` is empty when all held."""

    violation: str = ""
    events: int = 0
    trace: list[str] = field(default_factory=list)


class Simulation:
    """One run of a scenario."""

    def __init__(self, scenario: Scenario, rule: Rule, *, tracing: bool) -> None:
        self.scenario = scenario
        self.rule = rule
        self.world = World(scenario, tracing=tracing)
        self.broker = Broker(self.world)
        names = {self.broker.mark(p): f"{p.topic}/{p.n}" for p in self.broker.records}
        self.servers = servers(self.world, rule.without.over(Pool), names)
        self.machines = Machines(self.world, self.servers, self.broker)
        self.messages = [m for m in scenario.messages if m.copies[0].at_ms < AFTER_WEEKS_MS]
        self.sent = 0
        self.to_send = 0
        self.base_ms = scenario.start_ms
        """What times in messages are relative to."""

    def live(self) -> None:
        """Live through it.

        Raises:
            Violation: something that must hold does not.
        """
        world, scenario = self.world, self.scenario
        for worker in world.workers:
            self.machines.start(worker)
        self._send_all(self.messages, 0)
        for happening in scenario.happenings:
            world.at(happening.at_ms * 1000, lambda h=happening: self._happen(h))  # type: ignore[misc]  # binds it
        world.run(scenario.faults_ms * 1000)
        self._end_faults()
        self._come_to_rest()
        if scenario.weeks:
            self._let_weeks_pass()
            self._come_to_rest()

    def _send_all(self, messages: list[Message], base_ms: int) -> None:
        for message in messages:
            for copy in message.copies:
                self.to_send += 1
                us = (copy.at_ms - base_ms) * 1000 + (self.world.now_us if base_ms else 0)
                self.world.at(us, lambda m=message, c=copy: self._send(m, c))  # type: ignore[misc]  # binds both

    def _send(self, message: Message, copy: Copy) -> None:
        base_ms = self.base_ms
        data: dict[str, Any] = dict(message.data)
        for name in data.keys() & {"counted_at", "expected_at"}:
            data[name] = ms_rfc3339(base_ms + data[name])
        value = message.raw or structured(
            message.id, message.source, message.kind, base_ms + copy.time_ms, data
        )
        appended = self.broker.append(Outgoing(TOPIC_OF[message.kind], b"k", value), copy.partition)
        self.sent += 1
        if self.world.tracing:
            lines = " ".join(f"{line['sku']}:{line['quantity']}" for line in data.get("lines", ()))
            where = " ".join(
                str(data[name]) for name in ("location", "order", "from", "to") if name in data
            )
            what = f"{message.id} {message.kind} {where} {lines}"
            self.world.note(
                "upstream", f"{appended.topic}/{appended.partition}:{appended.offset} = {what}"
            )

    def _happen(self, happening: Happening) -> None:
        world, kind = self.world, happening.kind
        if kind in {"hold", "tend"}:
            world.note("checkout", checkout.act(self.servers, happening))
            return
        if kind == "roll_back":
            shard = self.servers.shards[happening.which % len(self.servers.shards)]
            undone = shard.roll_back(world.now_us - happening.ms * 1000)
            epoch = shard.epoch
            shard.was_late = shard.was_late or happening.extra > 0
            late = f", noticed {happening.extra} ms late" if happening.extra else ""
            world.note(
                f"s{happening.which}",
                f"ROLLS BACK by {happening.ms} ms: {undone} calls undone{late}",
            )

            def tell() -> None:
                shard.told = max(shard.told, epoch)

            world.at(world.now_us + happening.extra * 1000, tell)
            return
        if kind == "overlap":
            self.broker.overlap_us = world.now_us + happening.ms * 1000
            world.note("log", f"gives every reader all partitions for {happening.ms} ms")
            return
        worker = world.workers[happening.which % len(world.workers)]
        if kind == "freeze":
            if worker.is_alive:
                world.note(
                    worker.name,
                    f"FREEZES for {'weeks' if happening.held else f'{happening.ms} ms'}",
                )
                world.freeze(worker, happening.ms * 1000, held=happening.held)
            return
        world.note(
            worker.name, f"is KILLED{'' if kind == 'kill' else f', starts with another {kind}'}"
        )
        world.kill(worker)
        if kind != "kill":
            self._change(happening, worker)
        self.machines.start_later(worker, happening.ms * 1000)

    def _change(self, happening: Happening, worker: Worker) -> None:
        """A process starts with another policy, or with another code table, and brings it in force."""
        behind = self.servers
        now_ms = self.world.true_us // 1000 + worker.machine.skew_ms
        if happening.kind == "remap":
            at, to = divmod(happening.extra, len(SKUS))
            newest_ms = max(row.valid_from_ms for row in behind.codes)
            row = CodeRow(
                "till", CODES[at % len(CODES)], SKUS[to], 1, max(now_ms + CODES_AHEAD_MS, newest_ms)
            )
            behind.codes.append(row)
            behind.bring(behind.variant, now_ms)
        elif happening.extra != behind.variant:
            behind.bring(happening.extra, now_ms)

    def _end_faults(self) -> None:
        """From now on every call is answered, and every machine runs."""
        world = self.world
        world.is_faulty = False
        world.note("world", "nothing goes wrong any more")
        self.broker.overlap_us = 0
        for shard in self.servers.shards:
            shard.told = shard.epoch
        roles = {
            worker.machine.role for worker in world.workers if worker.is_alive and not worker.held
        }
        for worker in world.workers:
            if worker.held:
                continue
            world.thaw(worker)
            self.machines.start(worker)
            roles.add(worker.machine.role)
        for worker in world.workers:
            # Somebody has to do the work while others sleep for weeks.
            if worker.machine.role not in roles:
                world.thaw(worker)
                roles.add(worker.machine.role)

    def _come_to_rest(self) -> None:
        """Let the world run until there is nothing left to do, recoveries repeated included."""
        world, pools = self.world, self.servers.shards
        deadline_us = world.now_us + CALM_US
        self.machines.pace_us = STEP_US
        while True:
            while what := self._left():
                if world.now_us > deadline_us:
                    raise Violation(f"never comes to rest: {what}")
                world.run(world.now_us + STEP_US)
            again_ms = max(shard.pool.again_ms for shard in pools)
            judge(self.scenario, self.servers, self.broker, self.rule, early=again_ms > 0)
            if not again_ms:
                return
            # Nothing moves until recoveries are repeated, a minute after they began.
            self.machines.rests_us = again_ms * 1000 + 1_000_000 - world.epoch_us
            world.note("world", "a minute passes")
            world.run(max(self.machines.rests_us, world.now_us) + STEP_US)
            deadline_us = self.machines.rests_us + CALM_US
            if world.now_us > deadline_us:
                raise Violation("never comes to rest: a recovery is not repeated")

    def _left(self) -> str:
        if self.sent < self.to_send:
            return "messages to send"
        if self.world.under_way:
            return "requests under way"
        return unfinished(self.servers, self.broker)

    def _let_weeks_pass(self) -> None:
        """Three weeks go by; then what was held back arrives and who slept wakes up."""
        world = self.world
        world.note("world", "weeks pass")
        world.epoch_us += WEEKS_US
        self.base_ms = (world.true_us // 1_000_000 + 1) * 1000 - AFTER_WEEKS_MS
        for arrive in world.held:
            world.send(world.now_us + 100_000, arrive)
        world.held = []
        for worker in world.workers:
            world.thaw(worker)
        self._send_all(
            [m for m in self.scenario.messages if m.copies[0].at_ms >= AFTER_WEEKS_MS],
            AFTER_WEEKS_MS,
        )


def simulate(scenario: Scenario, rule: Rule = ALL_KEPT, *, tracing: bool = False) -> Outcome:
    """Run a scenario, with a rule of the protocol taken out if one is given."""
    simulation = Simulation(scenario, rule, tracing=tracing)
    outcome = Outcome(trace=simulation.world.trace)
    with rule.without.taken_out(), _surroundings(simulation.world):
        try:
            simulation.live()
        except Exception as error:  # noqa: BLE001 - a process that fails is a finding as well
            outcome.violation = (
                str(error) if isinstance(error, Violation) else f"{type(error).__name__}: {error}"
            )
            simulation.world.note("world", f"VIOLATION: {outcome.violation}")
        finally:
            simulation.world.end()
    outcome.events = simulation.sent
    return outcome


@contextmanager
def _surroundings(world: World) -> Iterator[None]:
    """Let a repeated call wait by the time of the run, calls be as small as wanted, and log lines go into the trace."""

    def wait(details: RetryDetails) -> None:
        world.sleep(_running(world), 50_000 * min(details.retry_num, 10))

    def tell(_logger: Any, _method: str, event: Any) -> Any:
        world.note("log line", str(event))
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[tell])
    set_on_retry_hooks([wait])
    in_few_ops = partial(rounds, ops_max=world.scenario.call_ops)
    way = world.scenario.seed // len(PROFILES)
    # Half of the runs of each profile ask where SKUs lie before sums are made anew, as where locations are many.
    listed_max = rebuilding.PLACES_MAX * (way % 2)
    # And half claim so little at once that more is due: the next is asked for while the last is emitted.
    claim_max = claiming.CLAIM_MAX if way // 2 % 2 else 1
    smaller = [
        (ingest_steps, "rounds", in_few_ops),
        (rebuilding, "PLACES_MAX", listed_max),
        (claiming, "CLAIM_MAX", claim_max),
    ]
    with stamina.set_testing(True, attempts=1_000_000), replaced(smaller):
        try:
            yield
        finally:
            set_on_retry_hooks(None)
            structlog.configure(**before)


def _running(world: World) -> Worker:
    current = getcurrent()
    return next(worker for worker in world.workers if worker.process is current)
