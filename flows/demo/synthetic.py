"""A small made-up chain: 5 shops, 200 products, 4 weeks, about 2,000 baskets."""

from math import prod

import numpy as np

from flows.demo.sales import Sales, digest, number
from state.durations import DAY_MS, WEEK_MS

SHOPS = 5
PRODUCTS = 200
HOUSEHOLDS = 150
BASKETS = 2_000
WEEKS = 4
# 2017-01-02, a Monday, 00:00 UTC.
START_MS = 1_483_315_200_000

_OPEN_MS, _CLOSE_MS = 7 * DAY_MS // 24, 22 * DAY_MS // 24
_LINES_MAX = 9


def made_up_trading() -> Sales:
    """Return the sale lines; what each basket holds is read off digests of its number."""
    rows: list[tuple[int, int, int, int, int, int]] = []
    for basket in range(1, BASKETS + 1):
        some = digest(f"basket {basket}")
        day_ms = number(some, 0) % (WEEKS * WEEK_MS // DAY_MS) * DAY_MS
        # Whole seconds, as in the real table.
        clock_ms = _OPEN_MS + number(some, 1) % ((_CLOSE_MS - _OPEN_MS) // 1000) * 1000
        household = 1 + number(some, 2) % HOUSEHOLDS
        store = 1 + number(some, 3) % SHOPS
        lines = 1 + number(some, 4) % _LINES_MAX
        for product, quantity in _picked(basket, lines).items():
            rows.append((START_MS + day_ms + clock_ms, basket, household, store, product, quantity))
    columns = np.array(rows, np.int64).T
    names = ("time_ms", "basket", "household", "store", "product", "quantity")
    return Sales.ordered(**dict(zip(names, columns, strict=True)))


def _picked(basket: int, lines: int) -> dict[int, int]:
    picked: dict[int, int] = {}
    for line in range(lines):
        some = digest(f"basket {basket} line {line}")
        # Three even draws multiplied: a few products sell every day, many once in a month.
        draws = (number(some, draw) % PRODUCTS for draw in range(3))
        product = 1 + prod(draws) // PRODUCTS**2
        picked[product] = picked.get(product, 0) + 1 + number(some, 3) % 8 // 6
    return picked
