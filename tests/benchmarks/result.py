"""What the harness has found out: as a table, as JSON, and as the line that is looked for.

The JSON is `{"machine": {...}, "command": [...], "throughput": [...], "latency": [...], "scaling": ..., "soak": ...,
"line": "..."}`. An entry of `throughput` is a system on a work: `{"system", "work", "missing", "per_second",
"lines_per_second", "tried": [run], "rounds": [run]}`, each run with the fields of `race.Run`; `per_second` is the
median of the rounds, null when there is none or one of them was wrong.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson
from rich.table import Table

from tests.benchmarks.rounds import Standing

LINE_SYSTEMS = {
    "engine": ("engine",),
    "hand": ("hand",),
    "bytewax_items": ("bytewax_items", "items"),
    "kstreams": ("kstreams",),
    "quix": ("quix",),
}
"""In the line, and the names that the systems may have."""
NOT_RUN = "-"
MIB = 1 << 20


@dataclass(slots=True)
class Result:
    """All of it. Parts that were not asked for stay empty."""

    machine: Mapping[str, Any]
    command: Sequence[str]
    standings: list[Standing] = field(default_factory=list)
    latency: list[Any] = field(default_factory=list)
    """Of `latency.Latency`."""
    more: dict[str, Any] = field(default_factory=dict)

    def standing(self, work: str, *systems: str) -> Standing | None:
        """Return how one of these systems did on a work."""
        found = (s for s in self.standings if s.work == work and s.system in systems)
        return next(found, None)

    def line(self) -> str:
        """Return the line `bench: ...`; `-` stands for what was not run, or was wrong."""
        parts: dict[str, object] = {}
        for shown, names in LINE_SYSTEMS.items():
            found = self.standing("W1", *names)
            parts[shown] = found.per_second if found else None
        for rate, shown in ((1_000, "1k"), (10_000, "10k")):
            parts[f"p99_ms_at_{shown}"] = self._p99_ms(rate)
        engine, baskets = self.standing("W1", "engine"), self.standing("W3", "engine")
        parts["engine_us"] = _rounded(engine.cpu_us()) if engine else None
        parts["redis_us"] = _rounded(engine.cpu_us("redis")) if engine else None
        parts["w3_lines"] = baskets.lines_per_second if baskets else None
        words = (f"{k}={NOT_RUN if v is None else v}" for k, v in parts.items())
        return f"bench: {' '.join(words)}"

    def reasons(self) -> list[str]:
        """Return why figures are missing from the line."""
        found = []
        for shown, names in LINE_SYSTEMS.items():
            standing = self.standing("W1", *names)
            if standing is None or standing.per_second is None:
                found.append(f"{shown}: {_why(standing)}")
        baskets = self.standing("W3", "engine")
        if baskets is None or baskets.per_second is None:
            found.append(f"w3_lines: {_why(baskets)}")
        found += [
            f"p99_ms_at_{rate // 1000}k: {'not held' if self._counted(rate) else 'not asked for'}"
            for rate in (1_000, 10_000)
            if self._p99_ms(rate) is None
        ]
        return found

    def table(self, work: str) -> Table:
        """Return the table of one work."""
        table = Table(title=f"{work}, events per second behind the warm-up; CPU in us per event")
        for name in ("system", "median", "min", "max", "lines/s", "own CPU", "Redis", "broker",
                     "memory MiB", "overdue ms", "configuration"):  # fmt: skip
            left = name in ("system", "configuration")
            table.add_column(name, justify="left" if left else "right")
        mine = [standing for standing in self.standings if standing.work == work]
        for standing in sorted(mine, key=lambda each: -(each.per_second or 0)):
            table.add_row(*_row(standing))
        return table

    def as_json(self) -> bytes:
        """Return all figures."""
        return orjson.dumps(
            {
                "machine": self.machine,
                "command": self.command,
                "throughput": [
                    {
                        **asdict(standing),
                        "per_second": standing.per_second,
                        "lines_per_second": standing.lines_per_second,
                    }
                    for standing in self.standings
                ],
                "latency": [asdict(each) for each in self.latency],
                **self.more,
                "line": self.line(),
            },
            option=orjson.OPT_INDENT_2,
        )

    def write(self, path: Path) -> None:
        """Write all figures to a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.as_json())

    def _counted(self, rate: int) -> Any:
        return next((each for each in self.latency if each.rate == rate and each.counted), None)

    def _p99_ms(self, rate: int) -> float | None:
        found = self._counted(rate)
        return _rounded(found.p99_ms) if found and found.held else None


def _row(standing: Standing) -> list[str]:
    if standing.missing:
        return [standing.system, "not run", *[""] * 8, standing.missing]
    if not standing.is_right:
        return [standing.system, "wrong", *[""] * 8, _why(standing)]
    rates = [run.per_second for run in standing.rounds]
    own, redis, broker = (standing.cpu_us(*which) for which in ((), ("redis",), ("broker",)))
    memory = max(
        sum(used for role, used in run.memory_max.items() if role not in {"redis", "broker"})
        for run in standing.rounds
    )
    overdue = max((run.overdue_ms_max or 0 for run in standing.rounds), default=0)
    knows = any(run.overdue_ms_max is not None for run in standing.rounds)
    return [
        standing.system,
        *(f"{each:,}" for each in (standing.per_second, min(rates), max(rates))),
        f"{standing.lines_per_second:,}",
        *(f"{us:.1f}" for us in (own, redis, broker)),
        f"{memory // MIB}",
        f"{overdue}" if knows else "",
        standing.rounds[0].configuration,
    ]


def _why(standing: Standing | None) -> str:
    """Return why a system has no figure."""
    if standing is None:
        return "not asked for"
    faults = (run.fault for run in (*standing.rounds, *standing.tried) if run.fault)
    return standing.missing or next(faults, "no round was run")


def _rounded(figure: float | None) -> float | None:
    return None if figure is None else round(figure, 1)
