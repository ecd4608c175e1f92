"""Checkouts: each a process that holds a few units, then buys them, gives them back, or forgets them.

    python -m tests.golive.clients NAME SEED STOP JOURNAL SKU...

It goes on until the file STOP exists, and writes to JOURNAL what was held when: `{at_ms, sku, units}`, below zero for
what was let go, and at its end how often what came out.
"""

import random
import sys
import time
from collections import Counter
from pathlib import Path

import orjson

from connectors.config import settings as environment
from flows.runtime.clock import now_ms
from flows.runtime.policy_follower import follow_policy
from flows.runtime.session import connected
from flows.services.holds.service import HoldService
from flows.services.holds.values import Confirmed, HoldCreated, Wanted

CHANNEL = "shop"
EVERY_S = 0.05
FORGET_S = 1
LAPSED_AFTER_MS = 2_000
UNITS_MAX = 3


class Checkout:
    """One of them."""

    def __init__(
        self, holding: HoldService, name: str, chance: random.Random, journal: Path
    ) -> None:
        self._holding = holding
        self._name = name
        self._chance = chance
        self._journal = journal.open("ab")
        self.outcomes: Counter[str] = Counter()

    def shop(self, number: int, sku: str) -> None:
        """Hold some units of a SKU, and do one of three things with them."""
        hold = f"{self._name}-{number}"
        units = self._chance.randint(1, UNITS_MAX)
        what = self._chance.choice(("buy", "buy", "release", "forget"))
        wanted = Wanted(
            hold, ((sku, units),), channel=CHANNEL, ttl_s=FORGET_S if what == "forget" else 600
        )
        began_ms = now_ms()
        made = self._holding.create(wanted)
        if not isinstance(made, HoldCreated):
            self.outcomes[made.reason] += 1
            return
        self._note(began_ms, sku, units)
        if what == "buy":
            found = self._holding.confirm(hold, f"order-{hold}")
            self.outcomes["bought" if isinstance(found, Confirmed) else found.reason] += 1
            self._note(now_ms(), sku, -units)
        elif what == "release":
            self._holding.release(hold)
            self.outcomes["released"] += 1
            self._note(now_ms(), sku, -units)
        else:
            self.outcomes["forgotten"] += 1
            self._note(made.expiry_ms + LAPSED_AFTER_MS, sku, -units)

    def close(self) -> None:
        """Write down what came out."""
        self._journal.write(orjson.dumps(dict(self.outcomes)) + b"\n")
        self._journal.close()

    def _note(self, at_ms: int, sku: str, units: int) -> None:
        line = {"at_ms": at_ms, "sku": sku, "units": units}
        self._journal.write(orjson.dumps(line) + b"\n")


def main(words: list[str]) -> int:
    """Shop until told to stop."""
    name, seed, stop, journal, *skus = words
    with connected(environment.load()) as run:
        follow_policy(run)
        checkout = Checkout(HoldService(run), name, random.Random(int(seed)), Path(journal))
        number = 0
        while not Path(stop).exists():
            number += 1
            checkout.shop(number, skus[number % len(skus)])
            time.sleep(EVERY_S)
        checkout.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
