"""`python -m tests.golive`: play the morning; the last line tells the figures; exit 1 when one is wrong."""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from connectors.redis.embedded import embedded
from flows.demo.listener import Listener
from flows.runtime.session import connected
from tests.golive import acts
from tests.golive.acts import Morning
from tests.golive.monday import SUPPLIER, Monday, monday
from tests.golive.shop import PROTECTIONS, Setup, Shop, config_of, watched_shops
from tests.golive.trader import Trader
from tests.golive.verdict import Verdict, judge
from tests.scratch import scratch_folder

SHORT_SHOPS = 6
HOURS_PER_S = 0.5
SHORT_HOURS_PER_S = 2.0


def main(arguments: list[str] | None = None) -> int:
    """0: all is right; 1: a figure is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.golive", description=__doc__)
    parser.add_argument("--short", action="store_true", help="the shops that sell most alone")
    parser.add_argument(
        "--break", dest="without", choices=PROTECTIONS, help="take one protection out"
    )
    parser.add_argument("--keep", type=Path, help="keep log, store and notes in this folder")
    given = parser.parse_args(arguments)
    began_s = time.monotonic()
    with ExitStack() as stack:
        if given.keep is None:
            folder = stack.enter_context(scratch_folder("golive-"))
        else:
            folder = given.keep.resolve()
            folder.mkdir(parents=True)
        found = play(folder, given.without, SHORT_SHOPS if given.short else None, say)
    for text in found.wrong:
        say(f"wrong: {text}")
    say(f"took {time.monotonic() - began_s:.0f} s")
    say(str(found))
    return 0 if found.is_right else 1


def play(
    folder: Path, without: str | None, shops: int | None, tell: Callable[[str], None]
) -> Verdict:
    """Play the whole morning in a folder and judge it."""
    day = monday(shops)
    with ExitStack() as stack:
        shop, setup, silent_shop = Shop(folder), Setup(without=without), most_alone(day)
        shop.write_config(config_of(day, silent_shop, setup))
        stack.enter_context(embedded(folder / "data"))
        stack.callback(shop.close)
        run = stack.enter_context(connected(shop.settings()))
        heard = Listener(run.log, folder)
        trader = Trader(
            run, day, SHORT_HOURS_PER_S if shops else HOURS_PER_S, watched_shops(day, silent_shop)
        )
        morning = Morning(shop, run, day, setup, trader, heard, tell, silent_shop)
        _, second = acts.load_half(morning)
        stack.callback(heard.abandon)
        stack.callback(trader.end)
        acts.compare_with_today(morning)
        acts.go_live(morning)
        acts.open_checkouts(morning)
        acts.load_rest(morning, second)
        acts.bad_feeds(morning)
        acts.fall_silent(morning)
        acts.wrong_policy(morning)
        acts.close_day(morning)
        heard.finish()
        found = judge(morning)
        ends = [*shop.fallen(), *shop.stop_flows()]
    return found._replace(wrong=[*found.wrong, *ends])


def most_alone(day: Monday) -> str:
    """Return the shop of which the channels know most that nobody else has."""
    shops = [
        location for location in day.stock if location.startswith("s") and location != SUPPLIER
    ]
    return max(shops, key=lambda each: (len(day.alone_at(each, acts.ALONE_UNITS_MIN)), each))


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
