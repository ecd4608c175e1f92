"""One process that claims: makes holds, and confirms, sells, releases, repeats or leaves them.

    python -m tests.holds.claimer FOLDER ROW SEED PIN_MS [RATE SECONDS]

Without a rate it claims as fast as it can until it is killed or asked to stop; with one it claims on time and writes
the latencies, from the moment at which each claim was due, to `latency-ROW` in the folder.
"""

import array
import sys
import time
from collections.abc import Sequence
from heapq import heappop, heappush
from pathlib import Path
from random import Random
from typing import Final

from connectors.config import settings as environment
from connectors.log.base import Appended, Outgoing
from connectors.messages.cloudevents import STRUCTURED, structured
from flows.runtime import signals as stop
from flows.runtime.context import Runtime
from flows.runtime.process import collect_rarely
from flows.runtime.retry import retry_until_available
from flows.runtime.session import connected
from flows.services.holds.service import HoldService
from flows.services.holds.values import Confirmed, HoldCreated, HoldRejected, Released, Wanted
from state.events.order_key import order_key
from state.protocol.holds import Keep
from tests.holds.asking import asked
from tests.holds.board import Board
from tests.holds.scene import Claims

BATCH: Final = 32
WAITING_MAX: Final = 20
"""Batches for which a hold waits for its fate at most."""
REPEATED: Final = 0.03
CONFIRMED, RELEASED, PINNED_ONLY = 0.25, 0.75, 0.755
"""Bounds between the fates of a hold: the rest is left to lapse."""


class Claimer:
    """Claims for one process."""

    def __init__(self, run: Runtime, folder: Path, row: int, seed: int, pin_ms: int) -> None:
        self._run = run
        self._holding = HoldService(run, pin_ms)
        self._pin_ms = pin_ms
        self._board = Board(folder / "board")
        self._row = row
        self._chance = Random(seed)
        self._claims = Claims(f"c{row}-{seed}", seed)
        self._waiting: list[tuple[int, str, Wanted, HoldCreated]] = []
        """A heap: the turn at which the fate of a hold is decided, and the hold."""
        self._turn = 0

    def claim(self, number: int) -> None:
        """Claim so many times, in one round trip, and decide on holds made before."""
        wanted = [self._claims.draw() for _ in range(number)]
        again = [each for each in wanted if self._chance.random() < REPEATED]
        self.settle(
            wanted + again, retry_until_available(lambda: self._holding.create_all(wanted + again))
        )
        self.fates()

    def claim_one(self) -> None:
        """Claim once."""
        wanted = self._claims.draw()
        self.settle([wanted], [asked(lambda: self._holding.create(wanted))])

    def settle(self, wanted: Sequence[Wanted], found: Sequence[HoldCreated | HoldRejected]) -> None:
        """Count answers, and keep the holds made."""
        made: dict[str, HoldCreated] = {}
        short = 0
        for each, outcome in zip(wanted, found, strict=True):
            if isinstance(outcome, HoldCreated):
                if each.hold in made:
                    self._count("repeated")
                    self._count("wrong", int(made[each.hold] != outcome))
                    continue
                made[each.hold] = outcome
                until = self._turn + self._chance.randint(0, WAITING_MAX)
                heappush(self._waiting, (until, each.hold, each, outcome))
            elif outcome.reason == "short":
                short += 1
            else:
                self._count("wrong")
                sys.stderr.write(f"{outcome}\n")
        self._count("claims", len(wanted))
        self._count("made", len(made))
        self._count("short", short)

    def fates(self) -> None:
        """Decide on the holds whose time has come."""
        self._turn += 1
        while self._waiting and self._waiting[0][0] <= self._turn:
            _, _, wanted, made = heappop(self._waiting)
            self._fate(wanted, made)

    def _fate(self, wanted: Wanted, made: HoldCreated) -> None:
        draw = self._chance.random()
        if draw < CONFIRMED:
            if wanted.location:
                self._sell(wanted, made)
            else:
                self._confirm(wanted.hold)
        elif draw < RELEASED:
            found = asked(lambda: self._holding.release(wanted.hold))
            self._count("released", int(isinstance(found, Released)))
        elif draw < PINNED_ONLY and wanted.channel:
            # As a process that dies between the pin and the log.
            now_us = self._run.clock.now_us()
            key = order_key(wanted.channel, f"o-{wanted.hold}")
            call = Keep(now_us, wanted.hold, key, now_us // 1000 + self._pin_ms)
            shards = retry_until_available(lambda: self._holding.holds.shards_of(wanted.hold))
            retry_until_available(lambda: self._holding.holds.keep(dict.fromkeys(shards, call)))
            self._count("left")
        else:
            self._count("left")

    def _confirm(self, hold: str) -> None:
        found = asked(lambda: self._holding.confirm(hold, f"o-{hold}"))
        if isinstance(found, Confirmed):
            self._count("confirmed")
            if self._chance.random() < REPEATED:
                again = asked(lambda: self._holding.confirm(hold, f"o-{hold}"))
                self._count("repeated")
                self._count("wrong", int(not isinstance(again, Confirmed)))
        elif found.reason != "gone":
            self._count("wrong")
            sys.stderr.write(f"{found}\n")

    def _sell(self, wanted: Wanted, made: HoldCreated) -> None:
        """Take the goods of a till's hold to the customer, if it still stands."""
        extended = asked(lambda: self._holding.extend(wanted.hold, self._pin_ms // 1000))
        if isinstance(extended, HoldRejected):
            return
        data = {
            "location": wanted.location,
            "receipt": wanted.hold,
            "hold": wanted.hold,
            "lines": [{"sku": line.sku, "quantity": line.units} for line in made.lines],
        }
        now_ms = self._run.clock.now_ms()
        value = structured(wanted.hold, "/till", "pos.sale", now_ms, data)
        message = Outgoing("pos.sales", wanted.location.encode(), value, STRUCTURED)
        (result,) = retry_until_available(lambda: self._run.log.append([message]))
        self._count("sold", int(isinstance(result, Appended)))

    def _count(self, name: str, number: int = 1) -> None:
        if number:
            self._board.add(self._row, name, number)


def paced(claimer: Claimer, rate: int, seconds: float, path: Path) -> None:
    """Claim on time; a claim that begins late has waited since it was due."""
    latencies = array.array("d")
    began_s = time.perf_counter()
    for number in range(int(rate * seconds)):
        due_s = began_s + number / rate
        while (ahead_s := due_s - time.perf_counter()) > 0:
            time.sleep(ahead_s)
        claimer.claim_one()
        latencies.append(time.perf_counter() - due_s)
        claimer.fates()
    path.write_bytes(latencies.tobytes())


def main(folder: Path, row: int, seed: int, pin_ms: int, *pace: str) -> None:
    """Be a process that claims."""
    stop.install()
    collect_rarely()
    with connected(environment.load()) as run:
        claimer = Claimer(run, folder, row, seed, pin_ms)
        if pace:
            rate, seconds = pace
            paced(claimer, int(rate), float(seconds), folder / f"latency-{row}")
            return
        while not stop.wanted():
            claimer.claim(BATCH)


if __name__ == "__main__":
    folder, row, seed, pin_ms, *pace = sys.argv[1:]
    main(Path(folder), int(row), int(seed), int(pin_ms), *pace)
