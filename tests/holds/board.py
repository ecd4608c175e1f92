"""Counters that processes share, and that outlive one that is killed: a file of integers, a row for each process."""

import mmap
from pathlib import Path
from struct import Struct
from typing import Final

NAMES: Final = (
    "claims",
    "made",
    "short",
    "confirmed",
    "released",
    "sold",
    "left",
    "repeated",
    "wrong",
)
ROWS: Final = 256

_INT = Struct("<q")
_ROW = _INT.size * len(NAMES)


class Board:
    """The counters. Each process writes its own row."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(_ROW * ROWS))
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _ROW * ROWS)

    def add(self, row: int, name: str, number: int = 1) -> None:
        """Count."""
        at = row * _ROW + NAMES.index(name) * _INT.size
        _INT.pack_into(self._map, at, _INT.unpack_from(self._map, at)[0] + number)

    def total(self, name: str) -> int:
        """Return what all rows say."""
        first = NAMES.index(name) * _INT.size
        return sum(int(_INT.unpack_from(self._map, row * _ROW + first)[0]) for row in range(ROWS))
