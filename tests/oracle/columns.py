"""Columns of integers: texts as numbers, and sums by key. Five million lines fit in memory so."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]

NONE = -1
_LOW_BITS = 24


class InputError(ValueError):
    """An input file is not what the check can work with: says where, what was expected, got."""


class Codes(dict[str, int]):
    """Numbers texts 0, 1, 2, ... in the order of first sight: ``codes[text]`` never fails."""

    def __missing__(self, text: str) -> int:
        code = self[text] = len(self)
        return code

    def optional(self, text: str | None) -> int:
        """The number of `text`, or NONE for None."""
        return NONE if text is None else self[text]


def ints(values: object) -> Ints:
    """An int64 column of any sequence of integers."""
    return np.asarray(values, dtype=np.int64)


def joined(parts: list[Ints]) -> Ints:
    """The columns one below the other; an empty column when there are none."""
    return np.concatenate(parts) if parts else ints([])


def pack(high: Ints, low: Ints) -> Ints:
    """Two codes as one key; `low` has to be in 0..2^24-1."""
    if (low >> _LOW_BITS).any():
        msg = f"key: expected codes 0..2^24-1, got {int(low.min())}..{int(low.max())}"
        raise InputError(msg)
    return (high << _LOW_BITS) | low


def unpack(keys: Ints) -> tuple[Ints, Ints]:
    """The inverse of `pack`."""
    return keys >> _LOW_BITS, keys & ((1 << _LOW_BITS) - 1)


def sums_by(keys: Ints, *columns: Ints) -> tuple[Ints, list[Ints]]:
    """The distinct keys in rising order, and the sum of each column over each key."""
    distinct, place = np.unique(keys, return_inverse=True)
    return distinct, [sums_at(place, column, distinct.size) for column in columns]


def sums_at(places: npt.NDArray[np.intp] | Ints, column: Ints, size: int) -> Ints:
    """``sums[p]`` is the sum of `column` where `places` is p, for p in 0..size-1. Exact."""
    sums = np.zeros(size, dtype=np.int64)
    np.add.at(sums, places, column)
    return sums


def looked_up(keys: Ints, table: Ints, values: Ints, missing: int) -> Ints:
    """For each key its value in the rising `table`, or `missing`."""
    if not table.size:
        return np.full(keys.size, missing, dtype=np.int64)
    place = np.minimum(np.searchsorted(table, keys), table.size - 1)
    return np.where(table[place] == keys, values[place], missing)
