"""A rule of the protocol taken out: what a run without it is made of. `broken.py` lists them."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

from tests.simulation.consumer import Manner
from tests.simulation.profiles import MIXED, Profile
from tests.simulation.shards import Pool

Patch = tuple[Any, str, Any]


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
class Rule:
    """A rule taken out: by other shards, by attributes replaced, or by another manner of the consumers."""

    name: str
    says: str
    shard: type[Pool] = Pool
    patches: tuple[Patch, ...] = ()
    consumer: Manner = "keeps the last version"
    likely: Profile = MIXED
    """The kind of runs in which it is missed most."""
    patience: int = 1
    """So many times as many runs are tried as of others."""

    def taken_out(self) -> AbstractContextManager[None]:
        """Replace what keeps the rule until the block ends."""
        return replaced(self.patches)


ALL_KEPT = Rule("none", "all rules are kept")
