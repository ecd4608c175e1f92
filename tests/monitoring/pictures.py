"""Pictures of two dashboards, drawn from what a real Prometheus saw of a demo.

    python -m tests.monitoring.pictures [FOLDER] [-- options of penstock demo]

writes `dashboard-truth.svg` and `dashboard-flows.svg` into the folder, `docs/img` by default.
"""

import math
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from tests.monitoring.panels import BOARDS, ROOT, Watched, watched_demo
from tests.monitoring.svg import Chart, picture
from tests.scratch import scratch_folder
from tests.servers.prometheus import Line

SHOWN = ("truth", "flows")
POINTS = 150
"""About how many moments a line has."""


def draw(watched: Watched, folder: Path) -> list[Path]:
    """Write the pictures into a folder, and return their files."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name in SHOWN:
        board = orjson.loads((BOARDS / f"{name}.json").read_bytes())
        path = folder / f"dashboard-{name}.svg"
        told = "Drawn from a real Prometheus that scraped a demo each second; times are since its start."
        text = picture(board["title"], told, charts(watched, board), watched.begin_s, watched.end_s)
        path.write_text(text, encoding="utf-8")
        made.append(path)
    return made


def charts(watched: Watched, board: dict[str, Any]) -> list[Chart]:
    """Return the panels of a dashboard with what their queries found."""
    step_s = max(1.0, round((watched.end_s - watched.begin_s) / POINTS))
    return [_chart(watched, panel, step_s) for panel in board["panels"]]


def _chart(watched: Watched, panel: dict[str, Any], step_s: float) -> Chart:
    field = panel["fieldConfig"]["defaults"] if panel["type"] != "row" else {}
    return Chart(
        panel["title"],
        panel["type"],
        field.get("unit", ""),
        panel["gridPos"],
        list(_lines(watched, panel.get("targets", ()), step_s)),
        list(_steps(field["thresholds"]["steps"] if field else ())),
        field.get("max"),
    )


def _lines(
    watched: Watched, targets: Sequence[dict[str, Any]], step_s: float
) -> Iterator[tuple[str, Line]]:
    for target in targets:
        for line in watched.lines(target["expr"], step_s):
            yield _named(target["legendFormat"], line), line


def _named(legend: str, line: Line) -> str:
    return re.sub(r"{{(\w+)}}", lambda found: line.labels.get(found[1], ""), legend)


def _steps(steps: Sequence[dict[str, Any]]) -> Iterator[tuple[float, str]]:
    for step in steps:
        yield -math.inf if step["value"] is None else step["value"], step["color"]


def main(words: Sequence[str]) -> int:
    """Play, watch, draw."""
    at = words.index("--") if "--" in words else len(words)
    folder = Path(words[0]) if at else ROOT / "docs" / "img"
    with (
        scratch_folder("pictures-") as place,
        watched_demo(place, *words[at + 1 :]) as watched,
    ):
        for path in draw(watched, folder):
            sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
