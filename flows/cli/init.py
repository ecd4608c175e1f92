"""`penstock init`: functions, topics and policy, made or there already."""

from typing import Any

from connectors.config import settings as environment
from flows.cli import output
from flows.ingest.resume import begin_at
from flows.runtime.context import Runtime
from flows.runtime.exit_codes import OK, USAGE
from flows.runtime.session import TOPICS, runtime
from state.store.library import LIBRARY


def init(begin: str | None, *, as_json: bool) -> int:
    """Make what is missing, say what is there; with `begin`, where reading starts."""
    with runtime(environment.load()) as run:
        begun: dict[str, int] = {}
        if begin is not None:
            try:
                chosen = begin_at(run, begin)
            except ValueError as error:
                output.fault("init", str(error))
                return USAGE
            begun = {f"{topic}/{n}": mark + 1 for (topic, n), mark in chosen.items()}
        _tell(summary(run), begun, as_json=as_json)
    return OK


def summary(run: Runtime) -> dict[str, Any]:
    """Return what a store is made of: topics with their partitions, functions, shards, revision."""
    return {
        "topics": {topic: run.log.partitions(topic) for topic in TOPICS},
        "functions": [f"penstock_{name}" for name in LIBRARY if name != "common"],
        "shards": run.store.shards,
        "policy_revision": run.policy.revision,
    }


def _tell(found: dict[str, Any], begun: dict[str, int], *, as_json: bool) -> None:
    if output.wants_json(asked=as_json):
        output.json_line({**found, "begun": begun})
        return
    output.table("topics", ("topic", "partitions"), found["topics"].items())
    shown = {
        "functions": " ".join(found["functions"]),
        "shards": found["shards"],
        "policy": f"revision {found['policy_revision']}",
    }
    output.fields(shown)
    if begun:
        output.table("reading begins", ("partition", "offset"), begun.items())
