"""Checkouts beside the trading: holds on SKUs that are traded just now, short ones, left to lapse or given back.

Nothing is sold out of them: when all is at rest none is left, and the stock is what the log says. Whatever a server
answers meanwhile, or does not, is taken as it comes.
"""

import random
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import redis

from connectors.config.settings import Settings
from connectors.redis.server import ServerAway
from flows.runtime.session import connected
from flows.services.holds.service import HoldService
from flows.services.holds.values import HoldCreated, Wanted

TURN_S = 0.05
AWAY_S = 0.2
RECENT = 64
TTL_S = 1


class Checkouts:
    """Makes holds from a thread of its own, with a connection of its own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._chance = random.Random()
        self._recent: deque[str] = deque(maxlen=RECENT)
        self._stopped = threading.Event()
        self.made = 0
        self._thread = threading.Thread(target=self._run, name="checkouts", daemon=True)
        self._thread.start()

    def saw(self, skus: Iterable[str]) -> None:
        """Note what is traded."""
        self._recent.extend(skus)

    def stop(self) -> None:
        """Make no more. What stands lapses by itself."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                with connected(self._settings) as run:
                    self._claim(HoldService(run))
            except (redis.RedisError, ServerAway, OSError):
                self._stopped.wait(AWAY_S)

    def _claim(self, holding: HoldService) -> None:
        chance = self._chance
        channels = [channel.id for channel in holding.runtime.policy.compiled.policy.channels]
        shops = [where for where in holding.runtime.policy.compiled.locations if where[0] == "s"]
        while not self._stopped.wait(TURN_S):
            known = list(self._recent)
            if not known:
                continue
            lines = tuple(
                (chance.choice(known), chance.randint(1, 3)) for _ in range(chance.randint(1, 3))
            )
            name = f"k{chance.getrandbits(60)}"
            at_till = bool(shops) and chance.randrange(3) == 0
            wanted = Wanted(
                name, lines,
                channel="" if at_till else chance.choice(channels),
                location=chance.choice(shops) if at_till else "",
                ttl_s=TTL_S, partial=chance.randrange(2) == 0,
            )  # fmt: skip
            found = holding.create(wanted)
            if isinstance(found, HoldCreated):
                self.made += 1
                if chance.randrange(2):
                    holding.release(name)


@contextmanager
def checking_out(settings: Settings) -> Iterator[Checkouts]:
    """Have checkouts for as long as the block lasts."""
    checkouts = Checkouts(settings)
    try:
        yield checkouts
    finally:
        checkouts.stop()
