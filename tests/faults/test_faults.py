"""The parts of the scenarios that need no server: rules, trading, records, reports."""

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import orjson
import pytest

from connectors.config.policy_file import load
from state.events import ops
from state.events.messages import Event as Decoded
from state.events.normalise import effects
from state.events.rejection import Rejection
from state.events.validation import decode
from state.policy.compiled import Compiled, compiled
from tests.faults.__main__ import RULES, main, scenarios
from tests.faults.check import Verdict
from tests.faults.load import COUNTED, Event, Trading
from tests.faults.proof import Proof
from tests.faults.report import Hunt, Outcome, Report, table
from tests.faults.stage import CONFIG
from tests.faults.worker import Record, Recorder, read_record
from tests.flows.shop import ROOT
from tests.rules.source import RuleMoved, changed

MOVEMENTS_KEPT = 32


@pytest.fixture
def policy(tmp_path: Path) -> Compiled:
    """The policy of a stage."""
    (tmp_path / "penstock.yaml").write_text(CONFIG)
    return compiled(load(tmp_path / "penstock.yaml"))


def normalised(event: Event, policy: Compiled) -> tuple[ops.Op, ...]:
    """What an event does, once it was decoded; nothing of it may be rejected."""
    data = decode(event.kind, orjson.dumps(event.data))
    assert not isinstance(data, Rejection), data
    whole = Decoded(event.id, event.source, event.kind, event.time_ms, data)
    found = effects(whole, event.time_ms + 60_000, policy, None)
    assert not isinstance(found, Rejection), found
    return found


def test_every_rule_is_still_where_its_patch_takes_it_out() -> None:
    words = (
        "from tests.rules.catalogue import by_id; from tests.rules.means import InWorker\n"
        "for means in by_id(InWorker).values(): means.take_out()"
    )
    done = subprocess.run([sys.executable, "-c", words], cwd=ROOT, check=False)
    assert done.returncode == 0


def test_a_patch_that_does_not_fit_says_so() -> None:
    with pytest.raises(RuleMoved, match="expected 'if x' once, got it 2 times"):
        changed("if x then if x", "if x", "", "library")


def test_every_rule_has_a_scenario_that_looks_for_it() -> None:
    looked_for = {rule for scenario in scenarios() for rule in getattr(scenario, "finds", ())}
    assert looked_for == set(RULES)


def test_trading_is_the_same_for_the_same_seed() -> None:
    def skeleton(event: Event) -> tuple[str, str, str]:
        return event.kind, event.key, event.id

    one, other = (map(skeleton, Trading(3).take(500)) for _ in range(2))
    assert list(one) == list(other) != list(map(skeleton, Trading(4).take(500)))


def test_trading_is_all_good_and_sends_some_of_it_again(policy: Compiled) -> None:
    events = list(Trading(1, twice=0.3).take(3_000))
    assert all(normalised(event, policy) for event in events)
    ids = Counter(event.id for event in events)
    assert len(events) * 0.15 < len(events) - len(ids) < len(events) * 0.5
    assert max(ids.values()) == 3


def test_a_counted_sku_has_few_enough_movements_for_a_count_to_come_late(policy: Compiled) -> None:
    moved = Counter(
        (op[1], op[2])
        for event in Trading(1, twice=0.0).take(20_000)
        for op in normalised(event, policy)
        if op[0] == ops.MOVE and op[1].endswith(COUNTED)
    )
    assert 4 < max(moved.values()) < MOVEMENTS_KEPT


def test_a_record_outlives_its_process(tmp_path: Path) -> None:
    path = tmp_path / "record"
    words = (
        "import os, sys; from pathlib import Path; from tests.faults.worker import Recorder\n"
        "recorder = Recorder(Path(sys.argv[1]))\n"
        "for index in (0, 0, 1): recorder.counting(index, lambda: 1)()\n"
        "recorder.counting(2, lambda: None)()\n"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", words, str(path)], cwd=ROOT, check=False)
    assert done.returncode == -9
    assert read_record(path) == Record(2, 1, 0)
    assert (read_record(path).in_hand, read_record(path).unsettled) == (2, 1)


def test_a_new_record_is_empty(tmp_path: Path) -> None:
    Recorder(tmp_path / "record")
    assert read_record(tmp_path / "record").in_hand == 0


def _report() -> Report:
    report = Report(seed=1)
    for name in ("one", "two"):
        proof = Proof(name, "kills=2", kills=2, rewinds=1, refused=3, recoveries=4)
        report.outcomes.append(Outcome(name, 1.0, Verdict(events=50), proof))
    return report


def test_the_last_line_sums_up_all_scenarios() -> None:
    report = _report()
    assert report.is_good
    assert report.line() == (
        "faults: scenarios=2 kills=4 events=100 rewinds=2 refused=6 recoveries=8 lost=0 doubled=0 stale=0"
    )
    assert report.as_json()["scenarios"][0]["proof"]["kills"] == 2


def test_a_scenario_without_proof_spoils_the_run() -> None:
    report = _report()
    report.outcomes[1].proof = None
    report.outcomes[1].failure = "no proof: nothing was killed"
    assert not report.is_good
    assert "nothing was killed" in report.outcomes[1].line()


def test_a_scenario_that_found_something_spoils_the_run() -> None:
    report = _report()
    report.outcomes[0].verdict.stale = 1
    assert not report.is_good
    assert report.line().endswith("lost=0 doubled=0 stale=1")


def test_a_run_of_nothing_is_not_good() -> None:
    assert not Report(seed=1).is_good


def test_rules_taken_out_are_told_as_a_table() -> None:
    found = Hunt("mark", found=True, scenario="upstream", words="doubled=3")
    told = table([found, Hunt("from", found=False, scenario="-", words="")])
    assert re.split(r"\s+", told.splitlines()[1]) == ["mark", "yes", "upstream", "doubled=3"]
    assert told.splitlines()[2].split() == ["from", "NO", "-"]


def test_an_unknown_rule_or_scenario_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--break", "luck"], ["--scenario", "weather"]):
        with pytest.raises(SystemExit, match="2"):
            main(words)
    assert "invalid choice: 'weather'" in capsys.readouterr().err
