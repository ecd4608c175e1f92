"""Figures as lines for a terminal: what is fine is plain, what is not stands out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from rich.text import Text

from flows.cli.output import visible
from flows.services.board import figures, rates

HEAD_WIDTH = 11
HEAD = "bold"
FAINT, YELLOW, RED = "dim", "yellow", "bold red"
LATE_S, LONG_S = 1.0, 5.0
BUSY = 0.8
NAMED_MAX = 5
NOTHING = "-"


def screen(found: figures.BoardFigures, interval_s: float) -> Text:
    """Return the whole screen, one line for a few figures that belong together."""
    at = datetime.fromtimestamp(found.time_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    many = len(found.processes)
    title = (
        f"penstock top   {many} process{'' if many == 1 else 'es'}, every {interval_s:g} s   {at}"
    )
    lines = [Text(title, style=HEAD), Text()]
    for head, parts in (
        ("INGEST", _ingest(found)),
        ("PUBLISH", _publish(found)),
        ("STOCK", _stock(found)),
        ("ADS", _ads(found)),
        ("TROUBLE", _trouble(found)),
        ("REDIS", _redis(found.redis)),
        ("PROCESSES", _processes(found)),
    ):
        for n, part in enumerate(parts):
            lines.append(Text.assemble((f"{'' if n else head:<{HEAD_WIDTH}}", HEAD), part))
    return Text("\n").join(lines)


def _ingest(found: figures.BoardFigures) -> Iterator[Text]:
    ingest = found.ingest
    yield _line(
        _fact("events", rate(sum(ingest.events_per_s.values()))),
        *(_fact(name, rate(value)) for name, value in sorted(ingest.events_per_s.items())),
    )
    yield _line(
        _fact("applied after p50", span(ingest.log_to_applied.p50_s)),
        _fact("p99", span(ingest.log_to_applied.p99_s)),
        _fact("messages to apply", number(ingest.lag_messages)),
        _fact("oldest", span(ingest.lag_s), _age(ingest.lag_s)),
        _fact("held back", share(ingest.held_back), _above(ingest.held_back, 0, YELLOW)),
        _fact("busiest", share(ingest.busy), _above(ingest.busy, BUSY)),
    )
    letters = ingest.dead_letters_per_s
    if letters:
        yield _line(
            _fact("dead letters", rate(sum(letters.values())), YELLOW),
            *(_fact(name, rate(value)) for name, value in sorted(letters.items())),
        )


def _publish(found: figures.BoardFigures) -> Iterator[Text]:
    publish = found.publish
    yield _line(
        _fact("updates", rate(publish.updates_per_s)),
        *(_fact(name, rate(value)) for name, value in sorted(publish.signals_per_s.items())),
        _fact("not confirmed", rate(publish.not_confirmed_per_s), _above(publish.not_confirmed_per_s)),
    )  # fmt: skip
    emitted = publish.log_to_emitted
    yield _line(
        _fact("emitted after p50", span(emitted.p50_s), _age(emitted.p50_s)),
        _fact("p99", span(emitted.p99_s), _age(emitted.p99_s)),
        _fact("SKUs due", number(publish.due_skus)),
        _fact("for", span(publish.due_age_s), _age(publish.due_age_s)),
        _fact("not emitted for", span(publish.unsettled_age_s), _age(publish.unsettled_age_s)),
        _fact("busiest", share(publish.busy), _above(publish.busy, BUSY)),
    )


def _stock(found: figures.BoardFigures) -> Iterator[Text]:
    stock = found.stock
    broken = sum(stock.invariants_broken.values()) if stock.invariants_broken else None
    yield _line(
        _fact("oversold SKUs", number(stock.oversold_skus), _above(stock.oversold_skus, 0, YELLOW)),
        _fact("negative positions", number(stock.negative_positions)),
        _fact("invariants broken", number(broken), _above(broken)),
        _fact("SKUs looked at", f"{number(stock.walked_skus)}, {span(stock.walked_s_ago)} ago"),
    )  # fmt: skip
    named = {name: many for name, many in stock.invariants_broken.items() if many}
    if named:
        yield _line(
            *(_fact(name, number(many), RED) for name, many in sorted(named.items())),
        )
    silent = _fact(
        "silent locations",
        number(stock.locations_silent),
        _above(stock.locations_silent, 0, YELLOW),
    )
    longest = sorted(stock.silent_s.items(), key=lambda each: -each[1])[:NAMED_MAX]
    yield _line(silent, *(_fact(name, span(age_s), YELLOW) for name, age_s in longest))
    if left_out := stock.locations_left_out:
        names = (Text(visible(name), style=YELLOW) for name in left_out[:NAMED_MAX])
        yield _line(_fact("locations left out", number(len(left_out)), YELLOW), *names)
    if stock.channels_held:
        held = sorted(stock.channels_held.items())
        # One that froze by itself waits for an operator.
        facts = (
            _fact(name, visible(how), RED if how.endswith("breaker") else YELLOW)
            for name, how in held[:NAMED_MAX]
        )
        yield _line(_fact("channels held", number(len(held))), *facts)


def _ads(found: figures.BoardFigures) -> Iterator[Text]:
    paused = found.stock.ads_paused
    total = sum(paused.values()) if paused else None
    yield _line(
        _fact("paused", number(total)),
        *(_fact(rule, number(many)) for rule, many in sorted(paused.items())),
    )


def _trouble(found: figures.BoardFigures) -> Iterator[Text]:
    trouble = found.trouble
    asked = sum(trouble.retries_per_s.values())
    yield _line(
        _fact("rewinds", rate(trouble.rewinds_per_s), _above(trouble.rewinds_per_s)),
        _fact("recoveries", rate(trouble.recoveries_per_s), _above(trouble.recoveries_per_s)),
        _fact("refused", rate(trouble.refused_per_s), _above(trouble.refused_per_s, 0, YELLOW)),
        _fact("asked again", rate(asked), _above(asked)),
        *(_fact(name, rate(value), RED) for name, value in sorted(trouble.retries_per_s.items())),
    )


def _redis(verbs: Mapping[str, rates.Verb]) -> Iterator[Text]:
    facts = [
        _fact(name, f"{rate(verb.calls_per_s)} p99 {span(verb.p99_s)}", _age(verb.p99_s))
        for name, verb in verbs.items()
    ]
    for n in range(0, max(1, len(facts)), 3):
        yield _line(*facts[n : n + 3]) if facts else Text("no calls", style=FAINT)


def _processes(found: figures.BoardFigures) -> Iterator[Text]:
    for process in found.processes:
        yield _line(
            Text(visible(process.address)),
            Text(_flows(process)),
            _fact("CPU", share(process.cpu)),
            _fact("memory", size(process.memory_bytes)),
            _fact("for", span(process.running_s)),
            Text(visible(process.version), style=FAINT),
        )
    for address in found.silent:
        yield Text(f"{visible(address)}   no answer", style=RED)


def _flows(process: figures.Process) -> str:
    return "+".join(process.flows) or NOTHING


def nothing_answers(addresses: Sequence[str]) -> str:
    """Say that no Penstock serves metrics at any of these, and what to look at."""
    where = addresses[0] if len(addresses) == 1 else f"{addresses[0]} to {addresses[-1]}"
    return (
        f"no Penstock answers at {where}; is `penstock run` running, and PENSTOCK_METRICS set "
        "alike for it and for this command?"
    )


def rate(value: float | None) -> str:
    """Show a rate: `1,990/s`."""
    if value is None:
        return NOTHING
    return f"{value:,.0f}/s" if value >= 100 or value == 0 else f"{value:,.1f}/s"  # noqa: PLR2004 - digits


def span(seconds: float | None) -> str:
    """Show a time: `4.1 ms`, `1.2 s`, `3 min`, `2.5 h`."""
    if seconds is None:
        return NOTHING
    for below_s, scale, unit in ((0.9995, 1000, "ms"), (120, 1, "s"), (7200, 1 / 60, "min")):
        if seconds < below_s:
            value = seconds * scale
            return f"{value:.1f} {unit}" if 0 < value < 10 else f"{value:.0f} {unit}"  # noqa: PLR2004 - digits
    return f"{seconds / 3600:.1f} h"


def number(value: int | None) -> str:
    """Show a count."""
    return NOTHING if value is None else f"{value:,}"


def share(value: float | None) -> str:
    """Show a share of one."""
    return NOTHING if value is None else f"{value:.0%}"


def size(value: int | None) -> str:
    """Show bytes."""
    return NOTHING if value is None else f"{value / (1 << 20):,.0f} MiB"


def _fact(name: str, value: str, style: str = "") -> Text:
    return Text.assemble((f"{visible(name)} ", FAINT), (value, style))


def _line(*parts: Text) -> Text:
    return Text("   ").join(parts)


def _age(seconds: float | None) -> str:
    if seconds is None or seconds < LATE_S:
        return ""
    return YELLOW if seconds < LONG_S else RED


def _above(value: float | None, good: float = 0, style: str = RED) -> str:
    return style if value is not None and value > good else ""
