"""The shadow report, SKU by SKU."""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from connectors.config.yaml_reader import Lint
from flows.runtime.active_policy import ActivePolicy
from flows.services.queries.current_levels import AsOf
from flows.services.queries.shadow_report import LevelDifference, Report, read_shown, worst_first
from state.events.codes import CodeTable
from state.policy.document import Channel, Location, Policy
from state.policy.overlay import Overlay, change_silent
from state.protocol.figures import Position, SkuState
from state.store.policy import PolicyRecord

POLICY = Policy(
    locations=(
        Location("wh", "warehouse"),
        Location("s1", "store", silent_after_s=60),
        Location("own", "platform", channel="market"),
    ),
    channels=(
        Channel("shop", mode="shadow", kinds=("warehouse",), buffer_units=2),
        Channel("market", mode="frozen"),
    ),
)


def state(wh: int, s1: int = 0, own: int = 0, unrouted: int = 0) -> SkuState:
    """A SKU whose sums were made under another policy: the report must not use them."""
    positions = tuple(
        Position(location, units, 0, 0, 0, None)
        for location, units in (("own", own), ("s1", s1), ("wh", wh))
    )
    return SkuState(
        "A", 1, unrouted, 0, positions, (7, 7, 7), 77, 3, (), 0, '{"market":9}', "",
        open=False, token=0,
    )  # fmt: skip


def report(overlay: Overlay | None = None, **shown: int) -> Report:
    in_force = PolicyRecord(5, POLICY, 5, overlay or Overlay())
    return Report(ActivePolicy(in_force, CodeTable()), {"A": shown}, AsOf(0, {}))


def rows(found: Iterable[LevelDifference]) -> list[tuple[int, ...]]:
    return [row[2:] for row in found]


def test_more_than_there_is_would_have_been_oversold_and_nothing_shown_hidden() -> None:
    assert rows(report(shop=9).compare("A", state(5))) == [(9, 3, 5, 4, 0)]
    assert rows(report(shop=4).compare("A", state(5))) == [(4, 3, 5, 0, 0)]
    assert rows(report(shop=0).compare("A", state(5))) == [(0, 3, 5, 0, 3)]
    assert rows(report(shop=3).compare("A", state(5))) == []


def test_a_frozen_channel_is_worked_out_as_if_it_were_live() -> None:
    assert rows(report(market=1).compare("A", state(5, s1=2, own=1))) == [(1, 8, 8, 0, 0)]


def test_what_the_pool_does_not_know_is_not_there() -> None:
    assert rows(report(shop=2, market=0).compare("A", None)) == [(2, 0, 0, 2, 0)]


def test_stock_at_a_silent_location_is_not_there() -> None:
    silent = change_silent(Overlay(), {"s1": 1}, ())
    assert rows(report(silent, market=7).compare("A", state(5, s1=2))) == [(7, 5, 5, 2, 0)]


def test_skus_that_the_file_does_not_name_are_counted_for_its_channels_alone() -> None:
    made = report(shop=3)
    assert rows(made.compare("B", state(5))) == []
    assert [(each.channel, each.not_in_file, each.compared) for each in made.totals.values()] == [
        ("shop", 1, 0)
    ]


@given(st.integers(0, 20), st.integers(-5, 20), st.integers(0, 9))
def test_nothing_differs_when_the_file_shows_what_the_pool_does(wh: int, s1: int, out: int) -> None:
    sku = state(wh, s1, unrouted=out)
    level = max(0, wh - out - 2)
    assert rows(report(shop=level).compare("A", sku)) == []


def test_the_worst_comes_first() -> None:
    made = [
        LevelDifference("c", "A", 1, 2, 2, 0, 0),
        LevelDifference("c", "B", 0, 5, 5, 0, 5),
        LevelDifference("c", "C", 9, 1, 1, 8, 0),
    ]
    assert [row.sku for row in worst_first(made)] == ["C", "B", "A"]


def test_a_file_is_told_what_is_wrong_with_it_line_by_line() -> None:
    lint = Lint("today.csv")
    lines = (
        "channel,sku,quantity\n",
        "shp,A,1\n",
        "shop,A,x\n",
        "shop,A\n",
        "shop,A,1\n",
        "shop,A,2\n",
    )
    shown = read_shown(lines, ["shop"], lint)
    assert shown == {"A": {"shop": 1}}
    assert [str(problem).split(": ", 1)[1] for problem in lint.problems] == [
        "channel: expected a listed channel, got 'shp': did you mean shop?",
        "quantity: expected integer 0..1000000000, got 'x'",
        "expected 3 cells, got 2",
        "sku: expected each SKU once for a channel, got 'A' for 'shop' again",
    ]
