"""What is lost and what is doubled: events by their number, figures by the sizes of their events."""

import pytest

from tests.oracle.case import Case, case_of
from tests.oracle.lost import Counted, blame, check_events
from tests.oracle.policy import policy_of
from tests.oracle.stream import marked
from tests.oracle.verdict import Finding
from tests.oracle.world import Json, at, event, line, placed, receipt


@pytest.fixture
def case() -> Case:
    """10 units come, 3 are sold, 2 change places, 4 are ordered; the sale is sent twice."""
    sale = event("pos.sale", at("s1", line("A", 3), receipt="r"))
    moved = {"transfer": "t", "from": "s1", "to": "dc", "lines": [line("A", 2)]}
    stages = [event("wms.transfer", {**moved, "stage": stage}) for stage in ("shipped", "received")]
    events: list[Json] = [receipt("A", 10), sale, sale, *stages, placed("o", 4)]
    return case_of(marked(events), policy_of({}), [])


@pytest.mark.parametrize(
    ("counted", "lost", "doubled"),
    [
        (Counted(5, 1), 0, 0),
        (Counted(4, 1), 1, 0),
        (Counted(5, 1, rejected=2), 2, 0),
        (Counted(5, 1, missing=1), 1, 0),
        (Counted(3, 1, rejected=1, missing=1), 4, 0),
        (Counted(6, 0), 0, 1),
        (Counted(5, 0), 0, 1),
        (Counted(5, 3), 0, 2),
        (Counted(4, 2), 1, 1),
    ],
)
def test_every_event_takes_effect_once(
    case: Case, counted: Counted, lost: int, doubled: int
) -> None:
    check, *found = check_events(case.stream, counted)
    assert found == [lost, doubled]
    assert check.differ == (lost > 0) + (doubled > 0)


@pytest.mark.parametrize(
    ("finding", "lost"),
    [
        (Finding("A", "s1", 3), True),
        (Finding("A", "s1", -3), False),
        (Finding("A", "s1", -10), True),
        (Finding("A", "s1", 10), False),
        (Finding("A", "dc", -2), True),
        (Finding("A", "dc", 2), False),
        (Finding("A", units=-4), True),
        (Finding("A", units=4), False),
    ],
)
def test_a_wrong_figure_is_explained_by_an_event_of_its_size(
    case: Case,
    finding: Finding,
    lost: bool,  # noqa: FBT001
) -> None:
    for too_many in (False, True):
        assert blame(case, [finding], too_many=too_many) == (lost, not lost)


@pytest.mark.parametrize("units", [0, 7])
def test_a_figure_that_no_event_explains_is_what_most_events_are(case: Case, units: int) -> None:
    findings = [Finding("A", "s1", units), Finding("Z", "s9", units), Finding("Z", units=1)]
    assert blame(case, findings, too_many=False) == (3, 0)
    assert blame(case, findings, too_many=True) == (0, 3)


def test_what_both_explain_is_what_most_events_are() -> None:
    sale = event("pos.sale", at("s1", line("A", 3), receipt="r"))
    case = case_of(marked([receipt("A", 3), sale]), policy_of({}), [])
    assert blame(case, [Finding("A", "s1", 3)], too_many=False) == (1, 0)
    assert blame(case, [Finding("A", "s1", 3)], too_many=True) == (0, 1)
