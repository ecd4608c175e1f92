"""Pictures of a result, as SVG: the same result makes the same files.

    .venv-bench/bin/python -m tests.benchmarks.plots .bench/result.json docs/img

Made of what the JSON holds: `throughput.svg`, `latency.svg`, `cost.svg`, `soak.svg`. Nothing of the engine is
imported: this runs in the environment of the peers, which has matplotlib.
"""

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

WORKS = {"W1": "one line, structured", "W2": "one line, binary", "W3": "baskets of about ten lines"}
NAMES = {
    "engine": "Penstock",
    "hand": "hand-written loop",
    "items": "Bytewax, item by item",
    "bytewax_items": "Bytewax, item by item",
    "kstreams": "Kafka Streams",
    "quix": "Quix Streams",
    "faust": "Faust",
}
OURS, OTHERS, SECOND, BAND, GREY = "#0b6e99", "#a9b4bd", "#d1495b", "#e3eef3", "#5b6770"
PERCENTILES = (
    ("p50_ms", "p50", "#7fb2c8"),
    ("p99_ms", "p99", OURS),
    ("p999_ms", "p99.9", "#e0a04a"),
    ("max_ms", "max", SECOND),
)
STYLE = {
    "svg.hashsalt": "penstock",
    "figure.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.edgecolor": GREY,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "font.size": 9.5,
}


class Bar(NamedTuple):
    """A system on a work; a figure of 0 = it has none."""

    name: str
    median: int
    least: int
    most: int
    ours: bool


def bars(result: dict[str, Any], work: str) -> list[Bar]:
    """Return the systems that have a figure on a work, the fastest first; of baskets lines are counted."""
    unit = "lines_per_second" if work == "W3" else "per_second"
    found = []
    for standing in result.get("throughput", ()):
        if standing["work"] != work or not standing.get(unit):
            continue
        rates = [run[unit] for run in standing["rounds"]]
        name = standing["system"]
        found.append(
            Bar(NAMES.get(name, name), standing[unit], min(rates), max(rates), name == "engine")
        )
    return sorted(found, key=lambda bar: -bar.median)


def counted(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the runs of latency that count, by rate."""
    runs = [run for run in result.get("latency", ()) if run["counted"]]
    return sorted(runs, key=lambda run: int(run["rate"]))


def save_throughput(result: dict[str, Any], path: Path) -> bool:
    """Draw a panel for each work: bars of the medians, whiskers from the slowest round to the fastest."""
    from matplotlib import pyplot as plt

    panels = [(work, found) for work in WORKS if (found := bars(result, work))]
    if not panels:
        return False
    heights = [len(found) + 1.5 for _, found in panels]
    figure, axes = plt.subplots(
        len(panels), 1, squeeze=False, layout="constrained",
        figsize=(7.6, 0.42 * sum(heights) + 0.5), height_ratios=heights,
    )  # fmt: skip
    figure.get_layout_engine().set(hspace=0.06)
    for axis, (work, found) in zip(axes[:, 0], panels, strict=True):
        rows = range(len(found))
        axis.barh(
            rows, [b.median for b in found], color=[OURS if b.ours else OTHERS for b in found]
        )
        spread = [[b.median - b.least for b in found], [b.most - b.median for b in found]]
        axis.errorbar(
            [b.median for b in found], rows, xerr=spread, fmt="none", ecolor="#222", capsize=3, lw=1
        )
        for row, bar in enumerate(found):
            axis.annotate(
                f"{bar.median:,}", (bar.most, row), xytext=(6, 0), textcoords="offset points",
                va="center", color="#222",
            )  # fmt: skip
        unit = "lines" if work == "W3" else "events"
        axis.set_title(f"{work}: {WORKS[work]}, {unit} per second")
        axis.set_yticks(rows, [bar.name for bar in found])
        axis.tick_params(axis="y", length=0, labelcolor="#222")
        axis.invert_yaxis()
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axis.set_xlim(0, 1.14 * max(bar.most for bar in found))
    _write(figure, path)
    return True


def save_latency(result: dict[str, Any], path: Path) -> bool:
    """Draw percentiles by load; a load that was not held is marked."""
    from matplotlib import pyplot as plt

    runs = counted(result)
    if not runs:
        return False
    figure, axis = plt.subplots(figsize=(7.6, 4.2), layout="constrained")
    at = range(len(runs))
    for name, label, colour in PERCENTILES:
        figures = [run[name] for run in runs]
        axis.plot(at, figures, color=colour, marker="o", ms=5, lw=1.6, label=label)
        for x, y in zip(at, figures, strict=True):
            axis.annotate(
                f"{y:,.1f}" if y < 100 else f"{y:,.0f}", (x, y), xytext=(8, 0),
                textcoords="offset points", va="center", color=colour, fontsize=8.5,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )  # fmt: skip
    axis.set_yscale("log")
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.yaxis.set_minor_formatter(lambda value, _: f"{value:g}")
    axis.grid(axis="y", color="#e4e8eb", lw=0.8)
    axis.set_axisbelow(True)
    axis.set_xlim(-0.4, len(runs) - 1 + 0.3)
    axis.set_xticks(at, [f"{r['rate']:,}/s" + ("" if r["held"] else "\n(not held)") for r in runs])
    axis.tick_params(axis="x", length=0, labelcolor="#222")
    axis.set_xlabel("sales per second, sent by a schedule that waits for nothing")
    axis.set_ylabel("ms")
    axis.set_title("Age of a stock update when it is read, since the oldest sale in it")
    axis.legend(
        *(each[::-1] for each in axis.get_legend_handles_labels()), frameon=False, loc="upper left"
    )
    _write(figure, path)
    return True


def save_cost(result: dict[str, Any], path: Path) -> bool:
    """Draw CPU time against SKUs and against locations, with the band in which it should stay."""
    from matplotlib import pyplot as plt

    scaling = result.get("scaling", {})
    panels = [
        (question, unit, wish)
        for question, unit, wish in (("skus", "event", 15), ("locations", "update", 10))
        if scaling.get(question)
    ]
    if not panels:
        return False
    figure, axes = plt.subplots(
        1, len(panels), squeeze=False, figsize=(4.3 * len(panels) + 0.4, 3.6), layout="constrained"
    )
    for axis, (question, unit, wish) in zip(axes[0], panels, strict=True):
        rows = scaling[question]
        at, whole = [row[question] for row in rows], [row[f"{unit}_us"] for row in rows]
        axis.axhspan(min(whole), min(whole) * (1 + wish / 100), color=BAND, lw=0)
        axis.annotate(
            f"+{wish} %", (1, min(whole) * (1 + wish / 100)), xycoords=("axes fraction", "data"),
            ha="right", va="bottom", color=OURS, fontsize=8.5,
        )  # fmt: skip
        series = (
            (whole, "together", OURS),
            ([row["python_us"] for row in rows], "Python", GREY),
            ([row["redis_us"] for row in rows], "Redis", SECOND),
        )
        for figures, label, colour in series:
            axis.plot(at, figures, color=colour, marker="o", ms=4.5, lw=1.6, label=label)
        axis.set_xscale("log")
        axis.set_xticks(at, [f"{size:,}" for size in at])
        axis.minorticks_off()
        axis.set_ylim(0, 1.3 * max(whole))
        axis.set_xlabel({"skus": "SKUs", "locations": "locations of each SKU"}[question])
        axis.set_ylabel("us")
        axis.set_title(f"CPU time of an {unit}")
        axis.legend(frameon=False, ncols=3, loc="upper left", fontsize=8.5)
    _write(figure, path)
    return True


def save_soak(result: dict[str, Any], path: Path) -> bool:
    """Draw the memory of each process while millions of events pass."""
    from matplotlib import pyplot as plt

    soak = result.get("soak")
    if not soak:
        return False
    figure, axis = plt.subplots(figsize=(7.6, 3.4), layout="constrained")
    colours = (OURS, "#7fb2c8", SECOND, "#e0a04a", GREY)
    for (role, parts), colour in zip(sorted(soak["memory_mb"].items()), colours, strict=False):
        events = [soak["events"] * (n + 0.5) / len(parts) / 1e6 for n in range(len(parts))]
        axis.plot(events, parts, color=colour, marker="o", ms=4, lw=1.6, label=role)
    axis.set_ylim(0)
    axis.set_xlim(0, soak["events"] / 1e6)
    axis.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    axis.set_xlabel("million events")
    axis.set_ylabel("MB resident")
    axis.set_title("Memory of each process")
    _write(figure, path)
    return True


PLOTS: dict[str, Callable[[dict[str, Any], Path], bool]] = {
    "throughput": save_throughput,
    "latency": save_latency,
    "cost": save_cost,
    "soak": save_soak,
}


def save(result: dict[str, Any], folder: Path, ending: str = "svg") -> list[Path]:
    """Write every picture that the result has figures for; return their files."""
    import matplotlib as mpl

    mpl.use("Agg")
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(STYLE):
        paths = {folder / f"{name}.{ending}": draw for name, draw in PLOTS.items()}
        return [path for path, draw in paths.items() if draw(result, path)]


def _write(figure: Any, path: Path) -> None:
    from matplotlib import pyplot as plt

    # The date and the version of the library would make each file another one.
    metadata = {"Date": None, "Creator": None} if path.suffix == ".svg" else None
    figure.savefig(path, metadata=metadata, dpi=110)
    plt.close(figure)


def main(words: Sequence[str]) -> int:
    """Draw the result in the file of the first argument into the folder of the second."""
    if len(words) != 2:
        sys.stderr.write("expected: RESULT.json FOLDER\n")
        return 2
    made = save(json.loads(Path(words[0]).read_text()), Path(words[1]))
    for path in made:
        sys.stdout.write(f"{path}\n")
    return 0 if made else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
