"""The level of one channel, rule by rule: the same as `state.rules.levels.derive`, in as many steps as there are rules.

For people, not for the hot path. The effects add up to the level: a test holds the two together.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from state.demand.velocity import day_number, velocity_of
from state.policy.channel_rules import channel_rules
from state.policy.compiled import Compiled
from state.policy.document import NO_CAP, Channel
from state.rules.levels import NO_LAGS, Figures
from state.rules.risk_buffer import risk_buffer

WHOLE_BP = 10_000


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
    after = (
        *_taken(compiled, figures, sku, channel, business_ms),
        *_shaped(compiled, sku, found, business_ms, demand, lags),
        *_held_by_mode(found, last or {}),
    )
    for rule, change, said in after:
        result = change.on(left)
        made.append(Step(rule, result - left, result, said))
        left = result
    return tuple(made)


class _Change(NamedTuple):
    """What a rule does with the units before it; the fields that are set are applied in their order."""

    minus: int = 0
    share_bp: int = WHOLE_BP
    cutoff: int | None = None
    pack: int = 1
    at_most: int | None = None
    to: int | None = None

    def on(self, units: int) -> int:
        if self.to is not None:
            return self.to
        if self.cutoff is not None:
            return 0 if units <= self.cutoff else units
        result = (units - self.minus) * self.share_bp // WHOLE_BP // self.pack
        return result if self.at_most is None else min(result, self.at_most)


_Rule = tuple[str, _Change, str]


def _taken(
    compiled: Compiled, figures: Figures, sku: str, channel: str, business_ms: int
) -> Iterator[_Rule]:
    """Yield what is kept for others: steps 2 and 3 of a level."""
    if figures.unrouted:
        yield "unrouted", _Change(minus=figures.unrouted), "ordered and not yet bound to a location"
    if figures.held:
        yield "held", _Change(minus=figures.held), "held for checkouts"
    threshold = compiled.policy.network_threshold
    if threshold:
        yield "network_threshold", _Change(minus=threshold), f"{threshold} that no channel may show"
    for campaign in compiled.policy.campaigns:
        runs = campaign.start_ms <= business_ms < campaign.end_ms
        if runs and campaign.sku == sku and campaign.channel != channel:
            said = f"{campaign.id} locks {campaign.lock} for {campaign.channel}"
            yield "campaign", _Change(minus=campaign.lock), said


def _shaped(
    compiled: Compiled,
    sku: str,
    channel: Channel,
    business_ms: int,
    demand: Iterable[tuple[int, int]],
    lags: Mapping[str, int],
) -> Iterator[_Rule]:
    """Yield what the channel's rules for the SKU make of it: steps 4 to 6."""
    rules = channel_rules(compiled).of_channel(sku, channel.id)
    if rules.share_bp != WHOLE_BP:
        yield "share", _Change(share_bp=rules.share_bp), f"{rules.share_bp} of {WHOLE_BP}"
    if rules.risk_ppm:
        lag_ms = lags.get(channel.id, channel.push_lag_ms)
        velocity_mpd = velocity_of(demand, day_number(business_ms))
        units = risk_buffer(velocity_mpd, lag_ms, rules.risk_ppm)
        said = (
            f"{units}: more sell with a chance of at most {rules.risk_ppm / 1_000_000:g} "
            f"within {lag_ms / 1_000:g} s, at {velocity_mpd / 1_000:g} a day"
        )
        yield "buffer", _Change(minus=units), said
    elif rules.buffer_units:
        yield "buffer", _Change(minus=rules.buffer_units), f"{rules.buffer_units} held back"
    yield "cutoff", _Change(cutoff=rules.cutoff), f"nothing at {rules.cutoff} or less"
    if rules.pack != 1:
        yield "pack", _Change(pack=rules.pack), f"in packs of {rules.pack}"
    if rules.cap != NO_CAP:
        yield "cap", _Change(at_most=rules.cap), f"at most {rules.cap}"


def _held_by_mode(channel: Channel, last: Mapping[str, int]) -> Iterator[_Rule]:
    if channel.mode == "zero":
        yield "zero", _Change(to=0), "the channel is set to show nothing"
    elif channel.mode == "frozen" and channel.id in last:
        kept = last[channel.id]
        yield "frozen", _Change(to=kept), f"the channel keeps the {kept} emitted last"
