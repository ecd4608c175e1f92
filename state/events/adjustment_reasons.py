"""Why an operator corrects the books by hand: a closed list, so that reasons can be added up."""

from enum import StrEnum


class AdjustReason(StrEnum):
    """What a correction by hand may be for."""

    correction = "correction"
    """The books were wrong, nothing moved."""
    found = "found"
    lost = "lost"
    theft = "theft"
    damaged = "damaged"
    """Broken and thrown away; goods set aside are a `wms.quality`."""
    expired = "expired"
    sample = "sample"
    """Given away, or used up by the house itself."""
    opening = "opening"
    """Stock that was there before the books were."""
