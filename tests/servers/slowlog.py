"""How long single calls held a Redis server, by its own SLOWLOG."""

import os
from typing import Any

from tests.servers.redis_servers import RedisServer

SETTINGS = {"slowlog-log-slower-than": "500", "slowlog-max-len": "50000"}
"""With which a server notes what `longest_ms` wants to know: calls of 0.5 ms and more."""
READ_MANY = 50_000


def put_first(server: RedisServer) -> bool:
    """Let the server run before all others of this machine, if that is allowed; say whether it is.

    SLOWLOG goes by a clock: what else the machine does would count as well.
    """
    pid = server.client.info("server")["process_id"]
    try:
        os.sched_setscheduler(pid, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except (AttributeError, PermissionError):
        return False
    return True


def longest_ms(server: RedisServer) -> dict[str, float]:
    """Return the longest call of each function and command since the last time, and forget them."""
    found: dict[str, float] = {}
    client: Any = server.client
    for entry in client.slowlog_get(READ_MANY):
        words = entry["command"].split()
        name = (words[1] if words[0] == b"FCALL" else words[0]).decode()
        found[name] = max(found.get(name, 0.0), entry["duration"] / 1000)
    server.do("SLOWLOG", "RESET")
    return found
