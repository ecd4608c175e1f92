"""The key of an order: its channel and its number, in one text."""

from typing import Final

BY_ORDER: Final = "order "
"""How the text of an ending begins when an order used the hold up."""
US: Final = "\x1f"
"""Unit separator, between the parts of a text: no id may hold a control character."""


def order_key(channel: str, order: str) -> str:
    """Return how an order is named where a hold speaks of it."""
    return f"{channel}{US}{order}"


def parts(text: str) -> tuple[str, ...]:
    """Return channel and number of an order key; a text that names no order is one part."""
    return tuple(text.split(US))


def ordered_by(order: str) -> str:
    """Return how a hold ended that an order, named by `order_key`, used up."""
    return BY_ORDER + order
