"""What the outside keeps of what it was told: levels by SKU, ad states, dead letters."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from connectors.log.base import Record

Manner = Literal["keeps the last version", "forgets the last version", "merges what changed"]


@dataclass(slots=True)
class Consumer:
    """A channel that keeps the levels of the newest version it saw."""

    manner: Manner = "keeps the last version"
    versions: dict[str, int] = field(default_factory=dict)
    levels: dict[str, dict[str, int]] = field(default_factory=dict)
    available: dict[str, int] = field(default_factory=dict)

    def take_all(self, records: Iterable[Record], forgets: int) -> None:
        """Take updates in the order of the log; one that forgets starts anew after every so many."""
        for number, record in enumerate(records):
            if self.manner == "forgets the last version" and number % forgets == 0:
                self.versions.clear()
            self._take(data_of(record))

    def _take(self, update: dict[str, Any]) -> None:
        sku, levels = update["sku"], update["levels"]
        if update["version"] <= self.versions.get(sku, 0):
            return
        self.versions[sku] = update["version"]
        self.available[sku] = update["available"]
        if self.manner == "merges what changed":
            self.levels.setdefault(sku, {}).update(
                {name: levels[name] for name in update["changed"]}
            )
        else:
            self.levels[sku] = levels


def ad_states(records: Iterable[Record]) -> dict[str, str]:
    """Return the state of each SKU's ads by the newest version told."""
    newest: dict[str, tuple[int, str]] = {}
    for record in records:
        event = orjson.loads(record.value or b"")
        data = event["data"]
        state = "paused" if event["type"] == "ad.pause" else "active"
        newest[data["sku"]] = max(newest.get(data["sku"], (0, "")), (data["version"], state))
    return {sku: state for sku, (_, state) in newest.items()}


def data_of(record: Record) -> dict[str, Any]:
    """Return the data of an event."""
    found: dict[str, Any] = orjson.loads(record.value or b"")["data"]
    return found
