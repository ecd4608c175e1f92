"""Kinds of runs: what each has much of, so that its faults meet what they can hurt."""

from dataclasses import dataclass, replace

from tests.simulation.scenario import TroubleKind

SKEW_MAX_MS = 900
ALL: tuple[TroubleKind, ...] = (
    "slow", "lost", "late", "unheard", "twice", "refused", "dies", "done_dies", "freezes", "done_freezes"
)  # fmt: skip
TARDY: tuple[TroubleKind, ...] = (
    "slow", "slow", "late", "done_freezes", "done_dies", "unheard", "lost", "refused"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Profile:
    """What runs of one kind have much of. The numbers of a tuple are drawn from."""

    skus: tuple[int, int] = (2, 4)
    trades: tuple[int, int] = (5, 26)
    echoes_pct: int = 0
    """How much of the trade is a change and its opposite, which follows after one of `echo_ms`."""
    echo_ms: tuple[int, ...] = (30, 150, 400, 1200)
    readers: tuple[int, ...] = (1, 2)
    publishers: tuple[int, ...] = (1, 2)
    skew_ms: tuple[int, ...] = (0, SKEW_MAX_MS)
    has_clocks_apart: bool = False
    """Every other clock is as far ahead, and the others as far behind, as clocks may be."""
    kinds: tuple[TroubleKind, ...] = ALL
    rates: tuple[float, ...] = (0.0, 0.04, 0.1, 0.2)
    looks: tuple[float, ...] = (0.0, 0.01, 0.03)
    rollbacks: tuple[int, ...] = (0, 0, 1, 1, 2)
    again_pct: int = 33
    """How many of them are followed by another one of the same shard."""
    aimed_pct: int = 60
    """How many of them come soon after a shard got something, which it then loses."""
    kills: tuple[int, ...] = (0, 0, 1, 2)
    freezes: tuple[int, ...] = (0, 0, 1, 2)
    policies: tuple[int, ...] = (0, 0, 0, 1, 2)
    remaps: tuple[int, ...] = (0, 0, 1, 2)
    weeks: int = 5
    """Once in so many runs weeks pass."""


MIXED = Profile()
EMITTING = Profile(
    skus=(3, 4), echoes_pct=95, trades=(3, 9), readers=(1,), publishers=(2, 3), kinds=TARDY, rates=(0.2, 0.35, 0.5),
    looks=(0.0, 0.02), rollbacks=(0,), kills=(0, 1), freezes=(0, 1), policies=(0,), remaps=(0,), weeks=50,
)  # fmt: skip
GOING_BACK = Profile(
    skus=(3, 4), echoes_pct=95, echo_ms=(400, 1200, 1200), trades=(2, 4), readers=(1,), publishers=(2, 3),
    skew_ms=(SKEW_MAX_MS,), has_clocks_apart=True, kinds=TARDY, rates=(0.0, 0.1, 0.3), looks=(0.0,),
    rollbacks=(1, 2, 3), aimed_pct=95, kills=(0,), freezes=(0, 1), policies=(0,), remaps=(0,), weeks=50,
)  # fmt: skip
CHANGING = Profile(
    skus=(1, 3), trades=(4, 14), publishers=(2, 3), kinds=TARDY, rates=(0.0, 0.1, 0.25), looks=(0.0, 0.03),
    rollbacks=(0, 0, 1), kills=(0, 1), freezes=(0, 1, 2), policies=(2, 3), remaps=(0, 1), weeks=8,
)  # fmt: skip
GOING_BACK_TWICE = replace(GOING_BACK, again_pct=100, rollbacks=(1, 2))
PROFILES = (MIXED, EMITTING, MIXED, GOING_BACK, GOING_BACK_TWICE, CHANGING)
