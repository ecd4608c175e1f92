"""`penstock explain`: why a channel may show what it shows, as a bill with a sum at its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from flows.cli import explain_text, output, progress
from flows.cli.command import Json, command
from flows.runtime import context, exit_codes, policy_follower, session
from flows.services.queries import explain_report
from state.protocol.figures import SkuState

app = typer.Typer(add_completion=False)

EVENTS: Final = 10
FINDINGS_SHOWN: Final = 50


@app.command()
@command("explain")
def explain(
    sku: Annotated[str | None, typer.Argument(metavar="SKU")] = None,
    *,
    channel: Annotated[
        str | None, typer.Option(help="Which level. Default: all of the SKU, in short.")
    ] = None,
    limit: Annotated[
        int, typer.Option(min=0, max=10_000, help="So many of the last events that touched it.")
    ] = EVENTS,
    every: Annotated[
        bool,
        typer.Option(
            "--all", help="Check every level of the store; list those that do not add up."
        ),
    ] = False,
    as_json: Json = False,
) -> int:
    """Explain why a channel may show what it shows: locations, rules, promises; exit 1 if they do not add up.

    Examples: `penstock explain A1 --channel shopee`, `penstock explain A1`, `penstock explain --all`
    """
    if (sku is None) != every or (every and channel is not None):
        output.fault("explain", "expected a SKU, perhaps with --channel, or --all alone")
        return exit_codes.USAGE
    with session.reached() as run:
        policy_follower.follow_policy(run)
        if sku is None:
            return _store(run, as_json=as_json)
        state = run.store.read(sku)
        if state is None:
            output.fault("explain", f"sku: expected one that the store knows, got {sku!r}")
            return exit_codes.FINDING
        if channel is None:
            return _sku(run, state, as_json=as_json)
        channels = run.policy.compiled.channels
        if channel not in channels:
            names = ", ".join(channels) or "no channel at all"
            output.fault("explain", f"--channel: expected one of {names}, got {channel!r}")
            return exit_codes.USAGE
        return _level(run, state, channel, limit, as_json=as_json)


def _store(run: context.Runtime, *, as_json: bool) -> int:
    skus = sorted(set(run.store.skus()))
    with progress.bar("explain", len(skus)) as advance:
        report = explain_report.store_report(run, skus, advance)
    findings = report.findings
    explained = report.pairs - len(findings)
    if output.wants_json(asked=as_json):
        for finding in findings:
            output.json_line(finding._asdict())
        output.json_line({"pairs": report.pairs, "explained": explained})
    else:
        for finding in findings[:FINDINGS_SHOWN]:
            output.line(f"{finding.sku} on {finding.channel}: {'; '.join(finding.findings)}")
        if len(findings) > FINDINGS_SHOWN:
            output.line(f"and {len(findings) - FINDINGS_SHOWN} more; all of them with --json")
        output.line(f"explained={explained}/{report.pairs}")
    return exit_codes.FINDING if findings else exit_codes.OK


def _sku(run: context.Runtime, state: SkuState, *, as_json: bool) -> int:
    rows = explain_report.sku_report(run, state)
    findings = [f"{row.channel}: {text}" for row in rows for text in row.findings]
    if output.wants_json(asked=as_json):
        channels = [
            {
                "channel": row.channel,
                "mode": row.mode,
                "steps": row.effects,
                "level": row.level,
                "emitted": row.emitted,
                "apart": row.apart,
            }
            for row in rows
        ]
        output.json_line({"sku": state.sku, "channels": channels, "findings": findings})
    else:
        columns = ("channel", "mode", "why", "level", "emitted")
        cells = [(r.channel, r.mode, _sum(r.effects), r.level, r.emitted) for r in rows]
        output.table(f"{state.sku}: what its channels may show", columns, cells)
        _print_findings(findings)
    return exit_codes.FINDING if findings else exit_codes.OK


def _sum(effects: dict[str, int]) -> str:
    first, *rest = effects.items()
    return " ".join([f"{first[0]} {first[1]}", *(f"{e:+} {rule}" for rule, e in rest if e)])


def _level(
    run: context.Runtime, state: SkuState, channel: str, limit: int, *, as_json: bool
) -> int:
    report = explain_report.level_report(run, state, channel, limit)
    findings = report.explanation.findings
    if output.wants_json(asked=as_json):
        mode = run.policy.compiled.channels[channel].mode
        output.json_line(_level_json(report, channel, mode))
    else:
        explain_text.print_bill(report.explanation, report.emitted, report.last_update)
        explain_text.print_promises(state, report.holds, report.orders)
        explain_text.print_events(report.touches, state)
        _print_findings(findings)
    return exit_codes.FINDING if findings else exit_codes.OK


def _level_json(report: explain_report.LevelReport, channel: str, mode: str) -> dict[str, Any]:
    state, explanation = report.state, report.explanation
    return {
        "sku": state.sku,
        "channel": channel,
        "mode": mode,
        "level": explanation.level,
        "locations": [location._asdict() for location in explanation.locations],
        "steps": [step._asdict() for step in explanation.steps],
        "held_by": [explain_text.hold_json(hold, state.sku) for hold in report.holds],
        "unrouted": state.unrouted,
        "unrouted_by": report.orders,
        "emitted": explain_text.emitted_json(report.emitted, report.last_update, channel),
        "events": [explain_text.event_json(touch, state) for touch in report.touches],
        "findings": explanation.findings,
    }


def _print_findings(findings: Sequence[str]) -> None:
    for text in findings:
        output.fault("explain", text)
