"""The morning, act by act. Each act tells one line, and what was wrong in it."""

import csv
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson

from flows.demo.listener import Listener
from flows.demo.stream import DC_ID
from flows.runtime.clock import now_ms
from flows.runtime.context import Runtime
from flows.runtime.idle import Idle
from state.events.timestamps import ms_rfc3339
from tests.golive.monday import MIDNIGHT_MS, SUPPLIED, SUPPLIER, Monday
from tests.golive.shop import Setup, Shop, append, config_of, json_lines
from tests.golive.trader import Trader, outgoing
from tests.golive.verdict import Moments, course_of
from tests.patience import PATIENCE_S

IDLE_S = 3 * PATIENCE_S
ALONE_UNITS_MIN = 3
HOT_SKUS = 6
HOT_UNITS = (12, 60)
CHECKOUTS = 3
PLANTED = 9
WRONG_BUFFER = 10_000
WHO = ("--by", "golive")


@dataclass(slots=True)
class Morning:
    """What is on while the morning passes."""

    shop: Shop
    run: Runtime
    day: Monday
    setup: Setup
    trader: Trader
    heard: Listener
    tell: Callable[[str], None]
    silent_shop: str = ""
    moments: Moments = field(default_factory=Moments)
    wrong: list[str] = field(default_factory=list)
    frozen: int = 0
    checkouts: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def rules(self) -> dict[str, Any]:
        """The configuration as it should be."""
        return config_of(self.day, self.silent_shop, replace(self.setup, buffer=None))

    @property
    def journals(self) -> list[Path]:
        """What the checkouts wrote down."""
        return [self.shop.folder / f"checkout-{n}.jsonl" for n in range(CHECKOUTS)]

    def told(self, act: str, text: str) -> None:
        """Tell a line of an act, with the time of day."""
        minutes = (self.trader.now_ms - MIDNIGHT_MS) // 60_000
        self.tell(f"{minutes // 60:02}:{minutes % 60:02}  {act:<8}  {text}")

    def expect(self, holds: bool, text: str) -> None:  # noqa: FBT001
        """Note what is wrong unless something holds."""
        if not holds:
            self.wrong.append(text)

    def idle(self) -> None:
        """Wait until all that was sent is applied and emitted."""
        idle, deadline_s = Idle(self.run), time.monotonic() + IDLE_S
        while not idle.for_long(time.monotonic()):
            if time.monotonic() > deadline_s:
                self.wrong.append(f"not idle within {IDLE_S:.0f} s")
                return
            time.sleep(0.05)

    def level(self, sku: str, channel: str) -> int | None:
        """What the channel was told last, None when nothing."""
        state = self.run.store.read(sku)
        levels = orjson.loads(state.levels) if state is not None and state.levels else {}
        found: int | None = levels.get(channel)
        return found

    def until(self, holds: Callable[[], bool], text: str, within_s: float = PATIENCE_S) -> float:
        """Wait until something holds; return the seconds that it took. Noted as wrong if it does not."""
        began_s = time.monotonic()
        while not holds():
            if time.monotonic() - began_s > within_s:
                self.wrong.append(f"{text}: not within {within_s:.0f} s")
                break
            time.sleep(0.05)
        return time.monotonic() - began_s

    def apply(self, setup: Setup, why: str) -> None:
        """Write another configuration and bring it in force."""
        self.setup = setup
        self.shop.write_config(config_of(self.day, self.silent_shop, setup))
        self.shop.penstock("policy", "apply", *WHO, "--why", why)


def load_half(at: Morning) -> tuple[list[str], list[str]]:
    """Put all channels in the shadow, start the flows, and load the first half of what lies where."""
    shops = sorted(at.day.stock.keys() - {DC_ID, SUPPLIER})
    first = [DC_ID, SUPPLIER, *(shop for shop in shops[::2] if shop != at.silent_shop)]
    second = [shop for shop in at.day.stock if shop not in set(first)]
    at.shop.penstock("init")
    at.shop.start_flows()
    at.heard.start()
    append(at.run, [outgoing(fact) for fact in at.day.open_orders])
    at.trader.start()
    at.trader.go_until(8)
    began_s = time.monotonic()
    said = at.shop.penstock(*_import(at, "first.csv", first))
    took_s = time.monotonic() - began_s
    at.told(
        "load", f"{len(first)} of {len(at.day.stock)} locations in {took_s:.1f} s; {_last(said)}"
    )
    return first, second


def compare_with_today(at: Morning) -> None:
    """Hold what another system shows against the pool: planted differences are found, and no others."""
    at.trader.wait()
    at.idle()
    course = course_of(at)
    rows = {sku: course.levels(sku)["momo"] for sku in sorted(course.on_hand)}
    planted: dict[str, int] = {}
    for n, sku in enumerate(sku for sku, level in rows.items() if level > 2):
        if len(planted) == PLANTED:
            break
        if n % 7 == 0:
            planted[sku] = 0 if len(planted) % 3 == 0 else rows[sku] + 40 + n
    path = at.shop.folder / "today.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("channel", "sku", "quantity"))
        writer.writerows(("momo", sku, planted.get(sku, level)) for sku, level in rows.items())
    said = at.shop.penstock("shadow-report", "--against", path.name, "--json", exits=(0, 1))
    found = {row["sku"]: row["theirs"] for row in json_lines(said) if "sku" in row}
    at.expect(found == planted, f"shadow-report: expected {planted}, got {found}")
    told = f"{len(rows):,} SKUs of today's system beside the pool: {len(found)} differ, {len(planted)} were planted"
    at.told("compare", told)


def go_live(at: Morning) -> None:
    """Let the channels go live while half of the shops is not loaded: only one knows all of its locations."""
    at.apply(replace(at.setup, mode="live"), "the pool agrees with today's system")
    at.moments.live_ms = now_ms()
    at.trader.go_until(11)
    at.trader.wait()
    at.idle()
    known = sum(1 for sku in truth_skus(at) if at.level(sku, "momo") is not None)
    others = {
        channel["id"]
        for channel in config_of(at.day, at.silent_shop, at.setup)["channels"]
        for sku in list(truth_skus(at))[:500]
        if channel["id"] != "momo" and at.level(sku, channel["id"]) is not None
    }
    at.expect(not others, f"gate: expected nothing for {sorted(others)} yet")
    at.told(
        "live",
        f"momo sells from {DC_ID} alone and is told {known:,} SKUs; nothing goes to the others",
    )


def truth_skus(at: Morning) -> dict[str, None]:
    """Every SKU that lies at the distribution centre."""
    return dict.fromkeys(sorted(at.day.stock[DC_ID]))


def open_checkouts(at: Morning) -> None:
    """Let customers hold stock, some of it nearly sold out, until the evening."""
    traded = {line["sku"] for fact in at.day.facts for line in fact.data.get("lines", ())}
    course = course_of(at)
    hot = [
        sku
        for sku in sorted(course.on_hand)
        if sku not in traded and sku not in SUPPLIED
        and HOT_UNITS[0] <= course.levels(sku)["shop"] <= HOT_UNITS[1]
        and at.silent_shop not in course.on_hand[sku]
    ][:HOT_SKUS]  # fmt: skip
    at.moments.hot = hot
    stop = at.shop.folder / "closed"
    for n, journal in enumerate(at.journals):
        words = (f"checkout-{n}", str(n), str(stop), str(journal), *hot)
        at.checkouts.append(at.shop.client(*words))


def load_rest(at: Morning, second: list[str]) -> None:
    """Load the other half; ingest and publish are killed in the middle of it, and started again."""
    ends = at.run.log.end_offsets("wms.receipts")
    at.moments.second_import_ms = now_ms()
    at.trader.go_until(13)
    began_s = time.monotonic()
    loading = at.shop.background(*_import(at, "second.csv", second))
    lines = sum(len(at.day.stock[location]) for location in second)
    half = sum(ends.values()) + max(2, lines // 500 // 2)
    at.until(lambda: sum(at.run.log.end_offsets("wms.receipts").values()) >= half, "half loaded")
    at.shop.kill_flows()
    at.moments.killed_ms = now_ms()
    at.told("restart", "ingest and publish killed in the middle of the second half's load")
    at.shop.start_flows()
    code = loading.wait(300)
    at.expect(code == 0, f"import of the second half: expected exit 0, got {code}")
    at.told("load", f"the other {len(second)} locations in {time.monotonic() - began_s:.1f} s")
    at.trader.wait()
    at.idle()
    at.moments.open_ms = now_ms()
    unknown = [sku for sku in truth_skus(at) if at.level(sku, "shopee") is None]
    at.expect(not unknown, f"gate: expected it open for all SKUs, {len(unknown)} have no level")
    at.told("open", "every location is known: all channels are told")


def bad_feeds(at: Morning) -> None:
    """A supplier sends zeros, then half of its range as zeros, then what is right."""
    dead = at.heard.counts["dead.letters"]
    half = {sku: units if n % 2 else 0 for n, (sku, units) in enumerate(SUPPLIED.items())}
    _feed(at, dict.fromkeys(SUPPLIED, 0))
    _feed(at, half)
    if at.setup.keeps("shrink"):
        at.until(lambda: at.heard.counts["dead.letters"] >= dead + 2, "both bad feeds held back")
    at.trader.go_until(15)
    at.trader.wait()
    right = {sku: units + (n % 5 == 0) for n, (sku, units) in enumerate(SUPPLIED.items())}
    at.moments.good_feeds.add(_feed(at, right))
    at.idle()
    held = at.heard.counts["dead.letters"] - dead
    shown = sum(1 for sku in SUPPLIED if (at.level(sku, "shop") or 0) > 0)
    at.expect(shown == len(SUPPLIED), f"supplier: expected {len(SUPPLIED)} SKUs shown, got {shown}")
    at.told(
        "feed",
        f"two bad feeds, {held} held back; a right one taken: {shown} of {len(SUPPLIED)} SKUs shown",
    )


def fall_silent(at: Morning) -> None:
    """A shop's line is cut while it sells on: what lies there is left out until it speaks again."""
    alone = at.day.alone_at(at.silent_shop, ALONE_UNITS_MIN)
    sold, kept = alone[:-1], alone[-1]
    others = {sku for fact in at.day.facts for sku in _skus(fact.data)}
    sold = [sku for sku in sold if sku not in others]
    _sell(at, kept, 0)
    at.idle()
    at.trader.silence(at.silent_shop)
    at.moments.silent_from_ms = now_ms()
    for sku in sold:
        _sell(at, sku, at.day.stock[at.silent_shop][sku])
    at.trader.go_until(15 + 3.5)
    at.trader.wait()
    if at.setup.keeps("silence"):
        at.until(lambda: at.level(kept, "shop") == 0, f"{at.silent_shop} left out")
        # One SKU is told after the other.
        at.idle()
    bought = _buy_what_is_shown(at, sold)
    late = at.trader.speak()
    at.trader.say("pos.return", at.silent_shop, _receipt(at, kept, "sellable"))
    took_s = at.until(lambda: (at.level(kept, "shop") or 0) > 0, f"{at.silent_shop} back")
    at.idle()
    at.moments.silent_to_ms = now_ms()
    at.told(
        "silence",
        f"{at.silent_shop} silent: {len(sold)} SKUs sold out there unheard, customers could buy {bought} units; "
        f"it spoke ({late} late events) and was back after {took_s:.1f} s",
    )


def wrong_policy(at: Morning) -> None:
    """Somebody sets a buffer of 10,000: channels freeze before they go dark; put right, they go on."""
    right = at.setup
    at.trader.go_until(20)
    at.apply(replace(right, buffer=WRONG_BUFFER), "a slip of the pen")
    channels = [channel["id"] for channel in config_of(at.day, at.silent_shop, right)["channels"]]
    if right.keeps("breaker"):
        at.until(lambda: len(_frozen(at)) == len(channels), "every channel frozen")
    at.trader.wait()
    at.idle()
    found = _frozen(at)
    at.frozen = len(found)
    at.told(
        "breaker",
        f"a buffer of {WRONG_BUFFER:,} applied: {len(found)} of {len(channels)} channels froze",
    )
    at.apply(right, "put right")
    for channel in found:
        at.shop.penstock("channel", "resume", channel, *WHO, "--why", "the policy is put right")
    at.idle()
    at.moments.right_again_ms = now_ms()
    at.told("resume", f"the policy is put right, {len(found)} channels resumed")


def close_day(at: Morning) -> None:
    """Let the day end, checkouts included."""
    at.trader.go_until(24)
    at.trader.wait()
    (at.shop.folder / "closed").touch()
    ends = [checkout.wait(PATIENCE_S) for checkout in at.checkouts]
    at.expect(not any(ends), f"checkouts: expected exit 0, got {ends}")
    at.until(lambda: not any(_held(at)), "every hold over")
    at.idle()
    outcomes: dict[str, int] = {}
    for journal in at.journals:
        for what, count in orjson.loads(journal.read_bytes().splitlines()[-1]).items():
            outcomes[what] = outcomes.get(what, 0) + count
    at.expect(outcomes.get("bought", 0) > 0, f"checkouts: expected some to buy, got {outcomes}")
    said = ", ".join(f"{count} {what}" for what, count in sorted(outcomes.items()))
    at.told("evening", f"{at.trader.played} events traded; {len(at.checkouts)} checkouts: {said}")


def _import(at: Morning, name: str, locations: list[str]) -> list[str]:
    with (at.shop.folder / name).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("location", "sku", "on_hand", "unavailable"))
        for location in locations:
            writer.writerows((location, s, u, 0) for s, u in at.day.stock[location].items())
    return [
        "import", name, "--as-of", ms_rfc3339(MIDNIGHT_MS), "--complete", "--by", "golive",
        "--timeout", "240",
    ]  # fmt: skip


def _feed(at: Morning, units: dict[str, int]) -> str:
    data = {
        "location": SUPPLIER,
        "as_of": ms_rfc3339(at.trader.now_ms),
        "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in units.items()],
    }
    return at.trader.say("supplier.stock", SUPPLIER, data)


def _sell(at: Morning, sku: str, units: int) -> None:
    """Sell units at the shop that falls silent; with 0, a customer changes one for another."""
    if units:
        data = {"receipt": f"g-{sku}", "lines": [{"sku": sku, "quantity": units}]}
        at.trader.say("pos.sale", at.silent_shop, {"location": at.silent_shop, **data})
        return
    at.trader.say("pos.return", at.silent_shop, _receipt(at, sku, "sellable"))
    lines = {"receipt": f"g-{sku}-again", "lines": [{"sku": sku, "quantity": 1}]}
    at.trader.say("pos.sale", at.silent_shop, {"location": at.silent_shop, **lines})


def _receipt(at: Morning, sku: str, condition: str) -> dict[str, object]:
    line = {"sku": sku, "quantity": 1, "condition": condition}
    return {"location": at.silent_shop, "receipt": f"r-{sku}-{now_ms()}", "lines": [line]}


def _buy_what_is_shown(at: Morning, skus: list[str]) -> int:
    """Order all units that the own site shows of some SKUs. Return how many that were."""
    bought = 0
    for n, sku in enumerate(skus):
        shown = at.level(sku, "shop") or 0
        if shown > 0:
            lines = [{"sku": sku, "quantity": shown}]
            data = {"order": f"shown-{n}", "channel": "shop", "lines": lines}
            at.trader.say("order.placed", f"shown-{n}", data)
            bought += shown
    return bought


def _frozen(at: Morning) -> list[str]:
    rows = json_lines(at.shop.penstock("channel", "list", "--json"))
    return [row["channel"] for row in rows if row["mode"] == "frozen"]


def _held(at: Morning) -> list[int]:
    return [state.held for state in map(at.run.store.read, at.moments.hot) if state is not None]


def _skus(data: dict[str, object]) -> list[str]:
    lines = data.get("lines", ())
    return [line["sku"] for line in lines] if isinstance(lines, list) else []


def _last(said: str) -> str:
    return said.splitlines()[-1] if said else ""
