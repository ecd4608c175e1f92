"""The page on the protocol: every rule that a suite can take out is on it, and every rule on it has its trace."""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.rules.catalogue import by_id
from tests.rules.means import InWorker, Simulated, Unprotected

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
TESTS = ROOT / "tests"
FUNCTIONS = ROOT / "state" / "functions"

TABLE = re.compile(r"^\| id \| rule \|(.*)\n\|[-|]+\|\n((?:\|.*\n)+)", re.MULTILINE)
TRACE = re.compile(r"^- ((?:`\w+` )+)(.+)$", re.MULTILINE)
ID = re.compile(r"`(\w+)`")
STEP = re.compile(r"\((\d+)\) ")
NAME_OF_HOLE = re.compile(r"\b(?:test_)?([idpoh]\d+)_[a-z]\w+")
CITED = re.compile(r"\b(state|holds|sim|faults|golive) `(\w+)`")
DEFINED = re.compile(r"^def (test_\w+)\(", re.MULTILINE)


class Entry(NamedTuple):
    """A rule on the page."""

    ids: tuple[str, ...]
    says: str
    carried_by: str
    proof: str


def entries() -> list[Entry]:
    """The rows of all tables of rules; those that are not built have neither code nor proof."""
    found = []
    for heads, rows in TABLE.findall(PAGE):
        for row in rows.splitlines():
            ids, *cells = (cell.strip() for cell in row.strip("|").split(" | "))
            assert len(cells) == heads.count("|") + 1, row
            found.append(Entry(tuple(ID.findall(ids)), *(*cells, "", "")[:3]))
    return found


def holes_in(*patterns: str) -> set[str]:
    """The holes that tests and traces in these files are named by."""
    texts = (path.read_text("utf-8") for pattern in patterns for path in TESTS.glob(pattern))
    return {hole.upper() for text in texts for hole in NAME_OF_HOLE.findall(text)}


ENTRIES = entries()
IDS = [each for entry in ENTRIES for each in entry.ids]
TRACES = dict(TRACE.findall(PAGE.partition("\n## The holes, as traces\n")[2]))
SUITES = {
    "state": holes_in("state/test_holes*.py", "state/traces.py"),
    "holds": holes_in("holds/test_hold_holes*.py"),
    "sim": set(by_id(Simulated)),
    "faults": set(by_id(InWorker)),
    "golive": set(by_id(Unprotected)),
}
"""What each suite tries, by the word that the page has for it."""


def test_no_two_entries_share_an_id() -> None:
    assert len(ENTRIES) > 50
    assert not [each for each, times in Counter(IDS).items() if times > 1]


@pytest.mark.parametrize("suite", SUITES)
def test_every_rule_of_a_suite_has_its_entry_which_names_the_suite(suite: str) -> None:
    assert SUITES[suite]
    assert SUITES[suite] <= set(IDS)
    cited = {name for entry in ENTRIES for by, name in CITED.findall(entry.proof) if by == suite}
    assert cited == SUITES[suite]


def test_every_id_has_one_trace_and_every_trace_an_id() -> None:
    traced = [each for ids in TRACES for each in ID.findall(ids)]
    assert sorted(traced) == sorted(IDS)


@pytest.mark.parametrize("ids", TRACES)
def test_a_trace_goes_step_by_step(ids: str) -> None:
    steps = [int(number) for number in STEP.findall(TRACES[ids])]
    starts = [at for at, number in enumerate(steps) if number == 1]
    assert starts[0] == 0
    # A hole that opens in two ways has two runs.
    for begin, end in zip(starts, [*starts[1:], len(steps)], strict=True):
        assert steps[begin:end] == list(range(1, end - begin + 1))
        assert end - begin > 1


def test_every_rule_that_is_built_says_what_carries_it_and_what_turns_red_without_it() -> None:
    unproven = [
        entry for entry in ENTRIES if not CITED.search(entry.proof) and "`test_" not in entry.proof
    ]
    assert {each for entry in unproven for each in entry.ids} == {"O2", "O6", "O7", "O8"}
    assert all(entry.carried_by for entry in ENTRIES if entry not in unproven)


def test_every_test_named_exists() -> None:
    defined = {
        name
        for path in TESTS.rglob("test_*.py")
        for name in DEFINED.findall(path.read_text("utf-8"))
    }
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert named
    assert named <= defined


def test_the_functions_of_redis_are_all_on_the_page_and_no_others() -> None:
    assert set(re.findall(r"`(\w+\.lua)`", PAGE)) == {path.name for path in FUNCTIONS.glob("*.lua")}
