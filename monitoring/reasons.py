"""From the full text of a rejection to one of a few classes, fit for a label."""

import re
from typing import Final

# How a rejection says that there was nothing to show; a text of the sender would be quoted.
_ABSENT: Final = ("nothing", "a tombstone")

# The first match wins. What stands after "got" came out of the message and is cut off before:
# no sender can choose the class by what he sends.
_CLASSES: Final = tuple(
    (name, re.compile(pattern, re.IGNORECASE))
    for name, pattern in (
        ("time_in_future", r"^time_in_future\b"),
        ("supplier_shrink", r"^supplier_shrink\b"),
        ("unknown_field", r"^([^' ]*: )?unknown field\b"),
        ("unknown_location", r"^[^' ]*: unknown location\b"),
        ("unknown_channel", r"^[^' ]*: unknown channel\b"),
        ("unknown_sku", r"^[^' ]*: (no code|unknown sku)\b"),
        ("unknown_type", r"^type: (unknown type|expected one of)\b"),
        ("tombstone", r"tombstone|^(value|message|payload): expected .*, got nothing$"),
        ("too_large", r"\bat most [\d_,]+ bytes"),
        ("not_utf8", r"\bUTF-?8\b"),
        ("missing_field", r"^[^' ]*: expected .*, got nothing$"),
        ("not_json", r"\bJSON\b"),
        ("bad_value", r"\bexpected\b"),
    )
)

REASON_CLASSES: Final = (*(name for name, _ in _CLASSES), "other")
"""Every class that `reason_class` may answer."""


def reason_class(reason: str) -> str:
    """The class of a rejection: one of `REASON_CLASSES`, whatever the text.

    >>> reason_class("lines[3].quantity: expected integer >= 1, got 0")
    'bad_value'
    """
    head, got, tail = reason.partition(", got ")
    text = f"{head}, got {tail}" if got and tail in _ABSENT else head
    for name, pattern in _CLASSES:
        if pattern.search(text):
            return name
    return "other"
