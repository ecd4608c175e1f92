"""The wire between a worker and the servers: here it is decided what becomes of a call.

`ask` is given the parts of a call, one for each shard or message, and what runs a part on its server. A part may
arrive at once, later than newer calls, twice or never; its answer may be lost; the process may die or freeze
before or after. The parts of one call fare apart, as those of a pipeline to several servers do.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from greenlet import GreenletExit

from tests.simulation.scenario import Trouble
from tests.simulation.world import Worker, World

TIMEOUT_US = 700_000

Part = TypeVar("Part")
Answer = TypeVar("Answer")


class Silence(Exception):
    """No answer came in time."""


class Refusal(Exception):
    """The server refused, and did nothing."""


class Wire:
    """The calls of one machine. `restart` brings a process back after it died."""

    __slots__ = ("_restart", "worker", "world")

    def __init__(self, world: World, worker: Worker, restart: Callable[[int], None]) -> None:
        self.world = world
        self.worker = worker
        self._restart = restart

    def ask(
        self,
        say: Callable[[], str],
        parts: Sequence[Part],
        run: Callable[[Part], Answer],
        *,
        is_look: bool = False,
        at_once: bool = False,
    ) -> dict[Part, Answer]:
        """Return the answer to each part.

        `is_look`: it changes nothing. `at_once`: without trouble the call takes no time.

        Raises:
            Silence: not every part was answered.
            Refusal: a part was refused, others may be done.
        """
        worker, world = self.worker, self.world
        if is_look:
            call = worker.looks
            worker.looks = call + 1
        else:
            call = worker.calls
            worker.calls = call + 1
        trouble = worker.troubles.get((is_look, call)) if world.is_faulty else None
        if trouble is None:
            if not at_once:
                world.sleep(worker, worker.delays_us[call % len(worker.delays_us)])
            return {part: run(part) for part in parts}
        world.note(worker.name, f"{say()} -> {_told(trouble, len(parts))}")
        return self._in_trouble(trouble, parts, run)

    def tosses(self) -> bool:
        """Toss a coin."""
        worker = self.worker
        return (
            worker.delays_us[(worker.looks + worker.calls) % len(worker.delays_us)] // 1000 % 2 == 0
        )

    def pause(self, us: int) -> None:
        """Sleep."""
        self.world.sleep(self.worker, us)

    def _in_trouble(
        self, trouble: Trouble, parts: Sequence[Part], run: Callable[[Part], Answer]
    ) -> dict[Part, Answer]:
        worker, world, kind, us = self.worker, self.world, trouble.kind, trouble.ms * 1000
        world.sleep(worker, worker.delays_us[trouble.call % len(worker.delays_us)])
        if not world.is_faulty:
            return {part: run(part) for part in parts}
        hit = _hit(trouble.mask, len(parts))
        here = [part for part, is_hit in zip(parts, hit, strict=True) if not is_hit]
        there = [part for part, is_hit in zip(parts, hit, strict=True) if is_hit]
        if kind == "dies":
            self._die(us)
        if kind == "freezes":
            self._freeze(trouble)
            here, there = list(parts), []
        answers = {part: run(part) for part in here}
        if kind == "slow":
            world.sleep(worker, us)
            return answers | {part: run(part) for part in there}
        if kind in {"late", "twice"}:
            for part in there:
                self._send_later(trouble, lambda part=part: run(part))  # type: ignore[misc]  # binds the part
        if kind in {"unheard", "twice", "done_freezes", "done_dies"}:
            done = {part: run(part) for part in there}
            if kind == "done_dies":
                self._die(us)
            if kind != "unheard":
                if kind == "done_freezes":
                    self._freeze(trouble)
                return answers | done
        if kind == "refused" and there:
            raise Refusal
        if kind in {"lost", "late", "unheard"}:
            world.sleep(worker, TIMEOUT_US)
            raise Silence
        return answers

    def _send_later(self, trouble: Trouble, run: Callable[[], object]) -> None:
        world, name = self.world, self.worker.name

        def arrive() -> None:
            world.note(name, f"what was sent in call {trouble.call} arrives")
            run()

        if trouble.held:
            world.held.append(arrive)
        else:
            world.send(world.now_us + trouble.ms * 1000, arrive)

    def _die(self, us: int) -> None:
        self._restart(us)
        self.world.kill(self.worker)
        raise GreenletExit

    def _freeze(self, trouble: Trouble) -> None:
        world, worker = self.world, self.worker
        world.freeze(worker, trouble.ms * 1000, held=trouble.held)
        world.sleep(worker, 0)
        world.note(worker.name, "wakes up")


def _hit(mask: int, parts: int) -> list[bool]:
    """Which parts a trouble concerns: at least one."""
    found = [bool(mask >> (part % 8) & 1) for part in range(parts)]
    return found if any(found) else [True] * parts


def _told(trouble: Trouble, parts: int) -> str:
    which = (
        ""
        if all(_hit(trouble.mask, parts))
        else f" ({sum(_hit(trouble.mask, parts))} of {parts} parts)"
    )
    later = "weeks" if trouble.held else f"{trouble.ms / 1000:.1f} s"
    told = {
        "slow": f"answered after {later}",
        "lost": "lost",
        "late": f"no answer; arrives after {later}",
        "unheard": "done, answer lost",
        "twice": f"done, and again after {later}",
        "refused": "refused",
        "dies": "DIES before",
        "done_dies": "done, then DIES",
        "freezes": f"FREEZES before, for {later}",
        "done_freezes": f"done, then FREEZES for {later}",
    }
    return told[trouble.kind] + which
