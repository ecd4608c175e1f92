"""The few words in which the stories are written."""

from typing import Any

from tests.flows.harness import Engine


def at(clock: str) -> str:
    """Return a time of the one day on which the stories play: `at("08:30")`."""
    return f"2025-11-03T{clock}:00Z"


def run_flows(penstock: Engine, seconds: int = 1) -> None:
    """Let ingest apply what is in the log, with a tick to every shard each second; let publish emit what changed."""
    penstock.ingest(rounds=seconds)
    penstock.publish()


def newest_update(penstock: Engine, sku: str) -> dict[str, Any]:
    """Return the update that a consumer keeps of a SKU: the one with the highest version."""
    updates = [each for each in penstock.emitted("stock.updates") if each["sku"] == sku]
    return max(updates, key=lambda update: int(update["version"]))


def levels(penstock: Engine, sku: str) -> dict[str, int]:
    """Return the level of each channel, as emitted last."""
    found: dict[str, int] = newest_update(penstock, sku)["levels"]
    return found
