"""The rules: promtool takes them, each alert has its cases and its section, and a factor shortens them."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import monitoring.rules
from monitoring.rules import FILES, shortened
from tests.monitoring import alerting
from tests.servers.kafka import ServerMissing

Missing = Callable[[str], None]


def promtool(missing: Missing, *words: str) -> str:
    """What promtool said; it must be satisfied."""
    try:
        done = alerting.promtool(*words)
    except ServerMissing as error:
        missing(str(error))
        raise
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_nothing_is_missing_between_rules_cases_metrics_and_runbook() -> None:
    assert not alerting.missing()


def test_an_alert_that_nothing_belongs_to_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    new = {
        "alert": "PenstockNew",
        "expr": "penstock_unheard_of > penstock:new:rate5m",
        "labels": {"severity": "shrug"},
        "annotations": {"summary": "Something is up."},
    }
    known = alerting.rules()
    monkeypatch.setattr(alerting, "rules", lambda: (*known, new))
    assert sorted(alerting.missing()) == [
        "PenstockNew {'severity': 'shrug'}: no case in which it fires",
        "PenstockNew: has summary",
        "PenstockNew: leads to None",
        "PenstockNew: no case in which it stays silent",
        "PenstockNew: no section in the runbook",
        "PenstockNew: no such metric: penstock:new:rate5m",
        "PenstockNew: no such metric: penstock_unheard_of",
        "PenstockNew: severity shrug",
        "PenstockNew: the summary holds no figure",
    ]


def test_a_section_and_a_case_of_no_alert_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tuple(rule for rule in alerting.rules() if rule.get("alert") != "PenstockDrift")
    monkeypatch.setattr(alerting, "rules", lambda: kept)
    found = alerting.missing()
    assert "PenstockDrift: in the runbook, and no alert" in found
    assert "PenstockOversold: comes with PenstockDrift?" in found
    assert "a count that came too late makes a ticket: no such alert: PenstockDrift" in found


def test_prometheus_takes_the_rules(missing: Missing) -> None:
    promtool(missing, "check", "rules", "--lint=all", "--lint-fatal", *map(str, FILES))


@pytest.mark.parametrize("path", alerting.CASES, ids=lambda path: str(path.name))
def test_each_alert_fires_when_it_should_and_is_silent_in_the_near_case(
    path: Path, missing: Missing
) -> None:
    promtool(missing, "test", "rules", str(path))


def test_a_case_that_expects_something_else_fails(tmp_path: Path, missing: Missing) -> None:
    (source,) = [path for path in alerting.CASES if path.name.startswith("stock")]
    text = source.read_text(encoding="utf-8").replace("../../../monitoring", "monitoring")
    (tmp_path / "monitoring").symlink_to(alerting.ROOT / "monitoring")
    changed = tmp_path / source.name
    changed.write_text(text.replace("3 SKUs are oversold", "4 SKUs are oversold"), encoding="utf-8")
    with pytest.raises(AssertionError, match="3 SKUs are oversold"):
        promtool(missing, "test", "rules", str(changed))


def test_recorded_names_say_of_what_and_how() -> None:
    for name in alerting.records():
        assert re.fullmatch(r"[a-z_]+:[a-z_]+:[a-z0-9_]+", name), name


def test_a_hurried_copy_has_the_same_rules_and_no_long_wait(
    tmp_path: Path, missing: Missing
) -> None:
    written = monitoring.rules.write_shortened(tmp_path, 60)
    assert [path.name for path in written] == [path.name for path in FILES]
    promtool(missing, "check", "rules", *map(str, written))
    for source, short in zip(FILES, written, strict=True):
        text = short.read_text(encoding="utf-8")
        assert re.sub(r"\d+(ms|[smhd])?\b", "N", text) == re.sub(
            r"\d+(ms|[smhd])?\b", "N", source.read_text(encoding="utf-8")
        )
        assert not re.search(r"(for: |\[|offset )\d+[smhd]\b", text)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("        for: 10m", "        for: 10000ms"),
        ("        for: 10s", "        for: 166ms"),
        ("rate(penstock_updates_total[6h])", "rate(penstock_updates_total[360000ms])"),
        ("rate(penstock_updates_total[1m])", "rate(penstock_updates_total[5000ms])"),
        ("rate(penstock_updates_total[2s])", "rate(penstock_updates_total[2000ms])"),
        ("penstock_ads_paused offset 1h", "penstock_ads_paused offset 60000ms"),
        ("time() - max(x) > 3600", "time() - max(x) > 60"),
        ("max(penstock_lag_seconds) > 30", "max(penstock_lag_seconds) > 30"),
        ("# holds for 5m", "# holds for 5m"),
    ],
)
def test_spans_are_divided_and_ages_of_what_waits_are_not(written: str, expected: str) -> None:
    assert shortened(written, 60) == expected


def test_a_factor_of_one_changes_no_span() -> None:
    assert shortened("x[5m] offset 1h", 1) == "x[300000ms] offset 3600000ms"


@pytest.mark.parametrize("factor", ["0", "-2", "half"])
def test_a_factor_that_is_none_is_refused(factor: str, tmp_path: Path) -> None:
    words = ["-m", "monitoring.rules", "--factor", factor, "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, *words], cwd=alerting.ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--factor" in done.stderr
    assert not list(tmp_path.iterdir())
