"""What the engine's store says: one line a SKU, as ``penstock stock`` prints it, into columns."""

from array import array
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
    """The whole store at the end of a run."""

    figures: Shown
    levels: Shown
    positions: Positions
    ads: dict[tuple[str, str], str]


class LevelRows:
    """Collects ``{channel: quantity}`` objects into rows of a fixed order of channels."""

    def __init__(self, channels: list[str]) -> None:
        self.channels = channels
        self.known = set(channels)
        self.extra: list[tuple[str, str]] = []

    def row(self, sku: str, levels: dict[str, int]) -> list[int]:
        """The levels in the order of the channels; what is missing is ABSENT."""
        if not self.known.issuperset(levels):
            self.extra += [(sku, channel) for channel in sorted(levels.keys() - self.known)]
        return [levels.get(channel, ABSENT) for channel in self.channels]


def read_snapshot(path: Path, names: Names, channels: list[str]) -> Snapshot:
    """Read all lines; numbers SKUs and locations that the stream does not know, too.

    Raises:
        InputError: a SKU on two lines, or a location twice within a SKU.
    """
    codes, figures, levels = array("q"), array("q"), array("q")
    position_sku, position_location, fields = array("q"), array("q"), array("q")
    ads: dict[tuple[str, str], str] = {}
    rows = LevelRows(channels)
    with path.open("rb") as lines:
        for line in lines:
            item: dict[str, Any] = orjson.loads(line)
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
    _require_distinct(path, ints(codes), names.sku)
    keys = pack(ints(position_sku), ints(position_location))
    order = np.argsort(keys)
    if (np.diff(keys[order]) == 0).any():
        raise InputError(f"{path.name}: expected each location once a SKU, got one twice")
    positions = Positions(keys[order], ints(fields).reshape(-1, len(FIELDS))[order])
    return Snapshot(
        Shown(ints(codes), ints(figures).reshape(-1, len(FIGURES)), []),
        Shown(ints(codes), ints(levels).reshape(-1, len(channels)), rows.extra),
        positions,
        ads,
    )


def _fields(position: dict[str, Any]) -> list[int]:
    counted_at = position["counted_at"]
    if counted_at is None:
        counted_at = NONE
    elif isinstance(counted_at, str):
        counted_at = rfc3339_ms(counted_at)
    return [*(position[name] for name in FIELDS[:-1]), counted_at]


def _require_distinct(path: Path, codes: Ints, skus: Codes) -> None:
    if np.unique(codes).size != codes.size:
        twice = int(np.flatnonzero(np.bincount(codes) > 1)[0])
        raise InputError(f"{path.name}: expected each SKU once, got {list(skus)[twice]!r} twice")
