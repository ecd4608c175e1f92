"""The trade of the day, put into the log in the order in which it happened: the day passes in minutes."""

import threading
import time
from collections.abc import Sequence
from typing import Any

from connectors.log.base import Outgoing
from connectors.messages.cloudevents import structured
from flows.demo.events import Fact, message
from flows.runtime.context import Runtime
from state.durations import HOUR_MS
from state.events.messages import TOPIC_OF
from state.events.timestamps import ms_rfc3339
from tests.golive.monday import MIDNIGHT_MS, Monday
from tests.golive.shop import append

SLICE_S = 0.02
STEP_MS = HOUR_MS // 4
"""The day passes in steps no longer than this, however long the thread had to wait: hours are never skipped."""


class Trader(threading.Thread):
    """Plays facts up to a time of day that acts set; what a silent shop has to say is kept back."""

    def __init__(
        self, run: Runtime, day: Monday, hours_per_s: float, watched: Sequence[str]
    ) -> None:
        super().__init__(name="trader", daemon=True)
        self.failure: BaseException | None = None
        self.now_ms = MIDNIGHT_MS
        """What the clocks of the chain show."""
        self.played = 0
        self._run = run
        self._facts = day.facts
        self._pace = hours_per_s * HOUR_MS
        self._until_ms = self._told_ms = MIDNIGHT_MS
        self._moved = threading.Condition()
        self._ended = threading.Event()
        self._silent = ""
        self._kept: list[Fact] = []
        self._ids = 0
        self._watched = {shop: next(iter(day.stock[shop])) for shop in watched}
        """Shop -> something that it has."""
        self._heard_ms = MIDNIGHT_MS

    def go_until(self, hour: float) -> None:
        """Let the day go on to an hour, and return at once."""
        self._until_ms = MIDNIGHT_MS + int(hour * HOUR_MS)

    def wait(self) -> None:
        """Return when that hour has come.

        Raises:
            RuntimeError: the log did not take an event.
        """
        with self._moved:
            self._moved.wait_for(lambda: self.failure or self._told_ms >= self._until_ms)
        if self.failure is not None:
            raise RuntimeError("trading failed") from self.failure

    def end(self) -> None:
        """Stop trading."""
        self._ended.set()
        self.join()

    def silence(self, shop: str) -> None:
        """Keep back what the tills of a shop have to say."""
        self._silent = shop

    def speak(self) -> int:
        """Send what was kept back, with the times at which it happened. Return how many events that were."""
        kept, self._kept, self._silent = self._kept, [], ""
        append(self._run, [outgoing(fact) for fact in kept])
        return len(kept)

    def say(self, kind: str, key: str, data: dict[str, Any], *, at_ms: int = 0) -> str:
        """Tell something that is not in the data, now or as of a time that has passed. Return its id."""
        self._ids += 1
        event_id = f"golive-{self._ids}"
        at_ms = at_ms or self.now_ms
        value = structured(event_id, f"/golive/{key}", kind, at_ms, data)
        if key == self._silent:
            topic = TOPIC_OF[kind]
            self._kept.append(Fact(at_ms, topic, key, f"/golive/{key}", event_id, kind, data))
        else:
            append(self._run, [Outgoing(TOPIC_OF[kind], key.encode(), value)])
        return event_id

    def run(self) -> None:
        """Play on while there is something to play."""
        try:
            self._play()
        except BaseException as error:  # noqa: BLE001 - told to the main thread by `wait`
            with self._moved:
                self.failure = error
                self._moved.notify_all()

    def _play(self) -> None:
        at, looked_s = 0, time.monotonic()
        while not self._ended.is_set():
            now_s = time.monotonic()
            passed_ms = min(STEP_MS, int((now_s - looked_s) * self._pace))
            looked_s = now_s
            self.now_ms = min(self._until_ms, self.now_ms + passed_ms)
            begun = at
            while at < len(self._facts) and self._facts[at].business_ms <= self.now_ms:
                at += 1
            self._tell(self._facts[begun:at])
            if self.now_ms - self._heard_ms >= HOUR_MS:
                self._heard_ms = self.now_ms
                self._announce()
            with self._moved:
                self._told_ms = self.now_ms
                self._moved.notify_all()
            self._ended.wait(SLICE_S)

    def _announce(self) -> None:
        """Let the watched shops be heard of once an hour, as busy ones are."""
        for shop, sku in self._watched.items():
            data = {
                "location": shop,
                "reference": f"hour-{shop}-{self._heard_ms}",
                "expected_at": ms_rfc3339(self._heard_ms + HOUR_MS),
                "lines": [{"sku": sku, "quantity": 1}],
            }
            self.say("wms.announced", shop, data)

    def _tell(self, facts: Sequence[Fact]) -> None:
        told = [fact for fact in facts if not self._silent or fact.key != self._silent]
        self._kept += [fact for fact in facts if self._silent and fact.key == self._silent]
        if told:
            append(self._run, [outgoing(fact) for fact in told])
            self.played += len(told)


def outgoing(fact: Fact) -> Outgoing:
    event = message(fact)
    return Outgoing(event.topic, event.key, event.value, event.headers)
