"""Every rule has a sentence, a means to take it out, suites that try it, and a page that promises what it carries."""

import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from state.memory.shard import MemoryShard
from tests.golive.monday import Monday
from tests.golive.shop import Setup, config_of
from tests.holds import test_hold_holes_reopen as hold_holes
from tests.rules.catalogue import RULES, by_id, taken_out
from tests.rules.means import Held, InWorker, Means, OfModel, Rule, Simulated, Traced, Unprotected
from tests.simulation.rules import ALL_KEPT
from tests.state import test_holes_reopen as state_holes
from tests.state.traces import hole_of

DOCS = Path(__file__).parents[2] / "docs"
HOLE = re.compile(r"[IDPOH]\d+")
OFFERED = re.compile(r"invalid choice: 'luck' \(choose from (.+?)\)", re.DOTALL)
COMMANDS = [
    pytest.param("tests.simulation.__main__", Simulated, id="make sim"),
    pytest.param("tests.faults.__main__", InWorker, id="make faults"),
    pytest.param("tests.golive.__main__", Unprotected, id="make golive"),
]

every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.id))


def text_of(page: str) -> str:
    (path,) = DOCS.rglob(page)
    return path.read_text(encoding="utf-8")


def anchor(heading: str) -> str:
    return re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-"))


def tried_by(test: Callable[..., None]) -> list[Any]:
    """What a parametrised test is run with."""
    (mark,) = (each for each in getattr(test, "pytestmark", ()) if each.name == "parametrize")
    return [value for param in mark.args[1] for value in param.values]


def test_no_two_rules_share_an_id_or_a_sentence() -> None:
    assert len({rule.id for rule in RULES}) == len({rule.says for rule in RULES}) == len(RULES)


@every_rule
def test_a_rule_says_in_a_sentence_what_it_guarantees(rule: Rule) -> None:
    assert len(rule.says.split()) > 3, rule.says
    assert re.fullmatch(r"\w.*\w", rule.says), rule.says


@every_rule
def test_a_rule_is_named_by_one_suite_at_least_and_by_none_twice(rule: Rule) -> None:
    suites = [means.suite for means in rule.means]
    assert suites
    assert len(suites) == len(set(suites))


@every_rule
def test_a_rule_can_be_taken_out_wherever_it_is_named(rule: Rule) -> None:
    for means in rule.means:
        match means:
            case InWorker(take) | Unprotected(take):
                assert take.__doc__, f"{take.__name__}: say what happens without the rule"
            case Simulated() | Traced() | Held():
                assert takes_something(means), means


def takes_something(means: OfModel) -> bool:
    """Whether it overrides a step of a shard, replaces attributes, or changes how consumers keep levels."""
    own = vars(means.shard).items() if means.shard is not None else ()
    overridden = any(callable(part) and hasattr(MemoryShard, name) for name, part in own)
    replaced = all(vars(owner)[name] is not other for owner, name, other in means.patches)
    careless = isinstance(means, Simulated) and means.consumer != ALL_KEPT.consumer
    return replaced and (overridden or bool(means.patches) or careless)


@pytest.mark.parametrize("left_out", by_id(Unprotected))
def test_a_protection_that_is_left_out_is_missing_from_the_configuration(left_out: str) -> None:
    day = Monday(stock={}, open_orders=[], facts=[], best_seller="A", shops=[1, 2, 3])
    documents = [config_of(day, "s1", Setup(without=without)) for without in (None, left_out)]
    assert documents[0] != documents[1]


@pytest.mark.parametrize(("program", "kind"), COMMANDS)
def test_a_command_offers_every_rule_that_names_its_suite_and_no_other(
    program: str,
    kind: type[Means],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", [program, "--break", "luck"])
    with pytest.raises(SystemExit, match="2"):
        import_module(program).main()
    (offered,) = OFFERED.findall(capsys.readouterr().err)
    assert set(re.findall(r"\w+", offered)) - {"all"} == set(by_id(kind))


def test_the_suites_of_holes_try_every_rule_that_names_them() -> None:
    of_state = tried_by(state_holes.test_without_its_rule_the_hole_is_open)
    of_holds = tried_by(hold_holes.test_without_its_rule_the_hole_is_open)
    assert all(means in of_state for _, means in taken_out(Traced))
    assert all(trace in of_state for _, means in taken_out(Traced) for trace in means.traces)
    assert all(means in of_holds for _, means in taken_out(Held))


@every_rule
def test_a_rule_closes_the_holes_that_its_traces_are_named_by(rule: Rule) -> None:
    closed = {rule.id, *rule.holes} if HOLE.fullmatch(rule.id) else set(rule.holes)
    named = {hole_of(t) for means in rule.means if isinstance(means, Traced) for t in means.traces}
    assert named <= closed
    assert all(HOLE.fullmatch(hole) for hole in rule.holes)


@every_rule
def test_a_rule_carries_what_a_document_promises(rule: Rule) -> None:
    assert rule.carries
    for promise in rule.carries:
        page, _, heading = promise.partition("#")
        heads = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
        assert heading in {anchor(head) for head in heads}, promise


def test_the_page_of_guarantees_names_the_same_rules_under_each_promise() -> None:
    page = text_of("guarantees.md")
    for head, text in re.findall(r"^## (.+)\n\n((?:(?!## ).*\n?)*)", page, re.MULTILINE):
        (carried,) = re.findall(r"\*\*Carried by\*\* (.+)", text) or [""]
        promise = f"guarantees.md#{anchor(head)}"
        known = {rule.id for rule, _ in taken_out(InWorker) if promise in rule.carries}
        assert set(re.findall(r"`(\w+)`", carried)) & set(by_id(InWorker)) == known, head
