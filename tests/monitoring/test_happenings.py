"""What alerts are for is made to happen: each raises its own alert, and none that the runbook does not list with it."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count, islice
from pathlib import Path

import pytest

from state.events.timestamps import ms_rfc3339
from tests.faults.load import Event
from tests.faults.stage import until
from tests.monitoring.alerting import sections
from tests.monitoring.happenings import LOCATIONS, SKUS, Chain, Watch, watched
from tests.servers.kafka import ServerMissing
from tests.servers.redis_servers import RedisServer

pytestmark = pytest.mark.quiet  # on a busy machine the alerts that tell so are right

Raising = Callable[[Chain, str], AbstractContextManager[Watch]]

SHARD = 3
PAUSE_MS = 300
GARBAGE = "no event at all\n" * 40
AGAIN_S = 90.0
"""A recovery is repeated a minute later."""
STEP_MS = 300_000
STEPS_A_DAY = 86_400_000 // STEP_MS
HISTORY_DAYS = 2


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], None]
) -> Iterator[RedisServer]:
    try:
        made = RedisServer(tmp_path_factory.mktemp("redis"))
    except ServerMissing as error:
        missing(str(error))
        raise
    made.start()
    yield made
    made.kill()


@pytest.fixture(scope="module")
def chain(server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A chain that sells something all the time."""
    made = Chain(tmp_path_factory.mktemp("chain"), server)
    with made.stage:
        made.open()
        made.trade(made.sales())
        yield made


@pytest.fixture
def raising(
    tmp_path: Path,
    missing: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> Raising:
    """Watch a block: it must raise this alert, and besides only what the runbook lists with it."""

    @contextmanager
    def watching(chain: Chain, name: str) -> Iterator[Watch]:
        try:
            with watched(chain, tmp_path) as watch:
                yield watch
                watch.until_over(name)
                raised = watch.raised()
        except ServerMissing as error:
            missing(str(error))
            raise
        others = raised - {name}
        with capsys.disabled():
            told = ", ".join(sorted(others)) or "nothing else"
            sys.stdout.write(f"\n{request.node.name}: {name}; with it {told}\n")
        assert name in raised
        assert not others - sections()[name].comes_with

    return watching


def test_a_stopped_worker_is_a_process_that_is_down(chain: Chain, raising: Raising) -> None:
    with raising(chain, "PenstockProcessDown") as watch:
        worker = chain.ingests[0]
        worker.freeze()
        try:
            watch.until_raised("PenstockProcessDown")
        finally:
            worker.wake()


def test_the_last_publisher_that_stops_takes_its_flow_down(chain: Chain, raising: Raising) -> None:
    with raising(chain, "PenstockFlowDown") as watch:
        chain.publisher.freeze()
        try:
            watch.until_raised("PenstockFlowDown")
        finally:
            chain.publisher.wake()


def test_a_redis_that_is_slow_is_told_by_the_calls_to_it(chain: Chain, raising: Raising) -> None:
    with raising(chain, "PenstockRedisSlow") as watch, chain.slow(PAUSE_MS):
        watch.until_raised("PenstockRedisSlow")


def test_a_redis_that_gives_no_answer_leaves_its_flows_stuck(
    chain: Chain, raising: Raising
) -> None:
    with raising(chain, "PenstockFlowStuck") as watch, chain.redis.paused():
        watch.until_raised("PenstockFlowStuck")


def test_a_poisoned_topic_is_told_by_its_dead_letters(chain: Chain, raising: Raising) -> None:
    with raising(chain, "PenstockDeadLetters") as watch:
        chain.penstock("emit", "-", "--topic", "pos.sales", given=GARBAGE)
        watch.until_raised("PenstockDeadLetters")


def test_goods_that_a_count_does_not_find_leave_a_sku_oversold(
    chain: Chain, raising: Raising
) -> None:
    with raising(chain, "PenstockOversold") as watch:
        chain.tell(chain.event("wms.receipt", "wh", ["X1"], 10))
        chain.tell(chain.order("X1", 8))
        counted_at = ms_rfc3339(time.time_ns() // 1_000_000)
        chain.tell(chain.event("wms.count", "wh", ["X1"], 5, counted_at=counted_at))
        try:
            watch.until_raised("PenstockOversold")
        finally:
            chain.tell(chain.event("wms.receipt", "wh", ["X1"], 10))


def test_a_sale_that_the_books_do_not_cover_leaves_a_position_below_zero(
    chain: Chain, raising: Raising
) -> None:
    with raising(chain, "PenstockNegativePositions") as watch:
        chain.tell(chain.event("pos.sale", "s1", ["Y1"], 2))
        try:
            watch.until_raised("PenstockNegativePositions")
        finally:
            chain.tell(chain.event("wms.receipt", "s1", ["Y1"], 10))


def test_a_watermark_that_went_back_is_a_store_that_did(chain: Chain, raising: Raising) -> None:
    with raising(chain, "PenstockStoreWentBack") as watch:
        before = chain.stage.recoveries()
        chain.roll_back(SHARD)
        watch.until_raised("PenstockStoreWentBack")
        # What happens a minute later belongs to it.
        until(lambda: chain.stage.recoveries() >= before + 2, "a second recovery", AGAIN_S)


@pytest.fixture(scope="module")
def replayed(
    server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Chain, Iterator[int]]]:
    """A chain in business time, of which some days are over, and the moments that are to come."""
    made = Chain(tmp_path_factory.mktemp("replayed"), server, PENSTOCK_CLOCK="event")
    begin_ms = (int(time.time()) - 8 * 86_400) * 1000
    moments = count(begin_ms, STEP_MS)
    with made.stage:
        made.open(begin_ms)
        made.stage.feed(
            made.event("pos.sale", where, SKUS[:1], 1, moment_ms)
            for moment_ms in islice(moments, HISTORY_DAYS * STEPS_A_DAY)
            for where in LOCATIONS
        ).join()
        made.stage.settle()
        yield made, moments


def test_a_silent_shop_is_told_by_what_would_have_been_usual(
    replayed: tuple[Chain, Iterator[int]], raising: Raising
) -> None:
    chain, moments = replayed
    speaking = set(LOCATIONS)

    def trading() -> Iterator[Event]:
        for moment_ms in moments:
            for where in sorted(speaking):
                yield chain.event("pos.sale", where, SKUS[:1], 1, moment_ms)

    chain.trade(trading())
    with raising(chain, "PenstockLocationSilent") as watch:
        speaking.remove("s1")
        watch.until_raised("PenstockLocationSilent")
        speaking.add("s1")
