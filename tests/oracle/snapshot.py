"""What the engine's store says: one object a SKU, as ``penstock stock`` prints it, into columns."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tests.oracle.columns import NONE, Codes, InputError, Ints, ints, pack
from tests.oracle.levels import ABSENT
from tests.oracle.positions import FIELDS, Positions
from tests.oracle.stream import Names, rfc3339_ms

FIGURES = ("available", "unrouted", "held", "version")


@dataclass(frozen=True, slots=True)
class Shown:
    """Rows of a table by SKU code: `rows` has the columns that were asked for, ABSENT where unsaid.

    `extra` holds (sku, column) pairs that nobody asked for.
    """

    sku: Ints
    rows: Ints
    extra: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The whole store at the end of a run.

    `open` are the SKUs that somebody has claimed and not settled, where the objects have the extra member ``open``.
    """

    figures: Shown
    levels: Shown
    positions: Positions
    ads: dict[tuple[str, str], str]
    open: set[str]


class LevelRows:
    """Collects ``{channel: quantity}`` objects into rows of a fixed order of channels."""

    def __init__(self, channels: Sequence[str]) -> None:
        self.channels = channels
        self.known = set(channels)
        self.extra: list[tuple[str, str]] = []

    def row(self, sku: str, levels: dict[str, int]) -> list[int]:
        """The levels in the order of the channels; what is missing is ABSENT."""
        if not self.known.issuperset(levels):
            self.extra += [(sku, channel) for channel in sorted(levels.keys() - self.known)]
        return [levels.get(channel, ABSENT) for channel in self.channels]


def stock_in(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file of JSON lines."""
    with path.open("rb") as lines:
        yield from map(orjson.loads, lines)


def snapshot_of(stock: Iterable[dict[str, Any]], names: Names, channels: list[str]) -> Snapshot:
    """Read all SKUs; numbers SKUs and locations that the stream does not know, too.

    Raises:
        InputError: a SKU twice, or a location twice within a SKU.
    """
    codes, figures, levels = array("q"), array("q"), array("q")
    position_sku, position_location, fields = array("q"), array("q"), array("q")
    ads: dict[tuple[str, str], str] = {}
    rows, left_open = LevelRows(channels), set[str]()
    for item in stock:
        code = names.sku[item["sku"]]
        codes.append(code)
        figures.extend([item[name] for name in FIGURES])
        levels.extend(rows.row(item["sku"], item["levels"]))
        for each in item["positions"]:
            position_sku.append(code)
            position_location.append(names.location[each["location"]])
            fields.extend(_fields(each))
        for ad in item["ads"]:
            ads[ad["rule"], item["sku"]] = ad["state"]
        if item.get("open"):
            left_open.add(item["sku"])
    _require_distinct(codes, names.sku)
    keys = pack(ints(position_sku), ints(position_location))
    order = np.argsort(keys)
    if (np.diff(keys[order]) == 0).any():
        raise InputError("snapshot: expected each location once a SKU, got one twice")
    positions = Positions(keys[order], ints(fields).reshape(-1, len(FIELDS))[order])
    return Snapshot(
        Shown(ints(codes), ints(figures).reshape(-1, len(FIGURES)), []),
        Shown(ints(codes), ints(levels).reshape(len(codes), len(channels)), rows.extra),
        positions,
        ads,
        left_open,
    )


def _fields(position: dict[str, Any]) -> list[int]:
    counted_at = position["counted_at"]
    if counted_at is None:
        counted_at = NONE
    elif isinstance(counted_at, str):
        counted_at = rfc3339_ms(counted_at)
    return [*(position[name] for name in FIELDS[:-1]), counted_at]


def _require_distinct(codes: "array[int]", skus: Codes) -> None:
    if len(set(codes)) != len(codes):
        twice = int(np.flatnonzero(np.bincount(ints(codes)) > 1)[0])
        raise InputError(f"snapshot: expected each SKU once, got {list(skus)[twice]!r} twice")
