"""All rules, and what each suite draws from them."""

from typing import TypeVar

from tests.rules import (
    events,
    holds,
    orders,
    policies,
    protections,
    publishing,
    recovery,
    watermarks,
)
from tests.rules.means import Means, Rule

RULES: tuple[Rule, ...] = (
    *watermarks.RULES,
    *events.RULES,
    *publishing.RULES,
    *recovery.RULES,
    *policies.RULES,
    *orders.RULES,
    *holds.RULES,
    *protections.RULES,
)

Kind = TypeVar("Kind", bound=Means)


def taken_out(kind: type[Kind]) -> tuple[tuple[Rule, Kind], ...]:
    """Return the rules that a suite takes out, in their order, each with its means there."""
    return tuple((rule, means) for rule in RULES for means in rule.means if isinstance(means, kind))


def by_id(kind: type[Kind]) -> dict[str, Kind]:
    """Return the means of a suite by the id of the rule that they take out."""
    return {rule.id: means for rule, means in taken_out(kind)}
