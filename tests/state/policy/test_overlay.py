from state.policy import overlay as over
from state.policy.document import Channel, Policy
from state.policy.overlay import HISTORY_MAX, SILENT_MAX, Overlay, apply_overlay


def test_an_overlay_survives_its_journey() -> None:
    made = over.hold(Overlay(), "shopee", "frozen", 5, "ana", "prices are wrong")
    made = over.resync(made, "shop", 6, "ana", "")
    made = over.change_silent(made, {"s1": 3}, ())
    made = over.declare_complete(made, ["s2"], 7, "ana", "")
    assert over.from_json(over.to_json(made)) == made
    assert over.from_json(None) == Overlay()


def test_a_held_channel_has_the_mode_it_is_held_in_until_it_is_resumed() -> None:
    policy = Policy(channels=(Channel("shop"), Channel("shopee"), Channel("new", mode="shadow")))
    held = over.hold(Overlay(), "shopee", "frozen", 5, "ana", "why")
    held = over.hold(held, "new", "zero", 5, "ana", "why")
    assert [channel.mode for channel in apply_overlay(policy, held).channels] == [
        "live",
        "frozen",
        "shadow",
    ]
    resumed = over.hold(held, "shopee", "", 9, "bo", "mended")
    assert [channel.mode for channel in apply_overlay(policy, resumed).channels] == [
        "live",
        "live",
        "shadow",
    ]
    assert resumed.steered("shopee").resumed_ms == 9
    assert [(said.what, said.about, said.by) for said in resumed.history] == [
        ("freeze", "shopee", "ana"), ("zero", "new", "ana"), ("resume", "shopee", "bo"),
    ]  # fmt: skip


def test_the_first_reason_to_freeze_a_channel_stays() -> None:
    once = over.hold(Overlay(), "shopee", "frozen", 5, "breaker", "too many")
    assert over.hold(once, "shopee", "frozen", 6, "ana", "me too") is once


def test_history_is_bounded_and_keeps_the_newest() -> None:
    made = Overlay()
    for turn in range(2 * HISTORY_MAX):
        made = over.resync(made, "shop", turn, "ana", "")
    assert [said.at_ms for said in made.history] == list(range(HISTORY_MAX, 2 * HISTORY_MAX))


def test_a_location_is_left_out_from_when_it_fell_silent_until_it_spoke() -> None:
    silent = over.change_silent(Overlay(), {"s1": 3, "s2": 4}, ())
    assert silent.silent == {"s1": 3, "s2": 4}
    assert over.change_silent(silent, {"s1": 9}, ["s3"]) is silent
    assert over.change_silent(silent, {}, ["s1"]).silent == {"s2": 4}


def test_no_more_locations_are_left_out_than_can_be_silent_of_themselves() -> None:
    fell = {f"s{n:03d}": n for n in range(3 * SILENT_MAX)}
    silent = over.change_silent(Overlay(), fell, ())
    assert len(silent.silent) == SILENT_MAX
    again = over.change_silent(silent, fell, ["s000"])
    assert len(again.silent) == SILENT_MAX


def test_a_location_is_declared_complete_once() -> None:
    once = over.declare_complete(Overlay(), ["s2", "s1"], 5, "ana", "count.csv")
    assert once.complete == ("s1", "s2")
    assert over.declare_complete(once, ["s1"], 6, "ana", "") is once
