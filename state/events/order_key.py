"""The key of an order: its channel and its number, in one text."""

_ORDER = "order "
_UNIT = "\x1f"


def order_key(channel: str, order: str) -> str:
    """Return how an order is named where a hold speaks of it."""
    return f"{channel}{_UNIT}{order}"


def ordered_by(order: str) -> str:
    """Return how a hold ended that an order, named by `order_key`, used up."""
    return _ORDER + order
