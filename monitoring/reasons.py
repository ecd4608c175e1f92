"""From the full text of a rejection to one of a few classes, fit for a label."""

import re
from typing import Final

# How a rejection says that there was nothing to show; a text of the sender would be quoted.
_ABSENT: Final = ("nothing", "a tombstone")

# The first match wins. What stands after "got" came out of the message and is cut off before:
# no sender can choose the class by what he sends.
_CLASSES: Final = tuple(
    (name, re.compile(pattern, re.IGNORECASE), meaning)
    for name, pattern, meaning in (
        (
            "time_in_future",
            r"^time_in_future\b",
            "says that it happened more than 24 h after it was written to the log",
        ),
        (
            "supplier_shrink",
            r"^supplier_shrink\b",
            "has figures of a supplier that take too much away at once: held back until an operator accepts them",
        ),
        (
            "unknown_field",
            r"^([^' ]*: )?unknown field\b",
            "has a field that its type does not have, mostly a misspelt one",
        ),
        (
            "unknown_location",
            r"^[^' ]*: unknown location\b",
            "names a location that the configuration does not",
        ),
        (
            "unknown_channel",
            r"^[^' ]*: unknown channel\b",
            "names a channel that the configuration does not",
        ),
        (
            "unknown_sku",
            r"^[^' ]*: (no code|unknown sku)\b",
            "has a code that the table of its system does not",
        ),
        (
            "unknown_type",
            r"^type: (unknown type|expected one of)\b",
            "is of a type that Penstock does not know",
        ),
        (
            "tombstone",
            r"tombstone|^(value|message|payload): expected .*, got nothing$",
            "has no value",
        ),
        ("too_large", r"\bat most [\d_,]+ bytes", "is larger than 1 MiB"),
        ("not_utf8", r"\bUTF-?8\b", "is not UTF-8"),
        ("missing_field", r"^[^' ]*: expected .*, got nothing$", "lacks a field or an attribute"),
        ("not_json", r"\bJSON\b", "is not JSON, or not the JSON object that a CloudEvent is"),
        ("bad_value", r"\bexpected\b", "has a field of the wrong type or out of range"),
    )
)

REASONS: Final = {name: meaning for name, _, meaning in _CLASSES} | {"other": "none of these"}
"""Class -> what is wrong with the message."""
REASON_CLASSES: Final = tuple(REASONS)
"""Every class that `reason_class` may answer."""


def reason_class(reason: str) -> str:
    """The class of a rejection: one of `REASON_CLASSES`, whatever the text.

    >>> reason_class("lines[3].quantity: expected integer >= 1, got 0")
    'bad_value'
    """
    head, got, tail = reason.partition(", got ")
    text = f"{head}, got {tail}" if got and tail in _ABSENT else head
    for name, pattern, _ in _CLASSES:
        if pattern.search(text):
            return name
    return "other"
