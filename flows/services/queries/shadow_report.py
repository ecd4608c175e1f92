"""The shadow report: what today's system shows, beside what the pool would.

For each channel and SKU of the file: what both show, what the pool really has for the channel (its eligible stock less
what is promised, before share, buffer and cap), and what the difference would have meant.

    oversold   units shown that are not there: the next customers buy what no location can ship
    hidden     units that could be sold while the other system shows none
"""

import csv
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from msgspec.structs import replace

from connectors.config.yaml_reader import Lint, did_you_mean, shortened
from flows.runtime.active_policy import ActivePolicy
from flows.runtime.context import Runtime
from flows.services.bad_file import BadFile
from flows.services.queries.current_levels import AsOf, figures_now, moment
from state.events.messages import QUANTITY_MAX
from state.policy.channel_rules import channel_rules
from state.policy.compiled import Compiled, compiled
from state.protocol.figures import SkuState
from state.rules.levels import Figures, derive

HEADER: Final = ("channel", "sku", "quantity")
CHUNK: Final = 500
PROBLEMS_MAX: Final = 1_000

Shown = dict[str, dict[str, int]]
"""Units that another system shows, by SKU and channel."""


class LevelDifference(NamedTuple):
    """One difference, in units, or in packs where the channel sells packs."""

    channel: str
    sku: str
    theirs: int
    ours: int
    pool: int
    oversold: int
    hidden: int


@dataclass(slots=True)
class Total:
    """What the report adds up of one channel."""

    channel: str
    compared: int = 0
    differ: int = 0
    oversold_skus: int = 0
    oversold_units: int = 0
    hidden_skus: int = 0
    hidden_units: int = 0
    not_in_file: int = 0
    """SKUs that the pool would show and the file does not name."""


def read_file(run: Runtime, file: Path) -> Shown:
    """Return what a file `channel,sku,quantity` says.

    Raises:
        BadFile: with every problem.
        OSError: it cannot be opened.
    """
    lint = Lint(file.name)
    with file.open(encoding="utf-8-sig", newline="") as lines:
        shown = read_shown(lines, tuple(run.policy.compiled.channels), lint)
    if lint.problems:
        raise BadFile(*map(str, lint.problems))
    return shown


def read_shown(lines: Iterable[str], channels: Sequence[str], lint: Lint) -> Shown:
    """Return what a file `channel,sku,quantity` says; whole only if nothing was added to `lint`."""
    rows = csv.reader(lines, strict=True)
    shown: Shown = defaultdict(dict)
    try:
        header = tuple(cell.strip().lower() for cell in next(rows, []))
        if header != HEADER:
            found = shortened(",".join(header)) or "nothing"
            lint.add(1, "", f"expected the header {','.join(HEADER)}, got {found}")
            return shown
        for cells in rows:
            if cells:
                _add(shown, [cell.strip() for cell in cells], channels, rows.line_num, lint)
            if len(lint.problems) > PROBLEMS_MAX:
                break
    except (csv.Error, UnicodeDecodeError) as error:
        lint.add(rows.line_num + 1, "", f"expected CSV in UTF-8, got: {error}")
    return shown


def _add(shown: Shown, cells: list[str], channels: Sequence[str], line: int, lint: Lint) -> None:
    if len(cells) != len(HEADER):
        lint.add(line, "", f"expected {len(HEADER)} cells, got {len(cells)}")
        return
    channel, sku, text = cells
    if channel not in channels:
        hint = did_you_mean(channel, list(channels))
        lint.add(line, "channel", f"expected a listed channel, got {shortened(channel)!r}{hint}")
    elif not (text.isascii() and text.isdecimal()) or int(text) > QUANTITY_MAX:
        lint.add(line, "quantity", f"expected integer 0..{QUANTITY_MAX}, got {shortened(text)!r}")
    elif channel in shown.get(sku, ()):
        problem = (
            f"expected each SKU once for a channel, got {shortened(sku)!r} for {channel!r} again"
        )
        lint.add(line, "sku", problem)
    else:
        shown[sku][channel] = int(text)


class Report:
    """Compares SKU by SKU and adds up. Channels are taken as live, whatever their mode."""

    def __init__(self, policy: ActivePolicy, shown: Shown, now: AsOf) -> None:
        self._policy = policy
        rules = policy.compiled.policy
        channels = tuple(replace(channel, mode="live") for channel in rules.channels)
        self._compiled: Compiled = compiled(replace(rules, channels=channels))
        self._shown = shown
        self._now = now
        self._rules = channel_rules(self._compiled)
        named = {channel for channels in shown.values() for channel in channels}
        self.totals = {c.id: Total(c.id) for c in channels if c.id in named}

    def compare(self, sku: str, state: SkuState | None) -> Iterator[LevelDifference]:
        """Yield where the channels of one SKU differ; None = the pool knows nothing of it."""
        if state is None:
            figures = Figures(0, 0, 0, [0] * len(self._compiled.classes))
        else:
            figures = figures_now(state, self._policy)
        demand = () if state is None else state.demand
        _, levels = derive(
            self._compiled, figures, sku, self._now.business_ms, None, demand, self._now.lags
        )
        theirs = self._shown.get(sku, {})
        for channel, total in self.totals.items():
            level = levels[channel]
            if channel not in theirs:
                total.not_in_file += level > 0
                continue
            units = sum(figures.sums[n] for n in self._compiled.eligible(channel))
            pool = units - figures.unrouted - figures.held
            pack = self._rules.of_channel(sku, channel).pack
            row = _row(channel, sku, theirs[channel], level, pool // pack)
            total.compared += 1
            if row.theirs != row.ours:
                _count(total, row)
                yield row


def _row(channel: str, sku: str, theirs: int, ours: int, pool: int) -> LevelDifference:
    oversold = max(0, theirs - max(0, pool))
    return LevelDifference(channel, sku, theirs, ours, pool, oversold, ours if theirs == 0 else 0)


def _count(total: Total, row: LevelDifference) -> None:
    total.differ += 1
    total.oversold_skus += row.oversold > 0
    total.oversold_units += row.oversold
    total.hidden_skus += row.hidden > 0
    total.hidden_units += row.hidden


def worst_first(rows: Iterable[LevelDifference]) -> list[LevelDifference]:
    """Return differences in the order of the harm that they would have done."""
    return sorted(rows, key=lambda row: (-row.oversold, -row.hidden, row.channel, row.sku))


def by_sku(shown: Mapping[str, object], known: Iterable[str]) -> list[str]:
    """Return every SKU of the file and of the pool, each once, in order."""
    return sorted({*shown, *known})


def compare(
    run: Runtime, shown: Shown, skus: Sequence[str], progress: Callable[[int], None]
) -> tuple[Report, list[LevelDifference]]:
    """Compare these SKUs with the pool; return the totals, and where the two differ, the worst first.

    `progress` gets the number of SKUs compared since it was last called.
    """
    report = Report(run.policy, shown, moment(run))
    rows: list[LevelDifference] = []
    rest = iter(skus)
    while chunk := list(islice(rest, CHUNK)):
        for sku, state in zip(chunk, run.store.read_many(chunk), strict=True):
            rows.extend(report.compare(sku, state))
        progress(len(chunk))
    return report, worst_first(rows)
