"""Listens to what the engine emits, as a channel or an ad team would, and keeps it for the self-check.

Every record of `stock.updates`, `ads.signals` and `dead.letters` is written to a file as `penstock tail`
prints it. The age of an update is from its `cause_time`, the log timestamp of the oldest change that it
covers, to the timestamp that the log gave the update itself.
"""

import threading
from array import array
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path

import orjson

from connectors.log.base import Log, Partition, Record
from state.events.timestamps import rfc3339_ms

TOPICS = ("stock.updates", "ads.signals", "dead.letters")
WAIT_MS = 100
_CAUSE = b'"cause_time":"'
_TOPIC_AND_PARTITION = attrgetter("topic", "partition")
_CAUSE_LENGTH = len("2026-12-01T00:00:00.000Z")


class Listener(threading.Thread):
    """A thread that reads until it is notified that nothing more will come."""

    def __init__(self, log: Log, folder: Path) -> None:
        super().__init__(name="listener", daemon=True)
        self.files = {topic: folder / f"{topic}.jsonl" for topic in TOPICS}
        self.counts = dict.fromkeys(TOPICS, 0)
        self.pauses = 0
        self.resumes = 0
        self.paused: set[bytes] = set()
        """Keys (rule and SKU) of the ads paused now."""
        self.ages_ms = array("I")
        self.since_ms = 0
        """Updates whose cause is older are not measured: the opening stock is loaded, not traded."""
        self.failure: BaseException | None = None
        self._log = log
        self._last = threading.Event()
        self._abandoned = threading.Event()

    def finish(self) -> None:
        """Read on to the ends of the topics as they are now, then stop.

        Raises:
            RuntimeError: listening failed on the way.
        """
        self._last.set()
        self.join()
        if self.failure is not None:
            raise RuntimeError("listening failed") from self.failure

    def abandon(self) -> None:
        """Stop as soon as the read in flight has ended, whatever is left."""
        self._abandoned.set()
        self.join()

    def percentile_ms(self, part: float) -> float:
        """Return a percentile of the ages, `part` from 0 to 1; 0 without any."""
        ages = sorted(self.ages_ms)
        return float(ages[min(len(ages) - 1, int(len(ages) * part))]) if ages else 0.0

    def run(self) -> None:
        """Read, write down, measure."""
        try:
            self._listen()
        except BaseException as error:  # noqa: BLE001 - reported to the main thread by `finish`
            self.failure = error

    def _listen(self) -> None:
        at = {Partition(t, n): 0 for t in TOPICS for n in range(self._log.partitions(t))}
        opened = {topic: path.open("wb") for topic, path in self.files.items()}
        try:
            while not self._abandoned.is_set():
                ending = self._last.is_set()
                records = self._log.read(at, 2_000, 8 << 20, WAIT_MS)
                for (topic, n), group in groupby(records, _TOPIC_AND_PARTITION):
                    mine = list(group)
                    at[Partition(topic, n)] = mine[-1].offset + 1
                    opened[topic].write(_lines(topic, n, mine))
                    self._note(topic, mine)
                if ending and not records:
                    return
        finally:
            for file in opened.values():
                file.close()

    def _note(self, topic: str, records: Sequence[Record]) -> None:
        self.counts[topic] += len(records)
        if topic == "stock.updates":
            self._note_ages(records)
        elif topic == "ads.signals":
            for record in records:
                self._note_signal(record.key or b"", record.value or b"")

    def _note_ages(self, records: Sequence[Record]) -> None:
        for record in records:
            value = record.value or b""
            start = value.rindex(_CAUSE) + len(_CAUSE)
            cause_ms = _time_ms(value[start : start + _CAUSE_LENGTH])
            if cause_ms >= self.since_ms > 0:
                self.ages_ms.append(max(0, record.timestamp_ms - cause_ms))

    def _note_signal(self, key: bytes, value: bytes) -> None:
        if b'"type":"ad.pause"' in value:
            self.pauses += 1
            self.paused.add(key)
        else:
            self.resumes += 1
            self.paused.discard(key)


@lru_cache(maxsize=1 << 12)
def _time_ms(text: bytes) -> int:
    """Return a time in ms; the updates of a batch share few of them."""
    return rfc3339_ms(text.decode())


def _lines(topic: str, n: int, records: Sequence[Record]) -> bytes:
    """Return records of one partition as JSON lines; a value is JSON already and is not parsed again."""
    head = b'{"topic":"%b","partition":%d,"offset":' % (topic.encode(), n)
    return b"".join(
        b'%b%d,"timestamp_ms":%d,"key":%b,"headers":{},"value":%b}\n' % (
            head, record.offset, record.timestamp_ms, orjson.dumps((record.key or b"").decode()),
            record.value or b"null",
        )
        for record in records
    )  # fmt: skip
