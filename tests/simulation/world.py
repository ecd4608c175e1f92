"""One time, one thread: workers are greenlets that run in turn, in the order of a queue of moments."""

import heapq
from collections.abc import Callable
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

from tests.simulation.scenario import Machine, Scenario, Trouble

WEEKS_US = 21 * 86_400 * 1_000_000


class Violation(AssertionError):
    """Something that must hold does not."""


class Worker:
    """A machine, and the process that runs on it at the moment, if any."""

    __slots__ = (
        "calls", "delays_us", "frozen_us", "held", "is_alive", "looks", "machine", "process", "starts", "troubles",
        "turn",
    )  # fmt: skip

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.delays_us = tuple(ms * 1000 + 137 for ms in machine.delays_ms)
        self.troubles: dict[tuple[bool, int], Trouble] = {}
        self.calls = 0
        """Calls that change something, made by all processes of this machine."""
        self.looks = 0
        self.process: greenlet | None = None
        self.is_alive = False
        self.turn = 0
        """The moment that wakes the process; any other is out of date."""
        self.frozen_us = 0
        self.held = False
        """Frozen until weeks later."""
        self.starts = 0

    @property
    def name(self) -> str:
        return self.machine.name


class World:
    """The time, who is next, and the trace."""

    def __init__(self, scenario: Scenario, *, tracing: bool = False) -> None:
        self.scenario = scenario
        self.now_us = 0
        """Time of the run."""
        self.epoch_us = scenario.start_ms * 1000
        self.workers = [Worker(machine) for machine in scenario.machines]
        for worker in self.workers:
            mine = (t for t in scenario.troubles if t.worker == worker.name)
            worker.troubles = {(t.is_look, t.call): t for t in mine}
        self.tracing = tracing
        self.trace: list[str] = []
        self.is_faulty = True
        self.under_way = 0
        """Requests on the wire that nobody waits for."""
        self.held: list[Callable[[], None]] = []
        """What arrives weeks later."""
        self.failure: BaseException | None = None
        self._moments: list[tuple[int, int, Worker | Callable[[], None], int]] = []
        self._made = 0
        self._hub = getcurrent()

    @property
    def true_us(self) -> int:
        """The true time, us since 1970."""
        return self.epoch_us + self.now_us

    def version(self, version: int) -> str:
        """Tell a version as a time of the run, in seconds, which it is by somebody's clock."""
        return f"@{(version - self.scenario.start_ms * 1000) / 1e6:.6f}"

    def note(self, who: str, what: str) -> None:
        """Add a line to the trace; ask `tracing` first where making it costs."""
        if self.tracing:
            self.trace.append(f"t={self.now_us / 1e6:.3f} {who} {what}")

    def at(self, us: int, do: Callable[[], None]) -> None:
        """Let something happen at a time of the run."""
        self._push(us, do, 0)

    def send(self, us: int, do: Callable[[], None]) -> None:
        """Let a request arrive at a time, whoever still waits for it."""
        self.under_way += 1

        def arrive() -> None:
            self.under_way -= 1
            do()

        self._push(us, arrive, 0)

    def start(self, worker: Worker, run: Callable[[], None]) -> None:
        """Begin a process."""

        def live() -> None:
            try:
                run()
            except Exception as error:  # noqa: BLE001 - told by the hub, with the trace
                self.failure = self.failure or error
            worker.is_alive = False

        worker.process, worker.is_alive, worker.frozen_us, worker.held = (
            greenlet(live),
            True,
            0,
            False,
        )
        worker.starts += 1
        self._wake(worker, self.now_us)

    def sleep(self, worker: Worker, us: int) -> None:
        """Let others run until some time has passed. Called by the process of the worker."""
        self._wake(worker, self.now_us + us)
        self._hub.switch()

    def freeze(self, worker: Worker, us: int, *, held: bool = False) -> None:
        """Let nothing of a process run for a while; what it has sent is sent."""
        worker.frozen_us = max(worker.frozen_us, self.now_us + us)
        worker.held = worker.held or held

    def thaw(self, worker: Worker) -> None:
        """Let a frozen process go on."""
        if worker.held or worker.frozen_us > self.now_us:
            worker.frozen_us, worker.held = 0, False
            self._wake(worker, self.now_us)

    def kill(self, worker: Worker) -> None:
        """End a process without a word."""
        process = worker.process
        worker.is_alive, worker.process = False, None
        worker.turn += 1
        if process is None:
            return
        if process is getcurrent():
            raise GreenletExit
        process.throw()

    def run(self, until_us: int, done: Callable[[], bool] | None = None) -> bool:
        """Let the world run until a time, or until something holds; say whether it does."""
        moments = self._moments
        while moments and moments[0][0] <= until_us:
            at_us, _, what, turn = heapq.heappop(moments)
            self.now_us = max(self.now_us, at_us)
            if isinstance(what, Worker):
                if turn != what.turn or not what.is_alive or what.held:
                    continue
                if what.frozen_us > self.now_us:
                    self._wake(what, what.frozen_us)
                    continue
                process = what.process
                assert process is not None
                process.switch()
                if self.failure is not None:
                    raise self.failure
                # Asked where something may have changed, and not at every moment.
                if done is not None and done():
                    return True
            else:
                what()
        self.now_us = max(self.now_us, until_us)
        return done is not None and done()

    def end(self) -> None:
        """End all processes, so that nothing of them outlives the run."""
        for worker in self.workers:
            self.kill(worker)

    def _wake(self, worker: Worker, us: int) -> None:
        worker.turn += 1
        self._push(us, worker, worker.turn)

    def _push(self, us: int, what: Any, turn: int) -> None:
        self._made += 1
        heapq.heappush(self._moments, (us, self._made, what, turn))
