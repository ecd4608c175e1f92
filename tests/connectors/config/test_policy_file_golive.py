"""Fields for going live: when locations are open, how channels open, when they freeze."""

import pytest

from connectors.config.policy_file import check, load
from state.policy.document import Policy

LOCATION = "version: 1\nlocations: [{id: s1, kind: store, %s}]\n"


def policy(text: str, tmp_path_factory: pytest.TempPathFactory) -> Policy:
    path = tmp_path_factory.mktemp("config") / "penstock.yaml"
    path.write_text(text)
    return load(path)


def test_a_location_has_hours_and_may_be_silent_for_so_long(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    given = LOCATION % 'silent_after_s: 600, hours: "sat 10:00-18:00"'
    (location,) = policy(given, tmp_path_factory).locations
    assert (location.silent_after_s, location.hours) == (600, ((5, 600, 1080),))
    (plain,) = policy(LOCATION % "region: north", tmp_path_factory).locations
    assert (plain.silent_after_s, plain.hours) == (None, ())


def test_what_are_no_hours_is_told_with_its_line() -> None:
    (problem,) = check(LOCATION % "hours: 9-17")
    assert str(problem) == (
        "penstock.yaml:2: locations[0].hours: expected opening hours such as mon-fri 09:00-21:30, "
        "sat 10:00-18:00, got '9-17'"
    )


def test_no_channel_opens_or_freezes_by_counts_unless_told_to(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    plain = policy("version: 1\nchannels: [{id: shop}]\n", tmp_path_factory)
    assert (plain.zero_guard_pct, plain.channels[0].opening) == (None, "assumed")
    guarded = policy(
        "version: 1\npolicies: {zero_guard_pct: 20, zero_guard_min: 50}\n"
        "channels: [{id: shop, opening: counted, zero_guard_pct: 100}]\n",
        tmp_path_factory,
    )
    assert (guarded.zero_guard_pct, guarded.zero_guard_min) == (20, 50)
    assert (guarded.channels[0].opening, guarded.channels[0].zero_guard_pct) == ("counted", 100)


def test_a_share_above_all_is_refused() -> None:
    (problem,) = check("version: 1\npolicies: {zero_guard_pct: 101}\n")
    assert str(problem).endswith("policies.zero_guard_pct: expected integer 0..100, got 101")
