"""Watch processes: read the metrics of each, again and again, and return what happened in between."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from flows.services.board.figures import BoardFigures, figures
from flows.services.board.scrape import Reading, read_all


@dataclass(slots=True)
class Watch:
    """The addresses that are read, and the last reading of each."""

    addresses: Sequence[str]
    were_named: bool
    """An operator named each address, so that one which does not answer is a finding."""
    last: list[Reading] = field(default_factory=list)

    def look(self) -> BoardFigures | None:
        """Read all; return what happened since the last reading, None when nothing answers."""
        before, self.last = self.last, read_all(self.addresses)
        answering = {reading.address for reading in self.last}
        silent = [a for a in self.addresses if a not in answering] if self.were_named else []
        return figures(before, self.last, time.time(), silent) if self.last else None
