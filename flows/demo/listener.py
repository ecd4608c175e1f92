"""Listens to what the engine emits, as a channel or an ad team would, and keeps it for the self-check.

Every record of `stock.updates`, `ads.signals` and `dead.letters` is written to a file as `penstock tail`
prints it. The age of an update is from its `cause_time`, the log timestamp of the oldest change that it
covers, to the timestamp that the log gave the update itself.
"""

import threading
from array import array
from pathlib import Path

import orjson

from connectors.log import Log, Partition, Record
from state.times import rfc3339_ms

TOPICS = ("stock.updates", "ads.signals", "dead.letters")
WAIT_MS = 100
_CAUSE = b'"cause_time":"'
_CAUSE_LENGTH = len("2026-12-01T00:00:00.000Z")


class Listener(threading.Thread):
    """A thread that reads until it is told that nothing more will come."""

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

    def finish(self) -> None:
        """Read on to the ends of the topics as they are now, then stop.

        Raises:
            RuntimeError: listening failed on the way.
        """
        self._last.set()
        self.join()
        if self.failure is not None:
            raise RuntimeError("listening failed") from self.failure

    def percentile_ms(self, part: float) -> float:
        """Return a percentile of the ages, `part` from 0 to 1; 0 without any."""
        ages = sorted(self.ages_ms)
        return float(ages[min(len(ages) - 1, int(len(ages) * part))]) if ages else 0.0

    def run(self) -> None:
        """Read, write down, measure."""
        try:
            self._listen()
        except BaseException as error:  # noqa: BLE001 - told to the main thread by `finish`
            self.failure = error

    def _listen(self) -> None:
        at = {Partition(t, n): 0 for t in TOPICS for n in range(self._log.partitions(t))}
        opened = {topic: path.open("wb") for topic, path in self.files.items()}
        try:
            while True:
                ending = self._last.is_set()
                records = self._log.read(at, 2_000, 8 << 20, WAIT_MS)
                for record in records:
                    at[Partition(record.topic, record.partition)] = record.offset + 1
                    opened[record.topic].write(_line(record))
                    self._note(record)
                if ending and not records:
                    return
        finally:
            for file in opened.values():
                file.close()

    def _note(self, record: Record) -> None:
        self.counts[record.topic] += 1
        value = record.value or b""
        if record.topic == "stock.updates":
            start = value.rindex(_CAUSE) + len(_CAUSE)
            cause_ms = rfc3339_ms(value[start : start + _CAUSE_LENGTH].decode())
            if cause_ms >= self.since_ms > 0:
                self.ages_ms.append(max(0, record.timestamp_ms - cause_ms))
        elif record.topic == "ads.signals":
            key = record.key or b""
            if b'"type":"ad.pause"' in value:
                self.pauses += 1
                self.paused.add(key)
            else:
                self.resumes += 1
                self.paused.discard(key)


def _line(record: Record) -> bytes:
    """Return a record as one JSON line; its value is JSON already and is not parsed again."""
    key = orjson.dumps((record.key or b"").decode())
    return b'{"topic":"%s","partition":%d,"offset":%d,"timestamp_ms":%d,"key":%s,"headers":{},"value":%s}\n' % (
        record.topic.encode(), record.partition, record.offset, record.timestamp_ms, key, record.value or b"null"
    )  # fmt: skip
