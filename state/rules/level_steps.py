"""The level of one channel, rule by rule: the same as `state.rules.levels.derive`, in as many steps as there are rules.

For people, not for the hot path. The effects add up to the level: a test holds the two together.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from state.demand.velocity import day_number, velocity_of
from state.policy.channel_rules import channel_rules
from state.policy.compiled import Compiled
from state.policy.document import Channel
from state.rules.level_rules import LEVEL_RULES, Shaping
from state.rules.levels import NO_LAGS, Figures


class Step(NamedTuple):
    """What one rule does to what the rules before it left."""

    rule: str
    """stock, unrouted, held, network_threshold, campaign, share, buffer, cutoff, pack, cap, zero or frozen."""
    effect: int
    """Units added, below 0 for those taken away."""
    result: int
    """Units left; packs from the step `pack` on."""
    said: str
    """The figure of the rule, in words."""


def steps(
    compiled: Compiled,
    figures: Figures,
    sku: str,
    channel: str,
    business_ms: int,
    last: Mapping[str, int] | None = None,
    demand: Iterable[tuple[int, int]] = (),
    lags: Mapping[str, int] = NO_LAGS,
) -> tuple[Step, ...]:
    """Return what each rule that is set does, in order; the last result is the level.

    The arguments are those of `derive`. A channel in the shadow gets the steps that it would have live.

    Raises:
        KeyError: the policy does not list the channel.
    """
    found = compiled.channels[channel]
    left = sum(figures.sums[index] for index in compiled.eligible(channel))
    made = [Step("stock", left, left, "what eligible locations have above their floors")]
    for rule, units, said in _taken(compiled, figures, sku, channel, business_ms):
        left -= units
        made.append(Step(rule, -units, left, said))
    shaping = _shaping(compiled, sku, found, business_ms, demand, lags)
    for each in LEVEL_RULES:
        if each.is_set(shaping.rules):
            result = each.apply(left, shaping)
            made.append(Step(each.name, result - left, result, each.words(shaping)))
            left = result
    for rule, level, said in _set_by_mode(found, last or {}):
        made.append(Step(rule, level - left, level, said))
    return tuple(made)


_Rule = tuple[str, int, str]


def _taken(
    compiled: Compiled, figures: Figures, sku: str, channel: str, business_ms: int
) -> Iterator[_Rule]:
    """Yield the units kept for others: steps 2 and 3 of a level."""
    if figures.unrouted:
        yield "unrouted", figures.unrouted, "ordered and not yet bound to a location"
    if figures.held:
        yield "held", figures.held, "held for checkouts"
    threshold = compiled.policy.network_threshold
    if threshold:
        yield "network_threshold", threshold, f"{threshold} that no channel may show"
    for campaign in compiled.campaigns.get(sku, ()):
        if campaign.channel != channel and campaign.runs_at(business_ms):
            said = f"{campaign.id} locks {campaign.lock} for {campaign.channel}"
            yield "campaign", campaign.lock, said


def _shaping(
    compiled: Compiled,
    sku: str,
    channel: Channel,
    business_ms: int,
    demand: Iterable[tuple[int, int]],
    lags: Mapping[str, int],
) -> Shaping:
    rules = channel_rules(compiled).of_channel(sku, channel.id)
    lag_ms = lags.get(channel.id, channel.push_lag_ms)
    velocity_mpd = velocity_of(demand, day_number(business_ms)) if rules.risk_ppm else 0
    return Shaping(rules, lag_ms, velocity_mpd)


def _set_by_mode(channel: Channel, last: Mapping[str, int]) -> Iterator[_Rule]:
    """Yield the level that the mode of the channel sets, if it does."""
    if channel.mode == "zero":
        yield "zero", 0, "the channel is set to show nothing"
    elif channel.mode == "frozen" and channel.id in last:
        kept = last[channel.id]
        yield "frozen", kept, f"the channel keeps the {kept} emitted last"
