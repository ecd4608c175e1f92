"""A broker that can also be reached through proxies; it advertises their addresses to those who came that way."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.faults.proxy import Proxy, Tap
from tests.servers.fixtures import AT_ONCE, SOON_AGAIN
from tests.servers.kafka import Kafka, free_ports


@contextmanager
def led_kafka(
    folder: Path, ways: Mapping[str, Callable[[], Tap] | None]
) -> Iterator[tuple[Kafka, dict[str, Proxy]]]:
    """Run a broker with a proxy for each name in `ways`, whose tap stands beside it.

    Who takes the address of a proxy as bootstrap server meets the broker through this proxy alone.
    """
    kafka = Kafka(folder, AT_ONCE | SOON_AGAIN)
    with ExitStack() as stack:
        ports = dict(zip(ways, free_ports(len(ways)), strict=True))
        proxies = {
            name: stack.enter_context(Proxy(port, ways[name])) for name, port in ports.items()
        }
        advertised = {name: proxy.address for name, proxy in proxies.items()}
        own = kafka.properties
        kafka.properties = {
            **own,
            "listeners": _listed(
                own["listeners"], {n: f"127.0.0.1:{port}" for n, port in ports.items()}
            ),
            "advertised.listeners": _listed(own["advertised.listeners"], advertised),
            "listener.security.protocol.map": ",".join(
                [own["listener.security.protocol.map"], *(f"{name}:PLAINTEXT" for name in ways)]
            ),
            "inter.broker.listener.name": "PLAINTEXT",
        }
        stack.callback(kafka.stop)
        kafka.start()
        yield kafka, proxies


def _listed(own: str, more: Mapping[str, str]) -> str:
    return ",".join([own, *(f"{name}://{address}" for name, address in more.items())])
