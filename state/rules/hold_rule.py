"""What a channel may sell of the pool at one moment: the first steps of its level, for a hold to be checked by.

Cap, packs and the *risk* buffer are left out: a cap is about what is shown, and that buffer guards against
the time in which others push levels, which a hold does not have. `shadow` and `frozen` channels hold as a
live one would: the till must go on.
"""

from state.policy.channel_rules import channel_rules
from state.policy.compiled import Compiled
from state.protocol.holds import PoolRule


def pool_rule(compiled: Compiled, sku: str, channel: str, business_ms: int) -> PoolRule | None:
    """Return the rule of a listed channel for a SKU, None when it sells nothing (mode `zero`).

    Raises:
        KeyError: the policy does not list the channel.
    """
    found = compiled.channels[channel]
    if found.mode == "zero":
        return None
    kept = compiled.policy.network_threshold
    for campaign in compiled.campaigns.get(sku, ()):
        if campaign.channel != channel and campaign.runs_at(business_ms):
            kept += campaign.lock
    rules = channel_rules(compiled).of_channel(sku, channel)
    return PoolRule(
        kept, rules.share_bp, rules.buffer_units, rules.cutoff, compiled.eligible(channel)
    )
