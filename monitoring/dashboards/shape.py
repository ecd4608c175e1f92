"""What a panel says, as values; and the JSON that Grafana reads.

Every query goes to the data source of the variable at the top, and needs no recording rule. A panel keeps
its id for ever: links and pictures name it. The JSON is of the classic form, which Grafana 11 and newer read.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

SCHEMA: Final = 39
"""Of the form that this module writes; a newer Grafana migrates it to its own as it reads."""
COLUMNS: Final = 24
HEAD_HEIGHT: Final = 1
HEAD_ID: Final = 1000
"""Heads of sections count on from here, so that a new section renumbers no panel."""
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}

GREEN, YELLOW, RED = "green", "yellow", "red"

Kind = Literal["stat", "timeseries", "bargauge"]


@dataclass(frozen=True, slots=True)
class Query:
    """An expression in PromQL, and the name of its lines: `{{label}}` stands for a label."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Limits:
    """Colours by value: `base` below the first step, from each step on its colour."""

    base: str
    steps: tuple[tuple[float, str], ...]


def at_most(good: float, bad: float | None = None) -> Limits:
    """Limits of a figure that should stay low: yellow from `good` on, red from `bad` on."""
    steps: tuple[tuple[float, str], ...] = ((good, YELLOW),)
    return Limits(GREEN, steps if bad is None else (*steps, (bad, RED)))


def none_at_all() -> Limits:
    """Limits of a figure that should be 0."""
    return Limits(GREEN, ((1, RED),))


def at_least(good: float) -> Limits:
    """Limits of a figure that should stay high: red below `good`."""
    return Limits(RED, ((good, GREEN),))


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. `unit` is one that Grafana knows (`s`, `eps`, `percentunit`, `short`, ...)."""

    id: int
    title: str
    tells: str
    unit: str
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    limits: Limits | None = None
    stacked: bool = False
    most: float | None = None
    """Top of the axis, where the figure cannot go higher."""

    def json(self, grid: dict[str, int]) -> dict[str, Any]:
        """Return the panel at a place of the grid."""
        return {
            "id": self.id,
            "type": self.kind,
            "title": self.title,
            "description": self.tells,
            "datasource": SOURCE,
            "gridPos": grid,
            "fieldConfig": {"defaults": self._field(), "overrides": []},
            "options": _OPTIONS[self.kind],
            "targets": [
                self._target(chr(ord("A") + n), query) for n, query in enumerate(self.queries)
            ],
        }

    def _target(self, ref: str, query: Query) -> dict[str, Any]:
        at_once = self.kind != "timeseries"
        return {
            "refId": ref,
            "datasource": SOURCE,
            "editorMode": "code",
            "expr": query.expr,
            "legendFormat": query.legend,
            "instant": at_once,
            "range": not at_once,
        }

    def _field(self) -> dict[str, Any]:
        field: dict[str, Any] = {"unit": self.unit, "thresholds": self._thresholds()}
        if self.limits is None or self.limits.base == GREEN:
            field["min"] = 0
        if self.most is not None:
            field["max"] = self.most
        if self.kind != "timeseries":
            field["color"] = {"mode": "thresholds"}
            return field
        field["color"] = {"mode": "palette-classic"}
        field["custom"] = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 30 if self.stacked else 8,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "off" if self.limits is None else "dashed"},
        }
        return field

    def _thresholds(self) -> dict[str, Any]:
        limits = self.limits or Limits(GREEN, ())
        steps: list[dict[str, Any]] = [{"color": limits.base, "value": None}]
        steps.extend({"color": colour, "value": value} for value, colour in limits.steps)
        return {"mode": "absolute", "steps": steps}


@dataclass(frozen=True, slots=True)
class Section:
    """A head, and rows of panels under it, each as wide as its share of the row."""

    title: str
    height: int
    rows: tuple[tuple[Panel, ...], ...]


@dataclass(frozen=True, slots=True)
class Board:
    """A dashboard. `uid` is its address in Grafana and never changes."""

    uid: str
    title: str
    tells: str
    sections: tuple[Section, ...]

    def panels(self) -> Iterator[Panel]:
        """Yield every panel, from the top left on."""
        for section in self.sections:
            for row in section.rows:
                yield from row

    def json(self) -> str:
        """Return the file."""
        whole = {
            "uid": self.uid,
            "title": self.title,
            "description": self.tells,
            "tags": ["penstock"],
            "timezone": "browser",
            "editable": False,
            "graphTooltip": 1,
            "schemaVersion": SCHEMA,
            "version": 1,
            "refresh": "10s",
            "time": {"from": "now-1h", "to": "now"},
            "templating": {"list": [_DATA_SOURCE]},
            "annotations": {"list": []},
            "links": [_OTHERS],
            "panels": list(self._laid_out()),
        }
        return json.dumps(whole, indent=2) + "\n"

    def _laid_out(self) -> Iterator[dict[str, Any]]:
        y = 0
        for number, section in enumerate(self.sections, 1):
            yield _head(HEAD_ID + number, section.title, y)
            y += HEAD_HEIGHT
            for row in section.rows:
                width = COLUMNS // len(row)
                for n, panel in enumerate(row):
                    yield panel.json({"h": section.height, "w": width, "x": n * width, "y": y})
                y += section.height


def _head(id_: int, title: str, y: int) -> dict[str, Any]:
    grid = {"h": HEAD_HEIGHT, "w": COLUMNS, "x": 0, "y": y}
    return {
        "id": id_,
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": grid,
        "panels": [],
    }


_DATA_SOURCE: Final = {
    "name": "datasource",
    "label": "Data source",
    "type": "datasource",
    "query": "prometheus",
    "regex": "",
    "hide": 0,
    "refresh": 1,
    "multi": False,
    "includeAll": False,
    "skipUrlSync": False,
    "current": {},
    "options": [],
}

_OTHERS: Final = {
    "type": "dashboards",
    "title": "Penstock",
    "icon": "external link",
    "tooltip": "",
    "url": "",
    "tags": ["penstock"],
    "asDropdown": False,
    "targetBlank": False,
    "includeVars": True,
    "keepTime": True,
}

_LAST: Final = {"calcs": ["lastNotNull"], "fields": "", "values": False}

_OPTIONS: Final[dict[Kind, dict[str, Any]]] = {
    "stat": {
        "reduceOptions": _LAST,
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
    },
    "timeseries": {
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "bargauge": {
        "reduceOptions": _LAST,
        "displayMode": "basic",
        "orientation": "horizontal",
        "showUnfilled": True,
        "valueMode": "color",
        "minVizHeight": 16,
        "minVizWidth": 8,
    },
}
