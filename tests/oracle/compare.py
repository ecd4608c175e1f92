"""Stock compared: units, positions, SKUs, orders, claims, levels, last messages and versions."""

from collections.abc import Iterable, Mapping

import numpy as np

from tests.oracle.columns import Bools, Ints, sums_at, unpack
from tests.oracle.expected import Expected
from tests.oracle.levels import ABSENT
from tests.oracle.policy import Policy
from tests.oracle.positions import BLANK, FIELDS, Positions
from tests.oracle.snapshot import FIGURES, Shown, Snapshot
from tests.oracle.topics import Update, Updates
from tests.oracle.verdict import Check, Finding


def check_units(expected: Expected, source: dict[str, int] | None) -> tuple[Check, int, int]:
    """Units of the stream against the data's; also the units missing, and those too many."""
    check = Check("units")
    if source is None:
        return check, 0, 0
    missing = surplus = 0
    streamed = dict(zip(expected.skus, expected.units.tolist(), strict=True))
    for product in sorted(source.keys() | streamed.keys()):
        check.compared += 1
        want, got = source.get(product, 0), streamed.get(product, 0)
        missing += max(0, want - got)
        surplus += max(0, got - want)
        if want != got:
            check.found(f"{product}: expected {want}, got {got}")
    return check, missing, surplus


def check_positions(expected: Expected, shown: Positions) -> Check:
    """All fields, both ways. A position of zeros that was never counted may be left out."""
    keys = np.union1d(expected.positions.keys, shown.keys)
    want, got = _laid_out(expected.positions, keys), _laid_out(shown, keys)
    check = Check("positions", compared=int(keys.size))
    differ = np.flatnonzero((want != got).any(axis=1))
    for row, sku, location in zip(differ, *unpack(keys[differ]), strict=True):
        place = expected.skus[sku], expected.locations[location]
        units = int(got[row, 0] - want[row, 0])
        terms = _terms(FIELDS, want[row], got[row])
        check.found(f"{place[0]} at {place[1]}: {terms}", Finding(*place, units))
    return check


def check_skus(expected: Expected, shown: Shown) -> Check:
    """SKUs that are missing or made up; of the others available, unrouted and held."""
    check = Check("skus", compared=int(expected.touched.sum()))
    figures = FIGURES[:3]
    want = np.column_stack(
        [expected.available, expected.unrouted, np.zeros_like(expected.unrouted)]
    )
    got = by_sku(shown, len(expected.skus))[:, : len(figures)]
    seen = (got != ABSENT).any(axis=1)
    for code in np.flatnonzero((want != got).any(axis=1)):
        sku = expected.skus[code]
        if not seen[code]:
            if expected.touched[code]:
                check.found(f"{sku}: expected a SKU, got none", Finding(sku))
        elif code >= expected.known:
            check.found(f"{sku}: expected none, got a SKU", Finding(sku))
        else:
            terms = _terms(figures, want[code], got[code])
            units = int(got[code, 1] - want[code, 1])
            check.found(f"{sku}: {terms}", Finding(sku, units=units))
    return check


def check_orders(expected: Expected, shown: Mapping[tuple[str, str], int]) -> Check:
    """What is open of each order number and SKU, where the store keeps it; 0 may be left out."""
    check = Check("orders")
    for order, sku in sorted(expected.open.keys() | shown.keys()):
        check.compared += 1
        want, got = expected.open.get((order, sku), 0), shown.get((order, sku), 0)
        if want != got:
            check.found(f"{order}: {sku} open expected {want}, got {got}", Finding(sku))
    return check


def check_sold(expected: Expected) -> tuple[Check, int, int]:
    """Units sold or promised that were not there, by SKU and by location; also all of them, and those nobody bought."""
    check = Check("sold", compared=int(expected.touched.sum()))
    sku, location = unpack(expected.positions.keys)
    atp = expected.positions.field("atp")
    left = sums_at(sku, atp, len(expected.skus)) - expected.unrouted
    for code in np.flatnonzero(left < 0):
        name = expected.skus[code]
        check.found(f"{name}: oversold by {-left[code]}", Finding(name))
    for row in np.flatnonzero(atp < 0):
        place = expected.skus[sku[row]], expected.locations[location[row]]
        check.found(f"{place[0]} at {place[1]}: oversold by {-atp[row]}", Finding(*place))
    return check, int(-left[left < 0].sum()), int(left[left > 0].sum())


def check_claims(snapshot: Snapshot) -> Check:
    """Of a store at rest no SKU is left claimed: an emission is under way, or was never confirmed."""
    check = Check("claims", compared=snapshot.figures.sku.size)
    for sku in sorted(snapshot.open):
        check.found(f"{sku}: its claim is left open", Finding(sku))
    return check


def check_levels(expected: Expected, shown: Shown, policy: Policy) -> Check:
    """The stored level of every SKU on every channel; of a frozen one only that there is one."""
    check = Check("levels")
    _found_extra(check, shown.extra)
    got = by_sku(shown, len(expected.skus))
    codes = np.flatnonzero(expected.touched)
    for column, channel in enumerate(policy.channels):
        check.compared += codes.size
        wrong = _level_differs(expected.levels[:, column], got[:, column], channel.mode)
        for code in codes[wrong[codes]]:
            sku = expected.skus[code]
            terms = (
                f"expected {_text(expected.levels[code, column])}, got {_text(got[code, column])}"
            )
            check.found(f"{sku} on {channel.id}: {terms}", Finding(sku))
    return check


def check_last_messages(expected: Expected, updates: Updates, policy: Policy) -> Check:
    """What stock.updates said last of every SKU: available and the whole levels."""
    check = Check("last_messages")
    _found_extra(check, updates.extra)
    code_of = {sku: code for code, sku in enumerate(expected.skus[: expected.known])}
    for sku in sorted(updates.last.keys() - code_of.keys()):
        check.found(f"{sku}: expected no message, got one", Finding(sku))
    modes = [channel.mode for channel in policy.channels]
    for code in np.flatnonzero(expected.touched):
        check.compared += 1
        sku = expected.skus[code]
        last = updates.last.get(sku)
        if last is None:
            check.found(f"{sku}: expected a message, got none", Finding(sku))
            continue
        names = ["available", *expected.channels]
        want = [int(expected.available[code]), *expected.levels[code].tolist()]
        got = [last.available, *last.levels]
        for i, mode in enumerate(modes, start=1):
            if mode == "frozen" and got[i] != ABSENT:
                got[i] = want[i]
        if want != got:
            check.found(f"{sku} version {last.version}: {_terms(names, want, got)}", Finding(sku))
    return check


def check_contents(updates: Updates) -> Check:
    """One version has one content, however often it was emitted. Wants the whole topic."""
    check = Check("contents", compared=updates.count)
    for sku, history in sorted((updates.history or {}).items()):
        contents: dict[int, Update] = {}
        for update in history:
            if contents.setdefault(update.version, update) != update:
                check.found(f"{sku}: version {update.version} has two contents", Finding(sku))
    return check


def check_versions(
    expected: Expected, updates: Updates, figures: Shown, *, one_emits: bool = True
) -> Check:
    """The store is not behind the last version emitted; if one process emits, versions rise strictly in the topic."""
    check = Check("versions", compared=updates.count)
    for sku in sorted(updates.falling) if one_emits else ():
        check.found(f"{sku}: expected versions that rise, got one that does not", Finding(sku))
    stored = by_sku(figures, len(expected.skus))[:, FIGURES.index("version")]
    for code, sku in enumerate(expected.skus):
        last = updates.last.get(sku)
        if last and stored[code] != ABSENT and stored[code] < last.version:
            terms = f"expected at least {last.version} stored, got {stored[code]}"
            check.found(f"{sku}: {terms}", Finding(sku))
    return check


def by_sku(shown: Shown, skus: int) -> Ints:
    """The rows at the place of their SKU code; ABSENT where there is no row."""
    rows = np.full((skus, shown.rows.shape[1]), ABSENT, dtype=np.int64)
    rows[shown.sku] = shown.rows
    return rows


def _laid_out(positions: Positions, keys: Ints) -> Ints:
    rows = np.tile(np.array(BLANK, dtype=np.int64), (keys.size, 1))
    rows[np.searchsorted(keys, positions.keys)] = positions.rows
    return rows


def _level_differs(want: Ints, got: Ints, mode: str) -> Bools:
    differs: Bools = got == ABSENT if mode == "frozen" else want != got
    return differs


def _found_extra(check: Check, extra: list[tuple[str, str]]) -> None:
    for sku, channel in extra:
        check.found(f"{sku} on {channel}: expected no level, got one", Finding(sku))


def _terms(names: Iterable[str], want: Iterable[int], got: Iterable[int]) -> str:
    return "; ".join(
        f"{name} expected {_text(w)}, got {_text(g)}"
        for name, w, g in zip(names, want, got, strict=True)
        if w != g
    )


def _text(value: int) -> str:
    return "nothing" if value == ABSENT else str(value)
