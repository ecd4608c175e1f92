"""What consumers saw: the messages of stock.updates, ads.signals and dead.letters.

A consumer ignores a version that is not above the last seen, so the last message of a key is the
one with the highest version.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tests.oracle.columns import InputError
from tests.oracle.snapshot import LevelRows

_STATES = {"ad.pause": "paused", "ad.resume": "active"}


@dataclass(frozen=True, slots=True)
class Update:
    """One stock.updated, its levels in the order of the channels."""

    version: int
    available: int
    levels: tuple[int, ...]


@dataclass(slots=True)
class Updates:
    """The last message of each SKU, and the SKUs whose versions do not rise.

    `wanted` are the SKUs of which `history` has all messages, None = all SKUs; `history` is None when the file
    was folded.
    """

    rows: LevelRows
    wanted: AbstractSet[str] | None = None
    history: dict[str, list[Update]] | None = field(default_factory=dict)
    last: dict[str, Update] = field(default_factory=dict)
    falling: set[str] = field(default_factory=set)
    late: int = 0
    """Messages behind one with a higher version; a consumer ignores them."""
    count: int = 0

    @property
    def extra(self) -> list[tuple[str, str]]:
        """(SKU, channel) of levels on channels that are not."""
        return sorted(set(self.rows.extra))

    def take(self, data: dict[str, Any], *, count: int = 1, rises: bool = True) -> None:
        """Take the data of one message, in the order of the topic."""
        sku = data["sku"]
        levels = tuple(self.rows.row(sku, data["levels"]))
        update = Update(data["version"], data["available"], levels)
        last = self.last.get(sku)
        if (last and update.version <= last.version) or not rises:
            self.falling.add(sku)
        if last is None or update.version > last.version:
            self.last[sku] = update
        else:
            self.late += update.version < last.version
        self.count += count
        if self.history is not None and (self.wanted is None or sku in self.wanted):
            self.history.setdefault(sku, []).append(update)


@dataclass(frozen=True, slots=True)
class Signal:
    """One ad.pause ("paused") or ad.resume ("active")."""

    version: int
    state: str
    level: int
    days_of_cover: float | None


@dataclass(slots=True)
class Signals:
    """All signals of each (rule, sku), by rising version."""

    by_key: dict[tuple[str, str], list[Signal]] = field(default_factory=dict)
    pauses: int = 0
    resumes: int = 0


def updates_of(told: Iterable[dict[str, Any]], channels: Sequence[str]) -> Updates:
    """Take the data of stock updates in the order of the topic, and keep all of them."""
    updates = Updates(LevelRows(channels))
    for data in told:
        updates.take(data)
    return updates


def read_updates(path: Path, channels: list[str], wanted: set[str], *, folded: bool) -> Updates:
    """Read stock.updates in the order of the topic.

    Args:
        path: lines of ``penstock tail``; folded: the last one of each SKU, with the extra members
            ``count`` and ``versions_rise``.
        channels: the columns of `Update.levels`.
        wanted: the SKUs to keep all messages of.
        folded: how to read the file.
    """
    updates = Updates(LevelRows(channels), wanted, None if folded else {})
    for message, event in _messages(path, {"stock.updated"}):
        count = message["count"] if folded else 1
        updates.take(event["data"], count=count, rises=message.get("versions_rise", True))
    return updates


def read_signals(path: Path) -> Signals:
    """Read ads.signals, as `signals_of` reads events."""
    return signals_of(event for _, event in _messages(path, set(_STATES)))


def signals_of(events: Iterable[dict[str, Any]]) -> Signals:
    """Read the events of ads.signals; one delivered again counts once."""
    found: dict[tuple[str, str], dict[tuple[int, str], Signal]] = defaultdict(dict)
    for event in events:
        data, state = event["data"], _STATES[event["type"]]
        signal = Signal(data["version"], state, data["level"], data["days_of_cover"])
        found[data["rule"], data["sku"]][signal.version, state] = signal
    signals = Signals()
    for key, by_version in found.items():
        in_order = sorted(by_version.values(), key=lambda signal: signal.version)
        signals.by_key[key] = in_order
        paused = sum(signal.state == "paused" for signal in in_order)
        signals.pauses += paused
        signals.resumes += len(in_order) - paused
    return signals


def count_dead(path: Path) -> int:
    """How many different messages of the input topics were rejected."""
    places = set()
    for _, event in _messages(path, {"message.rejected"}):
        data = event["data"]
        places.add((data["topic"], data["partition"], data["offset"]))
    return len(places)


def _messages(path: Path, types: set[str]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each line and the CloudEvent in it; the value may stand as an object or as its text."""
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            message = orjson.loads(line)
            value = message["value"]
            event = orjson.loads(value) if isinstance(value, str) else value
            if event["type"] not in types:
                want, got = " or ".join(sorted(types)), event["type"]
                raise InputError(f"{path.name}:{number}: type: expected {want}, got {got!r}")
            yield message, event
