"""The overlay: what was decided at run time and is applied over the policy of the file.

Channels frozen or zeroed by hand or by the breaker, locations that are silent, locations of which everything was
counted. It travels as JSON beside the policy, and every change of it raises the revision, so that all processes
follow it as they follow a policy. A new file leaves it as it is.
"""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from state.policy.document import Policy

Held = Literal["", "frozen", "zero"]
"""How a channel is held; "" = not, it has the mode of the file."""

HISTORY_MAX: Final = 100
TEXT_MAX: Final = 500
SILENT_MAX: Final = 32
"""When more locations than these are silent at once it is not they who are, but what delivers their events."""
BREAKER: Final = "breaker"
"""Who froze a channel, when no operator did by hand."""
ACCEPT_MS: Final = 60_000
"""For so long after a channel was resumed its breaker lets through what falls."""


class Said(msgspec.Struct, frozen=True):
    """One decision: what, about whom, by whom and why, at which system time."""

    at_ms: int
    what: str
    about: str
    by: str = ""
    why: str = ""


class Steered(msgspec.Struct, frozen=True):
    """What was last decided about a channel."""

    held: Held = ""
    by: str = ""
    why: str = ""
    at_ms: int = 0
    resumed_ms: int = 0
    """When it was last resumed, 0 for never."""
    resynced_ms: int = 0
    """When all its levels were last asked for again, 0 for never."""


class Overlay(msgspec.Struct, frozen=True, omit_defaults=True):
    """All of it. The default one changes nothing."""

    channels: dict[str, Steered] = {}
    silent: dict[str, int] = {}
    """Location -> log timestamp (ms) of the last event that it was heard by."""
    complete: tuple[str, ...] = ()
    """Locations of which everything was counted: what was not, is not there."""
    history: tuple[Said, ...] = ()
    """The newest decisions, the oldest first."""

    def steered(self, channel: str) -> Steered:
        """Return what was decided about a channel."""
        return self.channels.get(channel, Steered())


def to_json(overlay: Overlay) -> bytes:
    """Return what `from_json` reads."""
    return msgspec.json.encode(overlay, order="deterministic")


def from_json(document: bytes | None) -> Overlay:
    """Read what `to_json` wrote; None = nothing was ever decided.

    Raises:
        msgspec.ValidationError, msgspec.DecodeError: the document is something else.
    """
    return Overlay() if document is None else msgspec.json.decode(document, type=Overlay)


def apply_overlay(policy: Policy, overlay: Overlay) -> Policy:
    """Return the policy with the modes of the channels that are held. A shadow channel stays one."""
    held = {name: each.held for name, each in overlay.channels.items() if each.held}
    if not held:
        return policy
    channels = tuple(
        replace(channel, mode=held[channel.id])
        if channel.id in held and channel.mode != "shadow"
        else channel
        for channel in policy.channels
    )
    return replace(policy, channels=channels)


def silent(policy: Policy, overlay: Overlay) -> tuple[str, ...]:
    """Return the silent locations; one that the policy does not watch any more is none."""
    watched = {each.id for each in policy.locations if each.silent_after_s is not None}
    return tuple(sorted(watched & overlay.silent.keys()))


def hold(overlay: Overlay, channel: str, held: Held, now_ms: int, by: str, why: str) -> Overlay:
    """Freeze or zero a channel, or with "" let it go on.

    The same that holds already, by whomever, changes nothing: the first reason stays.
    """
    known = overlay.steered(channel)
    if known.held == held:
        return overlay
    by, why = by[:TEXT_MAX], why[:TEXT_MAX]
    resumed_ms = known.resumed_ms if held else now_ms
    after = replace(known, held=held, by=by, why=why, at_ms=now_ms, resumed_ms=resumed_ms)
    what = {"frozen": "freeze", "zero": "zero", "": "resume"}[held]
    return _noted(_with(overlay, channel, after), Said(now_ms, what, channel, by, why))


def resync(overlay: Overlay, channel: str, now_ms: int, by: str, why: str) -> Overlay:
    """Ask for all levels of a channel once more."""
    by, why = by[:TEXT_MAX], why[:TEXT_MAX]
    after = replace(overlay.steered(channel), resynced_ms=now_ms)
    return _noted(_with(overlay, channel, after), Said(now_ms, "resync", channel, by, why))


def declare_complete(
    overlay: Overlay, locations: Iterable[str], now_ms: int, by: str, why: str
) -> Overlay:
    """Note that everything at these locations was counted."""
    new = sorted(set(locations) - set(overlay.complete))
    if not new:
        return overlay
    complete = tuple(sorted({*overlay.complete, *new}))
    about = ", ".join(new)[:TEXT_MAX]
    said = Said(now_ms, "complete", about, by[:TEXT_MAX], why[:TEXT_MAX])
    return _noted(replace(overlay, complete=complete), said)


def change_silent(overlay: Overlay, fell: Mapping[str, int], spoke: Iterable[str]) -> Overlay:
    """Leave out locations that fell silent, by their last event, and take back those that spoke.

    Of those that fell silent only so many are taken that no more than `SILENT_MAX` are left out.
    Not in the history, which is for what people decided.
    """
    back = overlay.silent.keys() & set(spoke)
    silent = {name: ms for name, ms in overlay.silent.items() if name not in back}
    new = [name for name in sorted(fell) if name not in silent][: SILENT_MAX - len(silent)]
    if not (back or new):
        return overlay
    silent |= {name: fell[name] for name in new}
    return replace(overlay, silent=silent)


def _with(overlay: Overlay, channel: str, steered: Steered) -> Overlay:
    return replace(overlay, channels={**overlay.channels, channel: steered})


def _noted(overlay: Overlay, said: Said) -> Overlay:
    return replace(overlay, history=(*overlay.history, said)[-HISTORY_MAX:])
