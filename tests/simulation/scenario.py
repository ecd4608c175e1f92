"""What a run consists of: plain values, drawn once, from which anything may be taken away again."""

from dataclasses import dataclass, field
from typing import Any, Literal

TroubleKind = Literal[
    "slow", "lost", "late", "unheard", "twice", "refused", "dies", "done_dies", "freezes", "done_freezes"
]  # fmt: skip
HappeningKind = Literal["roll_back", "kill", "freeze", "policy", "remap", "overlap", "hold", "tend"]


@dataclass(frozen=True, slots=True)
class Copy:
    """One append of a message: when (ms of the run), to which partition, and the event time that it tells."""

    at_ms: int
    partition: int
    time_ms: int


@dataclass(frozen=True, slots=True)
class Message:
    """An event that the upstream sends, once or more. Times in ms from the start of the run."""

    id: str
    kind: str
    data: dict[str, Any]
    copies: tuple[Copy, ...]
    source: str = "/upstream"
    raw: bytes | None = None
    """Bytes that are no event at all."""
    is_bad: bool = False
    """It belongs on dead.letters."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What befalls the `call`-th call of a worker: of those that change something, or of those that only look.

    `mask` says which of the shards or messages of the call it concerns; `ms` how long it lasts. `held` keeps what is
    late until weeks later.
    """

    worker: str
    call: int
    kind: TroubleKind
    mask: int
    ms: int
    held: bool = False
    is_look: bool = False


@dataclass(frozen=True, slots=True)
class Happening:
    """What happens at a time of the run, whatever is being called then.

    `roll_back`: shard `which` goes back by `ms`, its server tells another identity only `extra` ms later.
    `kill`, `freeze`: worker `which`, for `ms`. `policy`, `remap`: worker `which` ends and starts again with variant
    `extra`. `hold`, `tend`: a checkout makes a hold, keeps or releases one (`checkout.py`). `overlap`: for `ms`
    every reader is given every partition.
    """

    at_ms: int
    kind: HappeningKind
    which: int = 0
    ms: int = 0
    extra: int = 0
    held: bool = False


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a worker runs: its clock is ahead by `skew_ms`, its calls take `delays_ms` in turn."""

    name: str
    role: Literal["ingest", "publish"]
    skew_ms: int
    delays_ms: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run. `faults_ms` is when everything stops going wrong."""

    seed: int
    start_ms: int
    """True time at the start, ms since 1970."""
    shards: int
    partitions: int
    batch_events: int
    call_ops: int
    """Most ops in one call to a shard."""
    gaps: tuple[int, ...]
    """Offsets left out before each record, in turn."""
    forgets: int
    """After every so many updates a consumer would start anew, if it forgot."""
    machines: tuple[Machine, ...]
    faults_ms: int
    weeks: bool
    """Weeks pass after the first calm; then what was held back arrives."""
    messages: tuple[Message, ...]
    troubles: tuple[Trouble, ...]
    happenings: tuple[Happening, ...] = field(default=())
