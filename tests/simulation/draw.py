"""A scenario from a seed: everything that chance decides is decided here."""

import random
from dataclasses import replace

from state.protocol.pack import CALL_OPS_MAX
from state.protocol.sharding import shard_of
from tests.simulation import checkout
from tests.simulation.profiles import PROFILES, Profile
from tests.simulation.scenario import Happening, Machine, Message, Scenario, Trouble
from tests.simulation.shop import CODES, EPOCH_MS, LATER_MS, POLICIES, SKUS, TILL
from tests.simulation.trade import Trade

FAULTS_MS = 7000
AFTER_WEEKS_MS = 1_000_000
"""Messages from this time on are sent when weeks have passed."""
CALLS, LOOKS = 90, 220
LONG_MS = (200, 700, 2500, 5500)


def draw(seed: int) -> Scenario:
    """Return the scenario of a seed."""
    chance = random.Random(seed)
    profile = PROFILES[seed % len(PROFILES)]
    shards, partitions = chance.randint(2, 3), chance.randint(1, 2)
    weeks = chance.randrange(profile.weeks) == 0
    machines = tuple(_machines(chance, profile))
    skus = tuple(chance.sample(SKUS, chance.randint(*profile.skus)))
    trade = Trade(
        chance, partitions, skus, chance.choice((0, 30, 60)), profile.echoes_pct, profile.echo_ms
    )
    messages = trade.messages(
        0, chance.randint(1500, FAULTS_MS - 500), chance.randint(*profile.trades)
    )
    if weeks:
        messages += trade.messages(AFTER_WEEKS_MS + 1000, AFTER_WEEKS_MS + 2000, 2)
    happenings = [
        *_rollbacks(chance, profile, machines, shards, messages),
        *_happenings(chance, profile, len(machines), weeks=weeks),
        *checkout.happenings(seed, FAULTS_MS - 400),
    ]
    for remap in [happening for happening in happenings if happening.kind == "remap"]:
        happenings.append(_sleep_over(chance, remap, weeks=weeks))
        messages += trade.sales_by_code(remap.at_ms + chance.randint(5100, 5900))
    happenings.sort(key=lambda happening: happening.at_ms)
    if any(happening.kind == "remap" for happening in happenings):
        messages = [
            _sent_once(message) if message.source == TILL else message for message in messages
        ]
    return Scenario(
        seed=seed,
        start_ms=EPOCH_MS + chance.choice((-chance.randint(500, 6000), LATER_MS)),
        shards=shards,
        partitions=partitions,
        batch_events=chance.choice((1, 2, 3, 8)),
        call_ops=chance.choice((2, 4, CALL_OPS_MAX)),
        gaps=chance.choice(((0,), (0, 0, 1), (0, 2, 0, 0, 1))),
        forgets=chance.randint(1, 3),
        machines=machines,
        faults_ms=FAULTS_MS,
        weeks=weeks,
        messages=tuple(checkout.using_holds_up(seed, messages)),
        troubles=tuple(_troubles(chance, profile, machines, weeks=weeks)),
        happenings=tuple(happenings),
    )


def _sent_once(message: Message) -> Message:
    """Leave out what is sent again: another SKU by then, it would count for that one too."""
    return replace(message, copies=message.copies[:1])


def _sleep_over(chance: random.Random, remap: Happening, *, weeks: bool) -> Happening:
    """A reader sleeps while codes change, and wakes up to messages that mean something else by then."""
    begin_ms, ms = max(0, remap.at_ms - chance.randint(0, 400)), chance.randint(5300, 5900)
    return Happening(begin_ms, "freeze", 0, ms, 0, weeks and chance.randrange(2) == 0)


def _machines(chance: random.Random, profile: Profile) -> list[Machine]:
    roles = ["ingest"] * chance.choice(profile.readers) + ["publish"] * chance.choice(
        profile.publishers
    )
    widest = chance.choice(profile.skew_ms)
    slow_first = chance.randrange(2)
    slowest = chance.choice((3, 30, 120))
    return [
        Machine(
            f"{role[0]}{n}",
            "ingest" if role == "ingest" else "publish",
            chance.choice((-widest, widest, chance.randint(-widest, widest)))
            if not profile.has_clocks_apart
            else (widest, -widest)[(n + slow_first) % 2],
            tuple(chance.randint(1, slowest) for _ in range(31)),
        )
        for n, role in enumerate(roles, 1)
    ]


def _troubles(
    chance: random.Random, profile: Profile, machines: tuple[Machine, ...], *, weeks: bool
) -> list[Trouble]:
    """Each run has its own few kinds of trouble: all of them at once would hide each other."""
    kinds = chance.sample(profile.kinds, chance.randint(1, 4))
    found = []
    for is_look, calls, rates in ((False, CALLS, profile.rates), (True, LOOKS, profile.looks)):
        rate = chance.choice(rates)
        for machine in machines if rate else ():
            for call in range(calls):
                if chance.random() < rate:
                    held = weeks and chance.randrange(4) == 0
                    kind, ms = chance.choice(kinds), chance.choice(LONG_MS)
                    found.append(
                        Trouble(machine.name, call, kind, chance.randrange(256), ms, held, is_look)
                    )
    return found


def _happenings(
    chance: random.Random, profile: Profile, machines: int, *, weeks: bool
) -> list[Happening]:
    found = []

    def moment() -> int:
        return chance.randint(200, FAULTS_MS - 400)

    def one() -> int:
        return chance.randrange(machines)

    found += [
        Happening(moment(), "kill", one(), chance.choice(LONG_MS))
        for _ in range(chance.choice(profile.kills))
    ]
    for _ in range(chance.choice(profile.freezes)):
        held = weeks and chance.randrange(2) == 0
        found.append(Happening(moment(), "freeze", one(), chance.choice(LONG_MS), 0, held))
    found += [
        Happening(moment(), "policy", one(), 50, chance.randrange(len(POLICIES)))
        for _ in range(chance.choice(profile.policies))
    ]
    for _ in range(chance.choice(profile.remaps)):
        extra = chance.randrange(len(CODES) * len(SKUS))
        found.append(Happening(chance.randint(50, 1500), "remap", one(), 50, extra))
    if chance.randrange(3) == 0:
        found.append(Happening(moment(), "overlap", 0, chance.choice(LONG_MS)))
    return found


def _rollbacks(
    chance: random.Random,
    profile: Profile,
    machines: tuple[Machine, ...],
    shards: int,
    sold: list[Message],
) -> list[Happening]:
    """Shards go back: any at any time, or one soon after it got something, which it then loses."""
    found = []
    sold = [message for message in sold if 0 < message.copies[0].at_ms < FAULTS_MS - 1000]
    for _ in range(chance.choice(profile.rollbacks)):
        shard, at_ms = chance.randrange(shards), chance.randint(200, FAULTS_MS - 400)
        back_ms = int(10 ** chance.uniform(0.7, 3.6))
        if sold and chance.randrange(100) < profile.aimed_pct:
            message = chance.choice(sold)
            begin_ms = message.copies[0].at_ms
            at_ms = begin_ms + chance.randint(100, 700)
            back_ms = at_ms - begin_ms + chance.randint(0, 100)
            if lines := message.data.get("lines"):
                shard = shard_of(lines[0]["sku"], shards)
        if chance.randrange(6) == 0:
            # It loses all that it ever had, and at times nobody is left who knew of it.
            back_ms = FAULTS_MS
            readers = [n for n, machine in enumerate(machines) if machine.role == "ingest"]
            if chance.randrange(2):
                found += [Happening(at_ms - 5, "kill", n, LONG_MS[0]) for n in readers]
        found += _going_back(chance, shard, at_ms, back_ms, profile.again_pct)
        ahead = [
            n
            for n, machine in enumerate(machines)
            if machine.role == "publish" and machine.skew_ms > 0
        ]
        if ahead and profile.has_clocks_apart and chance.randrange(2):
            # Whose clock is ahead dies with it, and cannot go on above the versions that it gave out.
            found += [Happening(at_ms + 5, "kill", n, LONG_MS[-1]) for n in ahead]
    return found


def _going_back(
    chance: random.Random, shard: int, at_ms: int, back_ms: int, again_pct: int
) -> list[Happening]:
    """A shard goes back; at times once more, before clocks that are apart have met."""
    found = [Happening(at_ms, "roll_back", shard, back_ms, chance.choice((0, 0, 300, 1500)))]
    if chance.randrange(100) < again_pct:
        again_ms = min(at_ms + int(10 ** chance.uniform(1.7, 3.2)), FAULTS_MS - 50)
        late_ms = chance.choice((0, 0, 300))
        found.append(Happening(again_ms, "roll_back", shard, again_ms - at_ms + back_ms, late_ms))
    return found
