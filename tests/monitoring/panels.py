"""Every query of every panel, asked of a real Prometheus that has watched a demo.

    python -m tests.monitoring.panels

prints how many panels there are, and those of which a query found nothing.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import orjson

import monitoring.dashboards
from tests.scratch import scratch_folder
from tests.servers.prometheus import Line, Prometheus, neighbours, prometheus

ROOT = Path(__file__).parents[2]
BOARDS = Path(monitoring.dashboards.__file__).parent
EVENTS_PER_S = 60
"""The made-up chain has about 2,500 events: Prometheus sees some forty seconds of trading."""
TICK_MS = "20"
"""How long SKUs gather changes: as live, not as in a demo that is in a hurry."""
STEP_S = 1.0


class Asked(NamedTuple):
    """A query of a panel, with the variables of Grafana still in it."""

    board: str
    panel: str
    legend: str
    expr: str


@dataclass(frozen=True, slots=True)
class Watched:
    """A Prometheus that has watched a demo, and when that was, in seconds since 1970."""

    prometheus: Prometheus
    begin_s: float
    end_s: float

    def lines(self, expr: str, step_s: float = STEP_S) -> list[Line]:
        """Return what a query of a panel finds over the whole demo."""
        within = f"{max(10, round(4 * step_s))}s"
        whole = f"{round(self.end_s - self.begin_s)}s"
        expr = filled(expr, within, whole)
        return self.prometheus.lines(expr, self.begin_s, self.end_s, step_s)


def asked() -> Iterator[Asked]:
    """Yield every query of the dashboards' files."""
    for path in sorted(BOARDS.glob("*.json")):
        board = orjson.loads(path.read_bytes())
        for panel in board["panels"]:
            for target in panel.get("targets", ()):
                yield Asked(board["title"], panel["title"], target["legendFormat"], target["expr"])


def filled(expr: str, rate_interval: str, whole: str) -> str:
    """Return a query with the variables of Grafana filled in: the window of a rate, and the time shown."""
    return expr.replace("$__rate_interval", rate_interval).replace("$__range", whole)


def empty(watched: Watched) -> list[str]:
    """Return the panels of which a query found nothing, as `dashboard: panel (line, line)`."""
    silent: dict[str, list[str]] = {}
    for each in asked():
        if not watched.lines(each.expr):
            silent.setdefault(f"{each.board}: {each.panel}", []).append(each.legend)
    return [f"{panel} ({', '.join(lines)})" for panel, lines in silent.items()]


def check_panels() -> tuple[int, list[str]]:
    """Return how many panels there are, and those of which a query found nothing while a demo ran.

    Raises:
        ServerMissing: there is no `prometheus` on the PATH.
    """
    panels = {(each.board, each.panel) for each in asked()}
    with scratch_folder("panels-") as folder, watched_demo(folder) as watched:
        return len(panels), empty(watched)


@contextmanager
def watched_demo(
    folder: Path, *arguments: str, settings: Mapping[str, str] | None = None
) -> Iterator[Watched]:
    """Play a demo to its end while Prometheus scrapes its flows each second; then let it be asked.

    Args:
        folder: where the demo and Prometheus keep what they need.
        arguments: of `penstock demo`; default: the made-up chain at `EVENTS_PER_S`.
        settings: variables of the environment, over those of a live system.

    Raises:
        ServerMissing: there is no `prometheus` on the PATH.
    """
    # Each flow takes the first of them that is free.
    addresses = [f"127.0.0.1:{port}" for port in neighbours(2)]
    words = arguments or ("--synthetic", "--speed", str(EVENTS_PER_S))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PENSTOCK_")} | {
        "PENSTOCK_DATA": str(folder / "demo"),
        "PENSTOCK_METRICS": addresses[0],
        "PENSTOCK_TICK_MS": TICK_MS,
        "PYTHONPATH": str(ROOT),
        **(settings or {}),
    }
    with prometheus(folder / "prometheus", {"penstock": addresses}) as server:
        begin_s = time.time()
        played = subprocess.run(
            [sys.executable, "-m", "flows.cli", "demo", *words],
            env=environment, cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert played.returncode == 0, played.stderr[-2000:] + played.stdout[-2000:]
        yield Watched(server, begin_s, time.time())


def main() -> int:
    """Check, and tell."""
    panels, silent = check_panels()
    for each in silent:
        sys.stdout.write(f"no data: {each}\n")
    sys.stdout.write(f"panels={panels} empty_panels={len(silent)}\n")
    return 1 if silent else 0


if __name__ == "__main__":
    sys.exit(main())
