"""A right run passes; each way to be wrong is found, by the check that it belongs to."""

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from tests.oracle.__main__ import main
from tests.oracle.columns import InputError
from tests.oracle.units import source_units
from tests.oracle.verdict import is_clean
from tests.oracle.world import Json, World, rejected, signal, update


def differing(outcome: Json) -> dict[str, int]:
    return {name: check["differ"] for name, check in outcome["checks"].items() if check["differ"]}


def test_a_right_run_has_no_finding(tmp_path: Path) -> None:
    outcome = World().verdict(tmp_path)
    assert outcome["examples"] == []
    assert is_clean(outcome)
    assert {name: check["compared"] for name, check in outcome["checks"].items()} == {
        "units": 3,
        "positions": 4,
        "skus": 3,
        "levels": 6,
        "last_messages": 3,
        "versions": 6,
        "ad_states": 3,
        "signals": 3,
    }
    figures = ("dead", "planted_dead", "duplicates", "planted_duplicates", "pauses", "resumes")
    assert [outcome[name] for name in figures] == [1, 1, 1, 1, 2, 0]


def lose_an_event(world: World) -> None:
    world.counters["applied"] -= 1


def apply_an_event_twice(world: World) -> None:
    world.counters.update(applied=7, duplicates=0)


def play_a_message_less(world: World) -> None:
    world.counters["appended"] -= 1


def sell_a_unit_less_than_the_data(world: World) -> None:
    world.units["A"] = 6


def sell_a_unit_more_than_the_data(world: World) -> None:
    world.units["A"] = 4


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lose_an_event, {"lost": 1, "doubled": 0}),
        (apply_an_event_twice, {"lost": 0, "doubled": 1}),
        (play_a_message_less, {"lost": 1, "doubled": 1}),
        (sell_a_unit_less_than_the_data, {"lost": 1, "doubled": 0}),
        (sell_a_unit_more_than_the_data, {"lost": 0, "doubled": 1}),
    ],
)
def test_an_event_or_a_unit_lost_or_doubled_is_counted(
    tmp_path: Path, spoil: Callable[[World], None], found: dict[str, int]
) -> None:
    world = World()
    spoil(world)
    outcome = world.verdict(tmp_path)
    assert {name: outcome[name] for name in found} == found
    assert not is_clean(outcome)


def store_a_wrong_on_hand(world: World) -> None:
    world.snapshot[0]["positions"][0]["on_hand"] = 10


def forget_a_position(world: World) -> None:
    del world.snapshot[1]["positions"][1]


def make_up_a_position(world: World) -> None:
    extra = {**world.snapshot[0]["positions"][0], "location": "s9"}
    world.snapshot[0]["positions"].append(extra)


def forget_a_sku(world: World) -> None:
    del world.snapshot[1]


def make_up_a_sku(world: World) -> None:
    world.snapshot.append({**world.snapshot[0], "sku": "Z", "positions": [], "ads": []})


def leave_an_order_open(world: World) -> None:
    world.snapshot[0]["unrouted"] = 3


def store_a_wrong_level(world: World) -> None:
    world.snapshot[0]["levels"]["shop"] = 5


def forget_a_level(world: World) -> None:
    del world.snapshot[0]["levels"]["shopee"]


def show_a_level_on_an_unknown_channel(world: World) -> None:
    world.snapshot[0]["levels"]["bazaar"] = 1


def keep_the_last_message_back(world: World) -> None:
    del world.updates[4]


def never_emit_a_sku(world: World) -> None:
    del world.updates[1]
    world.signals[0]["value"]["data"]["level"] = 0


def emit_a_made_up_sku(world: World) -> None:
    world.updates.append(update("Z", 1, 0, 0, 0))


def let_a_version_go_back(world: World) -> None:
    world.updates[3], world.updates[4] = world.updates[4], world.updates[3]


def emit_a_version_twice(world: World) -> None:
    world.updates.append(world.updates[-1])


def emit_above_the_stored_version(world: World) -> None:
    world.snapshot[0]["version"] = 29


def store_a_wrong_ad_state(world: World) -> None:
    world.snapshot[1]["ads"][0]["state"] = "active"


def forget_a_signal(world: World) -> None:
    del world.signals[0]


def resume_without_need(world: World) -> None:
    world.signals.append(signal("ad.resume", "C", 22, 4))
    world.snapshot[2]["ads"][0]["state"] = "active"


def pause_on_a_level_that_was_never_emitted(world: World) -> None:
    world.signals.append(signal("ad.pause", "A", 21, 2))
    world.snapshot[0]["ads"][0]["state"] = "paused"


def signal_a_rule_that_is_not(world: World) -> None:
    world.signals.append(signal("ad.pause", "B", 11, 0))
    world.signals[-1]["value"]["data"]["rule"] = "other"


@pytest.mark.parametrize(
    ("spoil", "checks"),
    [
        (store_a_wrong_on_hand, {"positions": 1}),
        (forget_a_position, {"positions": 1}),
        (make_up_a_position, {"positions": 1}),
        (
            forget_a_sku,
            {"positions": 2, "skus": 1, "levels": 2, "ad_states": 1},
        ),
        (make_up_a_sku, {"skus": 1}),
        (leave_an_order_open, {"skus": 1}),
        (store_a_wrong_level, {"levels": 1}),
        (forget_a_level, {"levels": 1}),
        (show_a_level_on_an_unknown_channel, {"levels": 1}),
        (keep_the_last_message_back, {"last_messages": 1}),
        (never_emit_a_sku, {"last_messages": 1}),
        (emit_a_made_up_sku, {"last_messages": 1}),
        (let_a_version_go_back, {"versions": 1}),
        (emit_a_version_twice, {"versions": 1}),
        (emit_above_the_stored_version, {"versions": 1}),
        (store_a_wrong_ad_state, {"ad_states": 1}),
        (forget_a_signal, {"signals": 1}),
        (resume_without_need, {"signals": 1}),
        (pause_on_a_level_that_was_never_emitted, {"signals": 1}),
        (signal_a_rule_that_is_not, {"signals": 1}),
    ],
)
def test_a_wrong_figure_is_found_by_the_check_that_it_belongs_to(
    tmp_path: Path, spoil: Callable[[World], None], checks: dict[str, int]
) -> None:
    world = World()
    spoil(world)
    outcome = world.verdict(tmp_path)
    assert differing(outcome) == checks
    assert outcome["mismatched"] == sum(checks.values())
    assert len(outcome["examples"]) == sum(checks.values())
    assert not is_clean(outcome)


def test_a_finding_says_where_what_was_expected_and_what_came(tmp_path: Path) -> None:
    world = World()
    store_a_wrong_on_hand(world)
    assert world.verdict(tmp_path)["examples"] == ["positions: A at s1: on_hand expected 7, got 10"]


def test_a_bad_message_that_was_not_rejected_is_a_finding(tmp_path: Path) -> None:
    world = World(dead=[])
    world.counters["applied"] = 7
    outcome = world.verdict(tmp_path)
    assert (outcome["dead"], outcome["planted_dead"], is_clean(outcome)) == (0, 1, False)


def test_a_dead_letter_delivered_twice_counts_once(tmp_path: Path) -> None:
    assert is_clean(World(dead=[rejected(4), rejected(4)]).verdict(tmp_path))


def test_a_signal_delivered_twice_counts_once(tmp_path: Path) -> None:
    world = World()
    world.signals.append(world.signals[0])
    outcome = world.verdict(tmp_path)
    assert (outcome["pauses"], is_clean(outcome)) == (2, True)


def test_a_state_told_again_after_a_recovery_is_still_justified(tmp_path: Path) -> None:
    world = World()
    world.signals.append(signal("ad.pause", "C", 22, 4))
    assert is_clean(world.verdict(tmp_path))


def test_a_position_of_zeros_that_was_never_counted_may_be_left_out_or_shown(
    tmp_path: Path,
) -> None:
    world = World()
    blank = dict.fromkeys(("on_hand", "reserved", "unavailable", "incoming", "atp"), 0)
    world.snapshot[0]["positions"].append({"location": "dc", **blank, "counted_at": None})
    assert is_clean(world.verdict(tmp_path))


def test_updates_folded_to_the_last_message_of_a_sku_give_the_same_verdict(tmp_path: Path) -> None:
    world = World()
    whole = world.verdict(tmp_path)
    last = {"A": world.updates[4], "B": world.updates[1], "C": world.updates[5]}
    counts = {"A": 3, "B": 1, "C": 2}
    world.updates = [
        {**last[sku], "count": counts[sku], "versions_rise": True} for sku in ("A", "B", "C")
    ]
    assert run(world, tmp_path, "--folded") == (0, whole)
    world.updates[0]["versions_rise"] = False
    code, outcome = run(world, tmp_path, "--folded")
    assert (code, differing(outcome)) == (1, {"versions": 1})


def run(world: World, folder: Path, *more: str) -> tuple[int, Json]:
    files = world.files(folder)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "tests.oracle", *more),
            *("--stream", files.stream, "--config", files.config),
            *("--snapshot", files.snapshot, "--updates", files.updates),
            *("--signals", files.signals, "--dead", files.dead),
            *("--counters", files.counters, "--source-units", files.source_units),
        ],
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.stderr == b""
    return done.returncode, orjson.loads(done.stdout)


def test_the_program_exits_1_on_a_finding(tmp_path: Path) -> None:
    world = World()
    store_a_wrong_level(world)
    code, outcome = run(world, tmp_path)
    assert (code, outcome["mismatched"]) == (1, 1)


def test_a_dump_that_marks_a_repeated_event_good_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World()
    world.stream[3]["kind"] = "good"
    files = world.files(tmp_path)
    names = ("stream", "config", "snapshot", "updates", "signals", "dead", "counters")
    code = main([f"--{name}={getattr(files, name)}" for name in names])
    assert code == 2
    assert "stream:4" in capsys.readouterr().err


def test_units_without_data_beside_the_stream_are_not_compared() -> None:
    assert source_units("synthetic") is None


def test_months_beyond_the_year_are_refused() -> None:
    with pytest.raises(InputError, match=r"expected 1\.\.12, got 13"):
        source_units("data:13")


def test_the_check_imports_nothing_of_the_engine() -> None:
    allowed = {*sys.stdlib_module_names, "numpy", "orjson", "pandas", "pytest", "tests", "yaml"}
    imported = set()
    for path in Path(__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])
    assert imported <= allowed
