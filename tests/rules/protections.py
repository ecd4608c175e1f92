"""What a configuration guards against on the morning of a go-live."""

from typing import Any

from tests.rules.means import Rule, Unprotected


def without_gate(document: dict[str, Any]) -> None:
    """Every channel shows what was never counted."""
    for channel in document["channels"]:
        channel.pop("opening", None)


def without_breaker(document: dict[str, Any]) -> None:
    """A channel goes on, however much of it falls to zero at once."""
    document["policies"].pop("zero_guard_pct", None)


def without_shrink(document: dict[str, Any]) -> None:
    """A supplier's figures are taken, however much they take away."""
    for location in document["locations"]:
        location.pop("shrink_guard_pct", None)


def without_silence(document: dict[str, Any]) -> None:
    """Stock of a silent shop stays on offer."""
    for location in document["locations"]:
        location.pop("silent_after_s", None)
        location.pop("hours", None)


RULES = (
    Rule(
        "gate",
        "a SKU has no level in a channel before each of its locations was counted",
        ("go-live.md#nothing-is-shown-that-was-not-counted",),
        (Unprotected(without_gate),),
    ),
    Rule(
        "breaker",
        "a channel is frozen before too much of it falls to zero at once",
        ("go-live.md#the-breaker",),
        (Unprotected(without_breaker),),
    ),
    Rule(
        "shrink",
        "a supplier's figures that take too much away at once are held back",
        ("messages.md#supplierstock",),
        (Unprotected(without_shrink),),
    ),
    Rule(
        "silence",
        "stock of a silent shop is left out until it speaks again",
        ("go-live.md#silent-shops",),
        (Unprotected(without_silence),),
    ),
)
