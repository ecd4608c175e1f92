"""The table of sale lines, and the digest that makes every choice of the demo."""

from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Self

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

SEED = "penstock-demo-1:"


class DemoError(Exception):
    """The demo cannot be prepared; the text says why and what to do."""


def digest(text: str | int) -> bytes:
    """Return the 32 bytes that decide everything about the thing called `text`."""
    return sha256(f"{SEED}{text}".encode()).digest()


def number(some: bytes, position: int) -> int:
    """Return the `position`-th group of 4 bytes of a digest, as a big-endian number."""
    return int.from_bytes(some[4 * position : 4 * position + 4], "big")


@dataclass(frozen=True, slots=True)
class Sales:
    """Columns of equal length, sorted by (time, basket, product).

    A basket has one time, one household, one store, and a product at most once; quantities are
    at least 1 unit.
    """

    time_ms: IntArray
    basket: IntArray
    household: IntArray
    store: IntArray
    product: IntArray
    quantity: IntArray

    @classmethod
    def ordered(cls, **columns: IntArray) -> Self:
        """Build the table from columns in any order of rows."""
        order = np.lexsort((columns["product"], columns["basket"], columns["time_ms"]))
        return cls(**{name: column[order] for name, column in columns.items()})

    def __len__(self) -> int:
        return len(self.time_ms)

    def before(self, end_ms: int) -> Self:
        """Return the part of the table that was sold before `end_ms`."""
        keep = int(np.searchsorted(self.time_ms, end_ms))
        return type(self)(**{f.name: getattr(self, f.name)[:keep] for f in fields(self)})


def units_by_product(sales: Sales) -> dict[int, int]:
    """Return the units sold of each product."""
    product, line = np.unique(sales.product, return_inverse=True)
    units = np.zeros(len(product), np.int64)
    np.add.at(units, line, sales.quantity)
    return dict(zip(product.tolist(), units.tolist(), strict=True))
