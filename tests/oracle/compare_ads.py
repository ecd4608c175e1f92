"""Ad states compared: as stored, and as last signalled. No signal means active."""

from itertools import takewhile

import numpy as np

from tests.oracle.ads import cover, due_states, justifies
from tests.oracle.columns import Ints
from tests.oracle.compare import by_sku
from tests.oracle.expected import Expected
from tests.oracle.levels import ABSENT
from tests.oracle.policy import AdRule, Policy
from tests.oracle.snapshot import Snapshot
from tests.oracle.topics import Signal, Signals, Update, Updates
from tests.oracle.verdict import Check


def check_ads(
    expected: Expected,
    policy: Policy,
    snapshot: Snapshot,
    signals: Signals,
    updates: Updates | None,
) -> tuple[Check, Check]:
    """The checks ``ad_states`` (the store's) and ``signals`` (the topic's).

    Between the marks a level in `updates` has to call for the state. None = none has to: where a publisher may end
    before it settles, the next one repeats the state that the store has kept, whatever the level is by then.
    """
    states, said = Check("ad_states"), Check("signals")
    modes = {channel.id: channel.mode for channel in policy.channels}
    for rule in policy.ads:
        if modes[rule.channel] != "shadow":
            _check_rule(rule, expected, snapshot, signals, updates, modes, states, said)
    rules = {rule.rule for rule in policy.ads}
    known = set(expected.skus[: expected.known])
    for check, keys in ((states, snapshot.ads), (said, signals.by_key)):
        for rule_id, sku in keys:
            if rule_id not in rules or sku not in known:
                check.found(f"{rule_id} {sku}: expected none, got one")
    return states, said


def _check_rule(
    rule: AdRule,
    expected: Expected,
    snapshot: Snapshot,
    signals: Signals,
    updates: Updates | None,
    modes: dict[str, str],
    states: Check,
    said: Check,
) -> None:
    column = expected.channels.index(rule.channel)
    level = expected.levels[:, column]
    if modes[rule.channel] == "frozen":
        level = _stored_level(expected, snapshot, column)
    due = due_states(rule, level, cover(level, expected.velocity))
    for code in np.flatnonzero(expected.touched):
        sku = expected.skus[code]
        run = signals.by_key.get((rule.rule, sku), [])
        last = run[-1].state if run else "active"
        stored = snapshot.ads.get((rule.rule, sku), "active")
        want = "paused" if due.paused[code] else "active" if due.active[code] else last
        history = None if updates is None else updates.history
        emitted = None if history is None else history.get(sku, [])
        at = f"{rule.rule} {sku} at level {level[code]}"
        states.compared += 1
        said.compared += 1
        if stored != want:
            states.found(f"{at}: expected {want}, got {stored}")
        if last != want:
            said.found(f"{at}: expected {want}, got {last}")
        elif not (
            due.paused[code]
            or due.active[code]
            or updates is None
            or _is_justified(rule, run, emitted, column)
        ):
            said.found(f"{at}: {last} between the marks, but no emitted level calls for it")


def _stored_level(expected: Expected, snapshot: Snapshot, column: int) -> Ints:
    """A frozen channel's level is whatever it was: taken as given."""
    level: Ints = by_sku(snapshot.levels, len(expected.skus))[:, column]
    return level


def _is_justified(
    rule: AdRule, run: list[Signal], emitted: list[Update] | None, column: int
) -> bool:
    """Of the signals since the last change of state one has to rest on a level that was emitted.

    A state may be told again after a recovery, with the level of that moment. Without the whole
    topic (`emitted` is None) the signal's own figures have to do.
    """
    same = list(takewhile(lambda signal: signal.state == run[-1].state, reversed(run)))
    if len(same) == len(run) and (not run or run[-1].state == "active"):
        return True
    return any(
        justifies(rule, signal.state, signal.level, signal.days_of_cover)
        and (emitted is None or _level_emitted(signal, emitted, column) == signal.level)
        for signal in same
    )


def _level_emitted(signal: Signal, emitted: list[Update], column: int) -> int:
    """The level that consumers had when the signal came."""
    until = [update for update in emitted if update.version <= signal.version]
    return max(until, key=lambda update: update.version).levels[column] if until else ABSENT
