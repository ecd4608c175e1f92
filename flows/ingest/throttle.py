"""Backpressure: the ingest throttle. While publishing lags, ingest pauses between its batches.

Both use the same store, and ingest, which sends a batch while another is in flight, would take all of it for as long as
a backlog lasts. An applied change that is not published does not help any channel.

The age of a SKU is measured by the clock of the ingest process: a publisher whose clock is behind seems late.
"""

from typing import Final

from monitoring import metrics

LATE_MS: Final = 300
"""How long a SKU may be due, beyond the time in which changes are gathered, before ingest holds back."""
STEP_MS: Final = 200
"""So much later, and the pause is longer by the time that the last batch took."""
STEPS_MAX: Final = 3
PAUSE_MAX_S: Final = 1.0
STOPPED_MS: Final = 10_000
"""A SKU that has been due for so long waits for a publisher that is not there: backpressure helps no process."""


class Throttle:
    """Says when the next batch may be read. Time is given by the caller, from a clock that never goes back."""

    def __init__(self, gather_ms: int) -> None:
        self._late_ms = gather_ms + LATE_MS
        self._handed_s: float | None = None
        self._until_s = 0.0

    def handed(self, now_s: float) -> None:
        """Note that a batch was handed on."""
        self._handed_s = now_s

    def holds(self, now_s: float, due_age_ms: int) -> bool:
        """Return whether to read nothing now, given how long the oldest SKU has been due.

        The pause grows with the lateness, up to three times what the last batch took: a fourth of its speed
        is left to ingest in any case.
        """
        if self._handed_s is not None:
            took_s, self._handed_s = now_s - self._handed_s, None
            late_ms = max(0, due_age_ms - self._late_ms)
            if late_ms < STOPPED_MS:
                pause_s = min(took_s * min(late_ms / STEP_MS, STEPS_MAX), PAUSE_MAX_S)
                self._until_s = now_s + pause_s
                metrics.HELD_BACK.inc(pause_s)
        return now_s < self._until_s
