"""What the class sums of a store depend on: the part of a policy that sorts positions into classes.

Each SKU keeps one sum per class, made under the revision at which this part last changed: its
`sums_revision`. A policy that differs elsewhere only, say in a buffer, leaves all sums as they are.
"""

from hashlib import blake2b

import msgspec

from state.policy.document import Policy


def layout_digest(policy: Policy) -> str:
    """Return a digest that is equal for two policies if all places of all SKUs are.

    The classes are numbered in the order of their names, which these fields alone decide.
    """
    excluded: dict[str, list[str]] = {}
    for channel in sorted(policy.channels, key=lambda channel: channel.id):
        for location in dict.fromkeys(channel.exclude):
            excluded.setdefault(location, []).append(channel.id)
    named = {override.category for override in policy.overrides}
    parts = (
        policy.unknown.location,
        [(each.id, each.kind, each.region, each.channel) for each in policy.locations],
        policy.floors,
        policy.overrides,
        excluded,
        [each for each in policy.categories if each.id in named],
    )
    text = msgspec.json.encode(parts, order="deterministic")
    return blake2b(text, digest_size=16).hexdigest()
