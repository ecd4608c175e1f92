"""Idle: every watermark is at the end of its partition and nothing has been due for a while."""

from flows.runtime import INPUT_TOPICS, Runtime, insist, now_ms
from state.calls import ABSENT

LOOK_EVERY_S = 0.25


class Idle:
    """Watches the store and the log of a runtime."""

    QUIET_S = 2.0

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._since_s: float | None = None
        self._looked_s = 0.0

    def for_long(self, now_s: float) -> bool:
        """Say whether all has been quiet for `QUIET_S`. Looks at most every `LOOK_EVERY_S`."""
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            if not insist(self.is_now):
                self._since_s = None
            elif self._since_s is None:
                self._since_s = now_s
        return self._since_s is not None and now_s - self._since_s >= self.QUIET_S

    def is_now(self) -> bool:
        """Say whether all is applied, and nothing is due, at this moment."""
        runtime = self._runtime
        store, log = runtime.store, runtime.log
        marks = store.marks()
        for topic in INPUT_TOPICS:
            log_id = log.log_id(topic)
            for n, end in log.end_offsets(topic).items():
                mark = f"{log_id}/{n}"
                if end and min(shard.get(mark, ABSENT) for shard in marks) < end - 1:
                    return False
        business_ms = runtime.business_ms(store.business_ms())
        return store.due_by(now_ms(), business_ms) == 0
