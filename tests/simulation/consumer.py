"""What the outside keeps of what it was told: levels by SKU."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from connectors.log.base import Record

Manner = Literal["keeps the last version", "forgets the last version", "merges what changed"]


@dataclass(slots=True)
class Consumer:
    """A channel that keeps the levels of the newest version it saw; one that forgets starts anew after so many."""

    manner: Manner
    forgets: int
    versions: dict[str, int] = field(default_factory=dict)
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)

    def keeps(self, updates: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Take updates in the order of the log; yield the one that is left of each SKU."""
        for number, update in enumerate(updates):
            if self.manner == "forgets the last version" and number % self.forgets == 0:
                self.versions.clear()
            self._take(update)
        yield from self.kept.values()

    def _take(self, update: dict[str, Any]) -> None:
        sku, levels = update["sku"], update["levels"]
        if update["version"] <= self.versions.get(sku, 0):
            return
        self.versions[sku] = update["version"]
        if self.manner == "merges what changed":
            changed = {name: levels[name] for name in update["changed"]}
            levels = self.kept.get(sku, {}).get("levels", {}) | changed
        self.kept[sku] = {**update, "levels": levels}


def data_of(record: Record) -> dict[str, Any]:
    """Return the data of an event."""
    found: dict[str, Any] = orjson.loads(record.value or b"")["data"]
    return found
