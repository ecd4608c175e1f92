"""The rules that shape a level, each one value: what it does, its words, and whether a change may lower a level.

In the order in which they work: steps 4 to 6 of `state.rules.levels`. `derive` there is the same compiled for the hot
path; property tests hold the two together.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from state.policy.channel_rules import Rules
from state.policy.document import NO_CAP
from state.rules.risk_buffer import risk_buffer

WHOLE_BP: Final = 10_000


class Shaping(NamedTuple):
    """What the rules of one channel and SKU work with."""

    rules: Rules
    lag_ms: int
    """The time (ms) in which a level reaches the channel."""
    velocity_mpd: int
    """Thousandths of a unit sold a day; 0 where no rule goes by risk."""

    @property
    def buffer(self) -> int:
        """Units held back: a number, or by the risk that more sell before the channel knows."""
        if not self.rules.risk_ppm:
            return self.rules.buffer_units
        return risk_buffer(self.velocity_mpd, self.lag_ms, self.rules.risk_ppm)


class LevelRule(NamedTuple):
    """One rule."""

    name: str
    is_set: Callable[[Rules], bool]
    """Whether it does anything; the cut-off always does, for at 0 it ends what is below."""
    apply: Callable[[int, Shaping], int]
    """What is left of the units that the rules before it left."""
    words: Callable[[Shaping], str]
    """Its figure."""
    may_lower: Callable[[Rules, Rules, bool], bool]
    """Whether the second rules may make a level lower than the first; the flag: levels take longer to arrive now."""


def _buffer_words(shaping: Shaping) -> str:
    if not shaping.rules.risk_ppm:
        return f"{shaping.buffer} held back"
    return (
        f"{shaping.buffer}: more sell with a chance of at most {shaping.rules.risk_ppm / 1_000_000:g} "
        f"within {shaping.lag_ms / 1_000:g} s, at {shaping.velocity_mpd / 1_000:g} a day"
    )


def _buffer_may_lower(was: Rules, now: Rules, is_slower: bool) -> bool:  # noqa: FBT001 - a column of the table
    if was.risk_ppm or now.risk_ppm:
        by_risk = was.risk_ppm and now.risk_ppm and not is_slower
        nothing_held = not now.risk_ppm and now.buffer_units == 0
        return not nothing_held and not (by_risk and now.risk_ppm >= was.risk_ppm)
    return was.buffer_units < now.buffer_units


LEVEL_RULES: Final = (
    LevelRule(
        "share",
        is_set=lambda rules: rules.share_bp != WHOLE_BP,
        apply=lambda units, shaping: units * shaping.rules.share_bp // WHOLE_BP,
        words=lambda shaping: f"{shaping.rules.share_bp} of {WHOLE_BP}",
        may_lower=lambda was, now, _: was.share_bp > now.share_bp,
    ),
    LevelRule(
        "buffer",
        is_set=lambda rules: bool(rules.risk_ppm or rules.buffer_units),
        apply=lambda units, shaping: units - shaping.buffer,
        words=_buffer_words,
        may_lower=_buffer_may_lower,
    ),
    LevelRule(
        "cutoff",
        is_set=lambda _: True,
        apply=lambda units, shaping: 0 if units <= shaping.rules.cutoff else units,
        words=lambda shaping: f"nothing at {shaping.rules.cutoff} or less",
        may_lower=lambda was, now, _: was.cutoff < now.cutoff,
    ),
    LevelRule(
        "pack",
        is_set=lambda rules: rules.pack != 1,
        apply=lambda units, shaping: units // shaping.rules.pack,
        words=lambda shaping: f"in packs of {shaping.rules.pack}",
        may_lower=lambda was, now, _: was.pack != now.pack,
    ),
    LevelRule(
        "cap",
        is_set=lambda rules: rules.cap != NO_CAP,
        apply=lambda units, shaping: min(units, shaping.rules.cap),
        words=lambda shaping: f"at most {shaping.rules.cap}",
        may_lower=lambda was, now, _: was.cap > now.cap,
    ),
)


def may_lower(was: Rules, now: Rules, *, is_slower: bool) -> bool:
    """Say whether any rule may lower a level when `now` comes after `was`."""
    return any(rule.may_lower(was, now, is_slower) for rule in LEVEL_RULES)
