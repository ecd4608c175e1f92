"""The rules, their promtool cases and the runbook, as tests read them; and what is missing between them."""

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.metrics import MetricWrapperBase

import monitoring.rules
from monitoring import metrics
from monitoring.gauges import Age, OptionalGauge
from monitoring.latency import Latency
from tests.servers.kafka import ServerMissing

ROOT = Path(__file__).parents[2]
RUNBOOK = ROOT / "docs" / "reference" / "runbook.md"
CASES = tuple(sorted((Path(__file__).parent / "rules").glob("*.test.yaml")))
SEVERITIES = {"page", "ticket"}
PARTS = ("**Meaning.**", "**Look.**", "**Do.**", "**Comes with**")

_SUFFIXES = {
    "counter": ("_total",),
    "info": ("_info",),
    "histogram": ("_bucket", "_count", "_sum"),
    "gauge": ("",),
}
_FROM_OUTSIDE = {"up", "process_start_time_seconds"}
"""Made by Prometheus, and by the client library."""


@dataclass(frozen=True, slots=True)
class Alert:
    """An alerting rule. Two may share a name; their labels tell them apart."""

    name: str
    expr: str
    hold: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Look:
    """A look of a promtool case at one alert; `found` are the labels of those that it expects."""

    case: str
    alert: str
    found: tuple[Mapping[str, str], ...]


@dataclass(frozen=True, slots=True)
class Section:
    """What the runbook says of an alert: as its table has it, and the text under its heading."""

    name: str
    severity: str
    hold: str
    text: str

    @property
    def comes_with(self) -> set[str]:
        """The alerts that may be raised by the same cause."""
        return set(re.findall(r"Penstock\w+", self.text.partition("**Comes with**")[2]))


@cache
def rules() -> tuple[dict[str, Any], ...]:
    """Every rule of all files, as Prometheus reads it."""
    return tuple(
        rule
        for path in monitoring.rules.FILES
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    )


def records() -> set[str]:
    """The names of the recording rules."""
    return {rule["record"] for rule in rules() if "record" in rule}


def alerts() -> list[Alert]:
    return [
        Alert(
            rule["alert"], rule["expr"], rule.get("for", "0"), rule["labels"], rule["annotations"]
        )
        for rule in rules()
        if "alert" in rule
    ]


@cache
def cases() -> tuple[dict[str, Any], ...]:
    """Every case of all files, as promtool reads it."""
    return tuple(
        case for path in CASES for case in yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
    )


def looks() -> list[Look]:
    """Every look of every case at an alert."""
    return [
        Look(
            case["name"],
            look["alertname"],
            tuple(alert["exp_labels"] for alert in look["exp_alerts"]),
        )
        for case in cases()
        for look in case["alert_rule_test"]
    ]


def sections() -> dict[str, Section]:
    """What the runbook has on each alert, by its name."""
    page = RUNBOOK.read_text(encoding="utf-8")
    texts = dict(re.findall(r"^## (Penstock\w+)\n((?:(?!## ).*\n?)*)", page, re.MULTILINE))
    row = re.compile(r"^\| \[(\w+)\]\(#(\w+)\) \| (\w+) \| (\w+) \| .+ \|$", re.MULTILINE)
    table = {name: (severity, hold) for name, _anchor, severity, hold in row.findall(page)}
    return {
        name: Section(name, *table.get(name, ("no row in the table", "")), texts.get(name, ""))
        for name in [*table, *(texts.keys() - table.keys())]
    }


def declared() -> dict[str, tuple[str, ...]]:
    """Every metric of ours -> the names of its series."""
    found = {}
    for collector in vars(metrics).values():
        if isinstance(collector, MetricWrapperBase):
            family = next(iter(collector.describe()))
            name, kind = family.name, family.type
        elif isinstance(collector, Latency):
            name, kind = collector.name, "histogram"
        elif isinstance(collector, Age | OptionalGauge):
            name, kind = collector.name, "gauge"
        else:
            continue
        found[name] = tuple(name + suffix for suffix in _SUFFIXES[kind])
    return found


def named(expr: str) -> set[str]:
    """The metrics and recorded series that an expression names."""
    words = re.findall(r"[a-zA-Z_][\w:]*", re.sub(r'"[^"]*"', "", expr))
    return {word for word in words if ":" in word or re.match(r"penstock_|process_|up$", word)}


def missing() -> list[str]:
    """What is not there or does not fit: an unknown metric, a case, a section, a word in one of them."""
    return [*_unknown(), *_without_cases(), *_without_section(), *_badly_said()]


def promtool(*words: str) -> subprocess.CompletedProcess[str]:
    """Run promtool.

    Raises:
        ServerMissing: there is none on the PATH.
    """
    program = shutil.which("promtool")
    if program is None:
        raise ServerMissing("promtool")
    return subprocess.run(
        [program, *words], capture_output=True, text=True, check=False, timeout=120
    )


def _unknown() -> Iterator[str]:
    series = {one for names in declared().values() for one in names}
    for rule in rules():
        for name in named(rule["expr"]) - series - records() - _FROM_OUTSIDE:
            yield f"{rule.get('alert', rule.get('record'))}: no such metric: {name}"


def _without_cases() -> Iterator[str]:
    names = [case["name"] for case in cases()]
    for name in {one for one in names if names.count(one) > 1}:
        yield f"two promtool cases are called {name!r}"
    for alert in alerts():
        mine = [look for look in looks() if look.alert == alert.name]
        if not any(alert.labels.items() <= one.items() for look in mine for one in look.found):
            yield f"{alert.name} {dict(alert.labels)}: no case in which it fires"
        if all(look.found for look in mine):
            yield f"{alert.name}: no case in which it stays silent"
    for look in looks():
        if look.alert not in {alert.name for alert in alerts()}:
            yield f"{look.case}: no such alert: {look.alert}"


def _without_section() -> Iterator[str]:
    told, known = sections(), {alert.name for alert in alerts()}
    for alert in alerts():
        section = told.get(alert.name)
        if section is None:
            yield f"{alert.name}: no section in the runbook"
        elif (section.severity, section.hold) != (alert.labels["severity"], alert.hold):
            yield f"{alert.name}: the table says {section.severity}, {section.hold}"
    for section in told.values():
        if section.name not in known:
            yield f"{section.name}: in the runbook, and no alert"
        if [part for part in PARTS if section.text.count(part) == 1] != list(PARTS):
            yield f"{section.name}: expected once each: {', '.join(PARTS)}"
        for other in section.comes_with - known | section.comes_with & {section.name}:
            yield f"{section.name}: comes with {other}?"


def _badly_said() -> Iterator[str]:
    for alert in alerts():
        if alert.annotations.keys() != {"summary", "description", "runbook_url"}:
            yield f"{alert.name}: has {', '.join(alert.annotations)}"
        if "{{ $value" not in alert.annotations.get("summary", ""):
            yield f"{alert.name}: the summary holds no figure"
        if (
            alert.annotations.get("runbook_url")
            != f"docs/reference/runbook.md#{alert.name.lower()}"
        ):
            yield f"{alert.name}: leads to {alert.annotations.get('runbook_url')}"
        if alert.labels.get("severity") not in SEVERITIES:
            yield f"{alert.name}: severity {alert.labels.get('severity')}"
