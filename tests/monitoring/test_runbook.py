"""The runbook: each of its commands is run on an engine at work, each of its queries asked of a real Prometheus."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

import monitoring.rules
from connectors.redis.embedded import EmbeddedError, embedded
from tests.flows.shop import event, lines
from tests.monitoring import alerting
from tests.patience import PATIENCE_S, eventually
from tests.servers.kafka import ServerMissing, bound_to_us, free_ports
from tests.servers.prometheus import prometheus
from tests.test_readme import Terminal

CONSOLE = re.compile(r"^<!-- run -->\n```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ANY_CONSOLE = re.compile(r"^```console\n", re.MULTILINE)
PROMQL = re.compile(r"^```promql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
METRICS, REDIS = "127.0.0.1:9464", "redis-cli -u redis://127.0.0.1:6379"

POLICY = """
locations:
  - {id: wh-ec, kind: warehouse}
  - {id: s001, kind: store}
channels: [{id: shop}]
ads: [{rule: google-shop, channel: shop, pause_at: 2, resume_at: 6}]
"""
EVENTS = (
    event(1, "wms.receipt", location="wh-ec", reference="r", lines=lines(A1=9)),
    event(2, "pos.sale", location="s001", receipt="1", lines=lines(A1=2)),
    event(3, "order.placed", order="1", channel="shop", lines=lines(B1=2)),
    event(4, "pos.sale", location="s002", receipt="1", lines=lines(A1=1)),
)
"""A1 is below zero at the shop, B1 is oversold, and of the shop s002 nobody knows."""

EMPTY_WHEN_WELL = {
    'ALERTS{alertstate="firing"}',
    'up{job=~"ingest|publish"} == 0',
    (
        "count by (topic, partition) (last_over_time(penstock_lag_messages[1d])) "
        "unless count by (topic, partition) (penstock_lag_messages)"
    ),
    "max by (location) (penstock_location_silent_seconds)",
    "max by (location) (penstock_location_left_out)",
    "count(max by (location) (penstock_location_left_out))",
    "max by (channel, mode, by) (penstock_channel_held)",
    "sum by (channel) (increase(penstock_breaker_trips_total[1h]))",
    # There is nothing of an hour ago.
    "rule:penstock_ads_paused:delta1h",
}


def text() -> str:
    return alerting.RUNBOOK.read_text(encoding="utf-8")


def commands() -> list[str]:
    """Every command of the page, each once."""
    blocks = CONSOLE.findall(text())
    told = [line for block in blocks for line in block.splitlines()]
    assert all(line.startswith("$ ") for line in told)
    return list(dict.fromkeys(line[2:] for line in told))


def queries() -> list[str]:
    """Every query of the page, each once."""
    return list(dict.fromkeys("".join(PROMQL.findall(text())).splitlines()))


class Engine(Terminal):
    """A terminal beside flows that run and an embedded store."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "bin" / "python").symlink_to(sys.executable)
        self.ports = free_ports(2)
        (self.folder / "penstock.yaml").write_text(POLICY)
        self.socket = ""
        self.processes: list[subprocess.Popen[bytes]] = []

    def run(self, socket: str) -> None:
        """Start both flows, and let them apply the events; the store listens at `socket`."""
        self.socket = socket
        for role, port in zip(("ingest", "publish"), self.ports, strict=True):
            command = [*bound_to_us(), sys.executable, "-m", "flows.cli", "run", role]
            env = self.env | {"PENSTOCK_METRICS": f"127.0.0.1:{port}"}
            self.processes.append(subprocess.Popen(command, cwd=self.folder, env=env))
        self.trade(*EVENTS)

    def trade(self, *events: dict[str, Any]) -> None:
        """Append events, and wait until the channels know."""
        (self.folder / "events.jsonl").write_bytes(b"\n".join(map(orjson.dumps, events)))
        self.says("penstock emit events.jsonl")
        self.says(f"penstock wait --idle --timeout {PATIENCE_S:g}")

    def here(self, command: str) -> str:
        """The command with what the page has as addresses replaced by those of this engine."""
        return command.replace(METRICS, f"127.0.0.1:{self.ports[1]}").replace(
            REDIS, f"redis-cli -s {self.socket}"
        )

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
            assert process.wait(PATIENCE_S) == 0


@pytest.fixture(scope="module")
def engine(
    tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], None]
) -> Iterator[Engine]:
    """Flows at work on an embedded store."""
    made = Engine(tmp_path_factory.mktemp("runbook"))
    try:
        with embedded(made.folder / ".penstock") as store:
            made.run(store.socket)
            yield made
            made.stop()
    except EmbeddedError as error:
        missing(str(error))


@pytest.mark.slow
def test_every_command_of_the_runbook_runs(engine: Engine, missing: Callable[[str], None]) -> None:
    for program in ("curl", "redis-cli"):
        if shutil.which(program) is None:
            missing(program)
    for command in commands():
        engine.says(engine.here(command))


@pytest.mark.slow
def test_every_query_of_the_runbook_finds_something_unless_all_is_well(
    engine: Engine, tmp_path: Path, missing: Callable[[str], None]
) -> None:
    targets = {
        job: [f"127.0.0.1:{port}"]
        for job, port in zip(("ingest", "publish"), engine.ports, strict=True)
    }
    try:
        with prometheus(tmp_path, targets, rules=monitoring.rules.FILES) as server:

            def empty() -> set[str]:
                return {q for q in queries() if not server.ask("query", query=q)["result"]}

            assert eventually(lambda: server.up() == 2)
            # What is a share of the changes finds nothing while there are none.
            engine.trade(
                event(9, "pos.sale", location="wh-ec", receipt="2", lines=lines(A1=1)),
            )
            assert eventually(lambda: empty() <= EMPTY_WHEN_WELL), empty() - EMPTY_WHEN_WELL
    except ServerMissing as error:
        missing(str(error))


def test_every_command_of_the_runbook_is_one_that_is_run() -> None:
    assert len(CONSOLE.findall(text())) == len(ANY_CONSOLE.findall(text()))


def test_every_query_of_the_runbook_names_series_that_exist() -> None:
    known = {one for names in alerting.declared().values() for one in names}
    known |= alerting.records() | {"up"}
    assert queries()
    for query in queries():
        assert alerting.named(query) <= known, query


def test_what_may_come_empty_is_asked_by_the_runbook() -> None:
    assert set(queries()) >= EMPTY_WHEN_WELL


def test_the_table_has_the_alerts_in_the_order_of_their_sections() -> None:
    heads = re.findall(r"^## (Penstock\w+)$", text(), re.MULTILINE)
    assert heads == list(alerting.sections())
    for name, anchor in re.findall(r"^\| \[(\w+)\]\(#(\w+)\)", text(), re.MULTILINE):
        assert anchor == name.lower()


def test_pages_come_before_tickets_in_the_table() -> None:
    severities = [section.severity for section in alerting.sections().values()]
    assert severities == sorted(severities)


def test_every_link_of_the_runbook_leads_somewhere() -> None:
    anchors = {head.lower() for head in re.findall(r"^## (\w+)$", text(), re.MULTILINE)}
    for link in re.findall(r"\]\(([^)\s]+)\)", text()):
        path, _, anchor = link.partition("#")
        assert (alerting.RUNBOOK.parent / path).exists() if path else anchor in anchors, link
