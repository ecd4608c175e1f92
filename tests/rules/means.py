"""How a rule is taken out, by the suite that must miss it. A suite draws the rules that have its kind of means."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias, TypeVar, cast

from state.memory.shard import MemoryShard
from tests.holds.traces import End
from tests.holds.traces import Trace as HoldTrace
from tests.simulation.consumer import Manner
from tests.simulation.profiles import MIXED, Profile
from tests.state.traces import Trace

Patch: TypeAlias = tuple[Any, str, Any]
"""The owner of an attribute, its name, and what it is without the rule."""
Shard = TypeVar("Shard", bound=MemoryShard)


@contextmanager
def replaced(patches: Sequence[Patch]) -> Iterator[None]:
    """Give attributes other values until the block ends."""
    before = [(owner, name, vars(owner)[name]) for owner, name, _ in patches]
    for owner, name, other in patches:
        setattr(owner, name, other)
    try:
        yield
    finally:
        for owner, name, kept in before:
            setattr(owner, name, kept)


@dataclass(frozen=True, slots=True)
class OfModel:
    """Taken out of the pool in memory or of code in this process: another shard, or other attributes."""

    shard: type[MemoryShard] | None = None
    patches: tuple[Patch, ...] = ()

    def over(self, base: type[Shard]) -> type[Shard]:
        """Return the kind of shard that a suite uses, without the rule."""
        if self.shard is None:
            return base
        return cast("type[Shard]", type(self.shard.__name__, (self.shard, base), {}))

    def taken_out(self) -> AbstractContextManager[None]:
        """Replace the attributes that keep the rule until the block ends."""
        return replaced(self.patches)


@dataclass(frozen=True, slots=True)
class Simulated(OfModel):
    """A seed of `make sim` must end wrong."""

    suite: ClassVar[str] = "simulation"
    consumer: Manner = "keeps the last version"
    likely: Profile = MIXED
    """The kind of runs in which the rule is missed most."""
    patience: int = 1
    """So many times as many runs are tried as of others."""


@dataclass(frozen=True, slots=True)
class Traced(OfModel):
    """These traces of holes, over one shard in memory, must end badly."""

    suite: ClassVar[str] = "state holes"
    traces: tuple[Trace, ...] = ()


@dataclass(frozen=True, slots=True)
class Held(OfModel):
    """This trace of a hold, over one shard in memory, must end so."""

    suite: ClassVar[str] = "hold holes"
    trace: HoldTrace = field(kw_only=True)
    ends: End = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class InWorker:
    """`make faults` must find it: the patch takes the rule out of a worker's process, for as long as that lives."""

    suite: ClassVar[str] = "faults"
    take_out: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Unprotected:
    """`make golive` must find a wrong figure: the patch leaves a protection out of a `penstock.yaml`."""

    suite: ClassVar[str] = "golive"
    leave_out: Callable[[dict[str, Any]], None]


Means: TypeAlias = Simulated | Traced | Held | InWorker | Unprotected


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the engine: what it guarantees, and what must turn red without it."""

    id: str
    """What commands and documents call it: the hole of the protocol that it closes, or a short name."""
    says: str
    carries: tuple[str, ...]
    """The sections of `docs/` that promise what it carries, as page#heading."""
    means: tuple[Means, ...]
    holes: tuple[str, ...] = ()
    """The holes of the protocol that it closes, where its id is none."""
