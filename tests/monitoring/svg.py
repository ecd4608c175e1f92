"""Panels of a dashboard as one SVG: line charts, and figures that stand alone.

Only text is written: no library for plots is among what the tests need, and a line chart is a page of
arithmetic. The same lines make the same file.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import floor, log10

from tests.servers.prometheus import Line

COLUMN, UNIT_HEIGHT, GAP = 46, 27, 10
"""Of the grid, in pixels: a dashboard has 24 columns."""
TEXT, FAINT, GRID, EDGE = "#22303a", "#5b6770", "#e4e8eb", "#d5dbdf"
COLOURS = (
    *("#0b6e99", "#d1495b", "#e0a04a", "#3a8f5c", "#7a5ea8"),
    *("#5b6770", "#2fa4b8", "#a4572b", "#c27ba0", "#8a9a2b"),
)
SECONDS = ((0.001, 1e-6, "µs"), (1, 1e-3, "ms"), (300, 1, "s"), (7200, 60, "min"))
"""Below how many seconds, how many make one, the unit."""
STATES = {"green": "#2f7d4f", "yellow": "#b7791f", "red": "#c0392b"}
LETTER = 6.2
"""About the width of a letter of the size used for legends."""
NAMES_MAX = 8
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Chart:
    """A panel with what its queries found. `steps` are (from, colour), the first from minus infinity."""

    title: str
    kind: str
    unit: str
    grid: dict[str, int]
    lines: Sequence[tuple[str, Line]]
    steps: Sequence[tuple[float, str]]
    most: float | None


def picture(title: str, told: str, charts: Sequence[Chart], begin_s: float, end_s: float) -> str:
    """Return a dashboard as SVG, its panels where the grid says.

    Args:
        title: of the dashboard.
        told: a line under it: when and of what.
        charts: the panels.
        begin_s: left end of every time axis, in seconds since 1970.
        end_s: its right end.
    """
    head = 56
    width = 24 * COLUMN + GAP
    height = head + UNIT_HEIGHT * max(c.grid["y"] + c.grid["h"] for c in charts) + GAP
    body = "\n".join(part for c in charts for part in _panel(c, head, begin_s, end_s))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" font-size="11">\n'
        f"<title>{escape(title)}</title>\n"
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>\n'
        f"{_text(GAP, 26, title, TEXT, size=19, bold=True)}\n{_text(GAP, 44, told, FAINT)}\n"
        f"{body}\n</svg>\n"
    )


def _panel(chart: Chart, head: int, begin_s: float, end_s: float) -> Iterator[str]:
    x, y = chart.grid["x"] * COLUMN + GAP, head + chart.grid["y"] * UNIT_HEIGHT
    if chart.kind == "row":
        yield _text(x, y + 16, chart.title, FAINT, size=13, bold=True)
        return
    width, height = chart.grid["w"] * COLUMN - GAP, chart.grid["h"] * UNIT_HEIGHT - GAP
    yield f'<g transform="translate({x} {y})">'
    yield f'<rect width="{width}" height="{height}" rx="4" fill="none" stroke="{EDGE}"/>'
    yield _text(12, 20, chart.title, TEXT, size=12.5, bold=True)
    if chart.kind == "timeseries":
        yield from _lines(chart, width, height, begin_s, end_s)
    elif chart.kind == "stat":
        value = chart.lines[0][1].points[-1][1] if chart.lines else None
        told = "no data" if value is None else shown(value, chart.unit)
        colour = FAINT if value is None else _state(chart, value)
        yield _text(12, height - 18, told, colour, size=28, bold=True)
    else:
        yield from _bars(chart, width)
    yield "</g>"


def _bars(chart: Chart, width: int) -> Iterator[str]:
    longest = max((line.points[-1][1] for _, line in chart.lines), default=0) or 1
    for row, (name, line) in enumerate(chart.lines[:NAMES_MAX]):
        value, y = line.points[-1][1], 38 + 20 * row
        yield _text(12, y + 10, name, TEXT)
        length = (width - 190) * value / longest
        yield f'<rect x="100" y="{y}" width="{max(1.0, length):.1f}" height="13" fill="{_state(chart, value)}"/>'
        yield _text(108 + length, y + 10, shown(value, chart.unit), FAINT)


def _lines(chart: Chart, width: int, height: int, begin_s: float, end_s: float) -> Iterator[str]:
    names = _legend(chart, width)
    left, right, top = 58, width - 14, 34
    bottom = height - 36 - 15 * len(names)
    values = [value for _, line in chart.lines for _, value in line.points]
    low, high, step = _axis(chart, values)

    def across(at_s: float) -> float:
        return left + (right - left) * (at_s - begin_s) / (end_s - begin_s)

    def up(value: float) -> float:
        return bottom - (bottom - top) * (value - low) / (high - low)

    tick = low
    while tick <= high + step / 2:
        yield f'<path d="M{left} {up(tick):.1f}H{right}" stroke="{GRID}"/>'
        yield _text(left - 6, up(tick) + 4, shown(tick, chart.unit, step), FAINT, anchor="end")
        tick += step
    for at in _times(end_s - begin_s):
        yield _text(across(begin_s + at), bottom + 15, _moment(at), FAINT, anchor="middle")
    for value, colour in chart.steps[1:]:
        if low <= value <= high:
            yield (
                f'<path d="M{left} {up(value):.1f}H{right}" stroke="{STATES[colour]}" '
                'stroke-dasharray="5 4" fill="none"/>'
            )
    for n, (_, line) in enumerate(chart.lines):
        path = _path([(across(at), up(value)) for at, value in line.points], right - left)
        colour = COLOURS[n % len(COLOURS)]
        yield f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.5" stroke-linejoin="round"/>'
    for row, entries in enumerate(names):
        for x, name, colour in entries:
            y = bottom + 34 + 15 * row
            yield f'<rect x="{x:.0f}" y="{y - 8}" width="9" height="9" fill="{colour}"/>'
            yield _text(x + 13, y, name, TEXT, size=10.5)
    if not values:
        yield _text(width / 2, (top + bottom) / 2, "no data", FAINT, anchor="middle")


def _legend(chart: Chart, width: int) -> list[list[tuple[float, str, str]]]:
    """Return rows of (x, name, colour)."""
    rows: list[list[tuple[float, str, str]]] = [[]]
    x = 58.0
    found = [(name, COLOURS[n % len(COLOURS)]) for n, (name, _) in enumerate(chart.lines)]
    if len(found) > NAMES_MAX:
        rest = len(found) - NAMES_MAX + 1
        found = [*found[: NAMES_MAX - 1], (f"and {rest} more", "#ffffff")]
    for name, colour in found:
        length = 24 + LETTER * len(name)
        if rows[-1] and x + length > width:
            rows.append([])
            x = 58.0
        rows[-1].append((x, name, colour))
        x += length
    return [row for row in rows if row]


def _path(points: Sequence[tuple[float, float]], width: float) -> str:
    """Return the path through points; a gap of time is a gap of the line, a straight run is two points."""
    gap = width / 12
    parts: list[str] = []
    for n, (x, y) in enumerate(points):
        fresh = n == 0 or x - points[n - 1][0] > gap
        if not fresh and n + 1 < len(points) and y == points[n - 1][1] == points[n + 1][1]:
            continue
        parts.append(f"{'M' if fresh else 'L'}{x:.1f} {y:.1f}")
    return "".join(parts)


def _axis(chart: Chart, values: Sequence[float]) -> tuple[float, float, float]:
    """Return the lowest and the highest mark, and what lies between two."""
    least, most = min(values, default=0.0), max(values, default=1.0)
    if chart.most is not None and least > 0.9 * chart.most:
        # A share near its top: from zero on, one would see nothing of it.
        mark = chart.steps[-1][0] if len(chart.steps) > 1 else least
        step = _round((chart.most - min(least, mark)) / 3 or 0.001)
        return chart.most - 4 * step, chart.most, step
    # A round number of MiB is no round number of bytes.
    scale = MIB if chart.unit == "bytes" else 1
    most = most or 1.0
    step = _round(most / 4 / scale) * scale
    marks = 1
    while marks * step < most:
        marks += 1
    return 0.0, marks * step, step


def _round(step: float) -> float:
    """Return the next of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** floor(log10(step))
    return next(part * power for part in (1, 2, 5, 10) if part * power >= step * 0.999)


def _times(length_s: float) -> list[float]:
    step = next((s for s in (5, 10, 15, 30, 60, 120, 300, 600) if length_s / s <= 7), 1200)
    return [float(n * step) for n in range(int(length_s // step) + 1)]


def _moment(at_s: float) -> str:
    return f"{at_s / 60:g} min" if at_s >= 60 else f"{at_s:g} s"


def shown(value: float, unit: str, step: float | None = None) -> str:
    """Return a value with its unit, as exact as the distance of two marks wants it."""
    about = abs(step if step is not None else value)
    if unit in {"s", "dtdurations"}:
        return _seconds(value, about, about if step is None else 2 * about)
    if unit == "percentunit":
        # A share that stands alone is told to the hundredth: 99.9 % is what is promised.
        digits = 2 if step is None else max(0, -floor(log10(100 * step)))
        text = f"{100 * value:.{digits}f}"
        return f"{text.rstrip('0').rstrip('.') if step is None else text} %"
    if unit == "bytes":
        return f"{value / MIB:,.0f} MiB"
    digits = 0 if about == 0 or about >= 1 else min(4, -floor(log10(about)))
    return f"{value:,.{digits}f}" + ("/s" if unit in {"eps", "mps", "cps"} else "")


def _seconds(value: float, about: float, largest: float) -> str:
    """Return a time in the unit that fits `largest`, as exact as `about` wants it."""
    scale, unit = next((each[1:] for each in SECONDS if largest < each[0]), (3600, "h"))
    if not value and unit == "µs":
        return "0 s"
    return f"{value / scale:.{0 if about / scale >= 1 or not value else 1}f} {unit}"


def _state(chart: Chart, value: float) -> str:
    colour = [colour for start, colour in chart.steps if value >= start][-1]
    return STATES[colour]


def _text(
    x: float, y: float, text: str, colour: str, *,
    size: float = 11, bold: bool = False, anchor: str = "start",
) -> str:  # fmt: skip
    weight = ' font-weight="600"' if bold else ""
    place = f' text-anchor="{anchor}"' if anchor != "start" else ""
    sized = f' font-size="{size}"' if size != 11 else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}"{sized}{weight}{place}>{escape(text)}</text>'
    )
