"""The fixtures of the suites that run over all back ends, and a small shop for an engine."""

from tests.flows.conftest import config  # noqa: F401 - a fixture, asked for by name
from tests.state.conftest import bench, client, shard  # noqa: F401 - likewise
