"""The policy compiled for the hot path: what the rules ask most, answered by a look-up."""

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

from state.policy.categories import Membership, matcher
from state.policy.document import UNLISTED, Campaign, Channel, Location, Policy, Source, Terms

MEMO_MAX = 1 << 17
_WILD = re.compile(r"[*?\[]")


class _Override(NamedTuple):
    """A floor override with its patterns compiled."""

    matches_sku: Callable[[str], bool]
    matches_location: Callable[[str], object]
    floor: int


class Compiled:
    """A policy made ready for millions of questions. Build it with `compiled`."""

    def __init__(self, policy: Policy) -> None:
        """Work out every class that can occur, and which channels may sell from it."""
        self.policy = policy
        self.locations = {location.id: location for location in policy.locations}
        self.channels = {channel.id: channel for channel in policy.channels}
        shown = {channel.id for channel in policy.channels if channel.mode != "shadow"}
        self.ads = tuple(rule for rule in policy.ads if rule.channel in shown)
        self.guarded: dict[str, int] = {
            location.id: location.shrink_guard_pct
            for location in policy.locations
            if location.shrink_guard_pct is not None
        }
        """Location -> share of its stock (%) that the figures of its supplier may take away at once."""
        self.campaigns: dict[str, tuple[Campaign, ...]] = {}
        """SKU -> its campaigns, in the policy's order."""
        for campaign in policy.campaigns:
            others = self.campaigns.get(campaign.sku, ())
            self.campaigns[campaign.sku] = (*others, campaign)
        self._sources = sorted(policy.sources, key=lambda source: -len(source.prefix))
        self.categories = Membership(policy.categories)
        self._overrides = tuple(
            _Override(
                self.categories.matcher(override.sku, override.category),
                matcher(override.location),
                override.floor,
            )
            for override in reversed(policy.overrides)
        )
        self._excluded_by: dict[str, tuple[str, ...]] = {}
        for channel in sorted(policy.channels, key=lambda channel: channel.id):
            for location_id in dict.fromkeys(channel.exclude):
                known = self._excluded_by.get(location_id, ())
                self._excluded_by[location_id] = (*known, channel.id)
        members = dict(self._members())
        self.classes: tuple[str, ...] = tuple(sorted(members))
        self._eligible = {
            channel.id: tuple(
                index
                for index, name in enumerate(self.classes)
                if self._may_sell(channel, members[name])
            )
            for channel in policy.channels
        }
        self._by_location: dict[str, Terms] = {}
        self._by_sku: dict[tuple[str, str], Terms] = {}

    def knows_location(self, location: str) -> bool:
        """Say whether events may name this location: it is listed, or unknown ones are created."""
        return location in self.locations or self.policy.unknown.location == "create"

    def knows_channel(self, channel: str) -> bool:
        """Say whether orders may name this channel.

        An unlisted one, where `unknown.channel` is `create`, may place orders and gets no level.
        """
        return channel in self.channels or self.policy.unknown.channel == "create"

    def nets_orders(self, location: str) -> bool:
        """Say whether the figures of a location's supplier are less what is ordered already."""
        where = self.locations.get(location)
        return where is not None and where.supplier_nets_orders

    def source(self, source: str) -> Source | None:
        """Return the entry with the longest prefix of a CloudEvents source."""
        for entry in self._sources:
            if source.startswith(entry.prefix):
                return entry
        return None

    def eligible(self, channel: str) -> tuple[int, ...]:
        """Return the indexes into `classes` of the stock that a listed channel may sell.

        Raises:
            KeyError: the policy does not list the channel.
        """
        return self._eligible[channel]

    def locate(self, sku: str, location: str) -> Terms:
        """Return `(location, class, floor, base)` of a position.

        `floor` is in units. `base` is 1 when the stock counts for `available`, 0 for `platform` and
        unlisted locations.
        """
        return (
            self._by_location.get(location)
            or self._by_sku.get((sku, location))
            or self._find(sku, location)
        )

    def kind_of(self, sku: str) -> tuple[bool, ...]:
        """Return what distinguishes SKUs: those with equal answers have the same terms at every location."""
        return tuple(override.matches_sku(sku) for override in self._overrides)

    def sellable_from(self, channel: str) -> tuple[str, ...]:
        """Return the listed locations that a listed channel may sell from, in the policy's order."""
        rules = self.channels[channel]
        return tuple(each.id for each in self.locations.values() if self._may_sell(rules, each))

    def all_terms(self, sku: str) -> list[Terms]:
        """Return the terms of a SKU at every listed location, in the policy's order."""
        return [self.locate(sku, location) for location in self.locations]

    def _find(self, sku: str, location: str) -> Terms:
        if len(self._by_location) + len(self._by_sku) >= MEMO_MAX:
            self._by_location.clear()
            self._by_sku.clear()
        where = self.locations.get(location)
        if where is None:
            if self.policy.unknown.location == "reject":
                self._by_location[location] = unlisted = (location, UNLISTED, 0, 0)
                return unlisted
            where = Location(location, "store")
        overrides = [o for o in self._overrides if o.matches_location(location)]
        floor = next((o.floor for o in overrides if o.matches_sku(sku)), self._floor(where))
        found = (location, self._class(where, floor), floor, int(where.kind != "platform"))
        if overrides:
            self._by_sku[sku, location] = found
        else:
            self._by_location[location] = found
        return found

    def _floor(self, location: Location) -> int:
        floor: int = getattr(self.policy.floors, location.kind)
        return floor

    def _class(self, location: Location, floor: int) -> str:
        """Name a class readably: `store:north:1`, `store:n:0:-shopee`, `platform::0:@pchome`."""
        name = f"{location.kind}:{_escape(location.region)}:{floor}"
        if location.kind == "platform":
            name += f":@{_escape(location.channel)}"
        for channel in self._excluded_by.get(location.id, ()):
            name += f":-{_escape(channel)}"
        return name

    def _members(self) -> Iterator[tuple[str, Location | None]]:
        """Yield every class that can occur, each with one location that stands for the others."""
        for location in self.locations.values():
            yield from self._classes_of(location)
        if self.policy.unknown.location == "reject":
            yield UNLISTED, None
            return
        named = {*self._excluded_by, *(override.location for override in self.policy.overrides)}
        for location_id in named - self.locations.keys():
            yield from self._classes_of(Location(location_id, "store"))
        nobody = Location("", "store")
        yield self._class(nobody, self._floor(nobody)), nobody
        for override in self.policy.overrides:
            if _WILD.search(override.location):
                yield self._class(nobody, override.floor), nobody

    def _classes_of(self, location: Location) -> Iterator[tuple[str, Location]]:
        yield self._class(location, self._floor(location)), location
        for override in self._overrides:
            if override.matches_location(location.id):
                yield self._class(location, override.floor), location

    def _may_sell(self, channel: Channel, location: Location | None) -> bool:
        if location is None or location.id in channel.exclude:
            return False
        if location.kind == "platform":
            return location.channel == channel.id
        in_region = channel.regions is None or location.region in channel.regions
        return location.kind in channel.kinds and in_region


@lru_cache(maxsize=8)
def compiled(policy: Policy) -> Compiled:
    """Return the compiled form of a policy, the same object for equal policies."""
    return Compiled(policy)


def _escape(part: str) -> str:
    """Keep the colons of an id apart from those of the class name."""
    return part.replace("%", "%25").replace(":", "%3A")
