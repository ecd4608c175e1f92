"""A failover rolls the store back by a moment; what it lost is read again from the log, and versions go on rising.

Redis holds the truth and the log holds the history. A replica that takes over may not have received the last
writes, so stock, watermarks, duplicate guard and due queue of a shard are all older, but agree with each other.
The *fence* notices: each call names the watermark that it builds on, and a shard that stands below refuses it.
The shard then recovers: it voids all claims, lifts its *version floor* above everything it issued before, and
republishes every SKU. The reader resumes from the lowest watermark. Consumers keep the highest version of a
SKU, so a version that went back would be ignored, and the truth with it.
"""

import redis

from tests.flows.harness import Engine
from tests.flows.shop import lines
from tests.fundamentals.story import levels, newest_update, run_flows

SHARDS = "{*"
"""Keys of shards begin with a hash tag; those of the log do not, and stay as they are."""


def test_what_the_store_lost_is_read_again_and_republished_under_higher_versions(
    penstock: Engine, redis_client: redis.Redis
) -> None:
    penstock.send("wms.receipt", location="wh", reference="delivery-1", lines=lines(A=10))
    run_flows(penstock)
    replica = {key: redis_client.dump(key) or b"" for key in redis_client.keys(SHARDS)}
    penstock.send("pos.sale", location="wh", receipt="1", lines=lines(A=3))
    run_flows(penstock)
    before = newest_update(penstock, "A")

    redis_client.delete(*redis_client.keys(SHARDS))
    for key, value in replica.items():
        redis_client.restore(key, 0, value)
    assert penstock.on_hand("A") == {"wh": 10}, "the sale is lost"

    run_flows(penstock, seconds=3)
    assert penstock.on_hand("A") == {"wh": 7}
    assert levels(penstock, "A") == {"shop": 7, "shopee": 6}
    assert newest_update(penstock, "A")["version"] > before["version"]
