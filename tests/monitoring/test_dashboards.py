"""Dashboards: what their files say holds together, and on a real Prometheus every panel has data."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import orjson
import pytest

from monitoring.dashboards import BOARDS
from tests.monitoring import panels
from tests.monitoring.pictures import SHOWN, draw
from tests.servers.kafka import ServerMissing

FOLDER = panels.BOARDS
UNITS = {"s", "dtdurations", "eps", "mps", "cps", "percentunit", "short", "bytes"}
GRID_COLUMNS = 24

each_board = pytest.mark.parametrize("name", BOARDS)


def read(name: str) -> Any:
    return orjson.loads((FOLDER / name).read_bytes())


def shown(board: Any) -> list[Any]:
    """The panels that show something: all but the heads of sections."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def declared() -> dict[str, set[str]]:
    """Every metric with its labels, from the page that is held to the code."""
    page = (panels.ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(penstock_\w+)` \| \w+ \|(.*?)\|", page, re.MULTILINE)
    return {name: set(re.findall(r"`(\w+)`", labels)) for name, labels in rows}


def queries() -> Iterator[tuple[str, str]]:
    """(dashboard and panel, query), of all files."""
    for each in panels.asked():
        yield f"{each.board}: {each.panel}", each.expr


def test_the_folder_holds_the_dashboards_that_the_code_writes_and_no_other() -> None:
    assert {path.name for path in FOLDER.glob("*.json")} == BOARDS.keys()


@each_board
def test_a_file_is_what_the_code_writes(name: str) -> None:
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == BOARDS[name].json(), "run `python -m monitoring.dashboards`"


def test_dashboards_keep_their_addresses() -> None:
    assert {read(name)["uid"]: read(name)["title"] for name in BOARDS} == {
        "penstock-truth": "Is stock true and fresh?",
        "penstock-flows": "Flows and machines",
        "penstock-ads": "Ads",
    }


@each_board
def test_each_panel_has_an_id_and_a_title_of_its_own(name: str) -> None:
    found = read(name)["panels"]
    for field in ("id", "title"):
        assert Counter(panel[field] for panel in found).most_common(1)[0][1] == 1, field


@each_board
def test_panels_lie_within_the_grid_and_none_over_another(name: str) -> None:
    cells = [
        {
            (x, y)
            for x in range(grid["x"], grid["x"] + grid["w"])
            for y in range(grid["y"], grid["y"] + grid["h"])
        }
        for grid in (panel["gridPos"] for panel in read(name)["panels"])
    ]
    assert all(x < GRID_COLUMNS for mine in cells for x, _ in mine)
    assert not [one & other for one, other in combinations(cells, 2) if one & other]


@each_board
def test_each_panel_says_what_it_shows_and_in_which_unit(name: str) -> None:
    for panel in shown(read(name)):
        assert len(panel["description"]) > 20, panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert panel["targets"], panel["title"]


@each_board
def test_limits_rise_and_the_lowest_has_no_beginning(name: str) -> None:
    for panel in shown(read(name)):
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert steps[0]["value"] is None, panel["title"]
        values = [step["value"] for step in steps[1:]]
        assert values == sorted(set(values)), panel["title"]


@each_board
def test_every_query_goes_to_the_data_source_that_is_chosen_at_the_top(name: str) -> None:
    board = read(name)
    (variable,) = board["templating"]["list"]
    assert (variable["type"], variable["query"]) == ("datasource", "prometheus")
    for panel in shown(board):
        for asked in (panel, *panel["targets"]):
            chosen = f"${{{variable['name']}}}"
            assert asked["datasource"] == {"type": "prometheus", "uid": chosen}


def test_every_query_names_metrics_and_labels_that_there_are() -> None:
    known = declared()
    for where, query in queries():
        named = re.findall(r"(penstock_\w+?)(_bucket|_count|_sum)?\b(?:{(.*?)})?", query)
        assert named or "process_" in query, where
        for name, part, matchers in named:
            assert name in known, f"{where}: {name}"
            labels = set(re.findall(r"(\w+)=", matchers)) - ({"le"} if part else set())
            assert labels <= known[name], f"{where}: {labels}"


def test_lines_are_named_by_labels_that_their_query_keeps() -> None:
    for each in panels.asked():
        kept = set(re.findall(r"\w+", " ".join(re.findall(r"(?:by|on) \((.*?)\)", each.expr))))
        named = set(re.findall(r"{{(\w+)}}", each.legend))
        assert named <= kept, f"{each.board}: {each.panel}"


def test_every_metric_is_on_a_dashboard() -> None:
    asked = " ".join(query for _, query in queries())
    assert [name for name in declared() if not re.search(rf"\b{name}", asked)] == []


def test_the_page_tells_of_every_dashboard_and_shows_those_that_are_drawn() -> None:
    page = (panels.ROOT / "docs" / "reference" / "dashboards.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+\.json)` \| (.*?) \|", page, re.MULTILINE)
    assert dict(rows) == {name: board.title for name, board in BOARDS.items()}
    images = dict(re.findall(r"^!\[(.*?)\]\(\.\./img/(.*?)\)", page, re.MULTILINE))
    assert images == {BOARDS[f"{name}.json"].title: f"dashboard-{name}.svg" for name in SHOWN}
    assert all((panels.ROOT / "docs" / "img" / name).exists() for name in images.values())


def test_no_query_needs_a_recording_rule() -> None:
    assert not [where for where, query in queries() if re.search(r"\w:\w", query)]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, missing: Any) -> Iterator[panels.Watched]:
    """A Prometheus that has watched a demo."""
    try:
        with panels.watched_demo(tmp_path_factory.mktemp("watched")) as found:
            yield found
    except ServerMissing as error:
        missing(str(error))


@pytest.mark.slow
def test_every_panel_has_data_while_a_demo_runs(watched: panels.Watched) -> None:
    assert panels.empty(watched) == []


@pytest.mark.slow
def test_a_query_that_finds_nothing_is_told(
    watched: panels.Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = panels.Asked("A board", "A panel", "a line", "penstock_nothing_of_the_kind")
    monkeypatch.setattr(panels, "asked", lambda: [odd])
    assert panels.empty(watched) == ["A board: A panel (a line)"]


@pytest.mark.slow
def test_pictures_show_every_panel_with_its_lines(watched: panels.Watched, tmp_path: Path) -> None:
    made = draw(watched, tmp_path)
    assert [path.name for path in made] == ["dashboard-truth.svg", "dashboard-flows.svg"]
    for path, name in zip(made, ("truth.json", "flows.json"), strict=True):
        text = path.read_text(encoding="utf-8")
        words = {element.text for element in ET.fromstring(text).iter() if element.text}  # noqa: S314 - our own file
        assert {panel["title"] for panel in read(name)["panels"]} <= words
        assert "no data" not in words
