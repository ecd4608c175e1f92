"""What a new policy may do to the levels of a SKU, derived from the two policies alone.

Levels that fall are pressing, for what they showed is not there any more; the others can wait. Nothing but that
order depends on the answer, and where the policies do not show it, a level may fall.
"""

from state.policy.channel_rules import Rules, channel_rules
from state.policy.compiled import Compiled
from state.policy.document import Channel
from state.policy.sums_digest import layout_digest
from state.rules.level_rules import may_lower


class PolicyChange:
    """The step from one policy to the next."""

    def __init__(self, before: Compiled, after: Compiled) -> None:
        """Compare what does not depend on the SKU."""
        self._before, self._after = channel_rules(before), channel_rules(after)
        self._campaigns = before.campaigns, after.campaigns
        self.any_may_fall = (
            layout_digest(before.policy) != layout_digest(after.policy)
            or after.policy.network_threshold > before.policy.network_threshold
        )
        """Every level may, whatever the SKU."""
        at = {channel.id: i for i, channel in enumerate(after.policy.channels)}
        self._shown: list[tuple[int, int, bool]] = []
        for i, channel in enumerate(before.policy.channels):
            if channel.mode == "shadow":
                continue
            other = after.channels.get(channel.id)
            if other is not None and other.mode == "frozen":
                continue
            if other is None or _narrows(before, after, channel, other):
                self.any_may_fall = True
            else:
                self._shown.append((i, at[channel.id], other.push_lag_ms > channel.push_lag_ms))
        self._known: dict[tuple[tuple[Rules, ...], tuple[Rules, ...]], bool] = {}

    @property
    def none_may_fall(self) -> bool:
        """Whether no level of any SKU may fall, decided without reading SKUs."""
        same_campaigns = self._campaigns[0] == self._campaigns[1]
        return same_campaigns and self._is_for_all and not self.may_fall("")

    @property
    def all_may_fall(self) -> bool:
        """Whether a level of every SKU may fall, decided without reading SKUs."""
        return self.any_may_fall or (self._is_for_all and self.may_fall(""))

    @property
    def _is_for_all(self) -> bool:
        return self._before.one_for_all and self._after.one_for_all

    def may_fall(self, sku: str) -> bool:
        """Say whether a level of a SKU may fall by it."""
        if self.any_may_fall:
            return True
        was, now = self._campaigns
        if was.get(sku) != now.get(sku):
            return True
        rules = self._before.of(sku), self._after.of(sku)
        found = self._known.get(rules)
        if found is None:
            found = self._known[rules] = any(
                may_lower(rules[0][i], rules[1][j], is_slower=is_slower)
                for i, j, is_slower in self._shown
            )
        return found


def _narrows(before: Compiled, after: Compiled, was: Channel, now: Channel) -> bool:
    """Say whether a channel may show less of every SKU, apart from its figures."""
    if was.mode not in {now.mode, "zero"}:
        return True
    kept = {after.classes[index] for index in after.eligible(now.id)}
    return not kept.issuperset(before.classes[index] for index in before.eligible(was.id))
