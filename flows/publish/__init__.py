"""Publish: changed stock becomes levels for every channel, ad signals and alerts.

    claim -> decide -> guard -> emit -> settle

`flow`                the table of contents of the dataflow; `steps` are its steps
`claimer`             claims due SKUs from all shards, as the consumer of a claim loop
`circuit_breaker`     a channel of which too much would drop to zero freezes; `preflight` checks a new policy
`policy_rollout`      after a new policy, SKUs that may drop are republished first
`messages`            a decision rendered as messages
`publish_lag`         the age of the oldest unpublished change
"""

from importlib import import_module


def flow() -> object:
    """Return the dataflow for `python -m bytewax.run flows.publish:flow`, with the settings of the environment."""
    return import_module("flows.publish.flow").from_environment()
