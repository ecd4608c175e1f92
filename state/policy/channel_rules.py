"""What a channel's rules are for one SKU: those of the channel, overridden where an override matches.

Overrides are gone through in the order of the file, field by field, and the last one that names a field wins:
one that sets a cap leaves the buffer of an earlier one.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from state.policy.categories import matcher
from state.policy.compiled import MEMO_MAX, Compiled
from state.policy.document import Channel, ChannelOverride


class Rules(NamedTuple):
    """Steps 4 to 6 of a level, for one channel and SKU."""

    share_bp: int
    buffer_units: int
    risk_ppm: int
    """The buffer is by risk if this is above 0, and `buffer_units` is 0."""
    cutoff: int
    cap: int
    """In packs where the channel sells packs."""
    pack: int
    """Units in what the channel sells as one."""


class ChannelRules:
    """The rules of all channels of a policy, shadow ones too, in its order."""

    def __init__(self, compiled: Compiled) -> None:
        policy = compiled.policy
        self._at = {channel.id: at for at, channel in enumerate(policy.channels)}
        self._own = tuple(_own(channel) for channel in policy.channels)
        self._matches: list[tuple[Callable[[str], object], int, ChannelOverride | int]] = []
        for override in policy.channel_overrides:
            names_channel = matcher(override.channel)
            names_sku = compiled.categories.matcher(override.sku, override.category)
            self._matches += [
                (names_sku, at, override)
                for at, channel in enumerate(policy.channels)
                if names_channel(channel.id) is not None
            ]
        for at, channel in enumerate(policy.channels):
            self._matches += [(matcher(pack.sku), at, pack.units) for pack in channel.packs]
        self.one_for_all = not self._matches
        """No rule distinguishes SKUs."""
        self._by_match: dict[tuple[int, ...], tuple[Rules, ...]] = {}
        self._by_sku: dict[str, tuple[Rules, ...]] = {}

    def of(self, sku: str) -> tuple[Rules, ...]:
        """Return the rules of each channel for a SKU; equal ones are the same object."""
        if self.one_for_all:
            return self._own
        found = self._by_sku.get(sku)
        if found is None:
            if len(self._by_sku) >= MEMO_MAX:
                self._by_sku.clear()
            found = self._by_sku[sku] = self._find(sku)
        return found

    def of_channel(self, sku: str, channel: str) -> Rules:
        """Return the rules of one channel for a SKU.

        Raises:
            KeyError: the policy does not list the channel.
        """
        return self.of(sku)[self._at[channel]]

    def _find(self, sku: str) -> tuple[Rules, ...]:
        matching = tuple(i for i, (matches, _, _) in enumerate(self._matches) if _is(matches(sku)))
        found = self._by_match.get(matching)
        if found is None:
            rows = list(self._own)
            for i in matching:
                _, at, change = self._matches[i]
                if isinstance(change, int):
                    rows[at] = rows[at]._replace(pack=change)
                else:
                    rows[at] = _overridden(rows[at], change)
            found = self._by_match[matching] = tuple(rows)
        return found


@lru_cache(maxsize=8)
def channel_rules(compiled: Compiled) -> ChannelRules:
    """Return the rules of a policy's channels, the same object for the same policy."""
    return ChannelRules(compiled)


def goes_by_lag(compiled: Compiled) -> bool:
    """Say whether any buffer may be by risk, so that push lags matter."""
    policy = compiled.policy
    by_channel = any(channel.buffer_risk_ppm for channel in policy.channels)
    return by_channel or any(override.buffer_risk_ppm for override in policy.channel_overrides)


def _own(channel: Channel) -> Rules:
    risk_ppm = channel.buffer_risk_ppm or 0
    units = 0 if risk_ppm else channel.buffer_units
    return Rules(channel.share_bp, units, risk_ppm, channel.cutoff, channel.cap, 1)


def _overridden(rules: Rules, override: ChannelOverride) -> Rules:
    named = {
        name: value
        for name in ("share_bp", "cutoff", "cap")
        if (value := getattr(override, name)) is not None
    }
    if override.buffer_risk_ppm is not None:
        named |= {"buffer_units": 0, "risk_ppm": override.buffer_risk_ppm}
    elif override.buffer_units is not None:
        named |= {"buffer_units": override.buffer_units, "risk_ppm": 0}
    return rules._replace(**named)


def _is(answer: object) -> bool:
    """Distinguish a match, or True, from None and False."""
    return bool(answer)
