"""The self-check of the demo: what the engine ended with, judged by a program that shares no code with it."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from flows.demo.dump import Prepared
from flows.demo.listener import Listener
from flows.runtime.context import Runtime
from flows.runtime.retry import retry_until_available
from flows.services.queries.explain import LevelDivergence, LevelExplainer
from flows.services.queries.stock_view import view
from state.protocol.figures import SkuState

CHUNK = 1_000
FINDINGS_SHOWN = 5
ORACLE = "tests.oracle"


class CheckFailed(Exception):
    """The check itself could not be made."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of every SKU, one JSON line each as `penstock stock` prints it."""

    path: Path
    sha256: str
    """Of positions, levels and ad states alone: equal for equal ends, whenever they were reached."""
    pairs: int
    """SKUs times channels."""
    explained: int
    """Of them those whose explanation adds up to the level emitted."""
    findings: tuple[LevelDivergence, ...]
    """The first that do not."""


def take_snapshot(run: Runtime, path: Path) -> Snapshot:
    """Write the state of every SKU of the store to a file, and explain every level on the way."""
    digest = sha256()
    explaining, pairs = LevelExplainer(run), 0
    wrong: list[LevelDivergence] = []
    skus = iter(sorted(retry_until_available(lambda: set(run.store.skus()))))
    with path.open("wb") as file:
        while chunk := list(islice(skus, CHUNK)):
            for state in retry_until_available(partial(_read, run, chunk)):
                if state is None:
                    continue
                shown = view(state, run.policy)
                file.write(orjson.dumps(shown, option=orjson.OPT_APPEND_NEWLINE))
                digest.update(orjson.dumps(_lasting(shown)))
                pairs += len(explaining.compiled.channels)
                wrong += explaining.check(state)
    found = tuple(wrong[:FINDINGS_SHOWN])
    return Snapshot(path, digest.hexdigest(), pairs, pairs - len(wrong), found)


def _read(run: Runtime, skus: Sequence[str]) -> list[SkuState | None]:
    return list(run.store.read_many(skus))


def judge(
    run: Runtime, prepared: Prepared, snapshot: Snapshot, heard: Listener, appended: int, units: str
) -> dict[str, Any]:
    """Return the verdict of the oracle, run as a program of its own.

    Raises:
        CheckFailed: it could not judge.
    """
    counters = {"appended": appended, **run.store.counters()}
    counters_path = snapshot.path.with_name("counters.json")
    counters_path.write_bytes(orjson.dumps(counters))
    command = [
        sys.executable, "-m", ORACLE,
        "--stream", prepared.stream_path, "--config", prepared.config_path, "--snapshot", snapshot.path,
        "--updates", heard.files["stock.updates"], "--signals", heard.files["ads.signals"],
        "--dead", heard.files["dead.letters"], "--counters", counters_path, "--source-units", units,
    ]  # fmt: skip
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(  # noqa: S603 - our own program
        [str(word) for word in command], capture_output=True, check=False, cwd=root
    )
    if done.returncode not in {0, 1} or not done.stdout.strip():
        raise CheckFailed(done.stderr.decode(errors="replace").strip()[-2000:])
    verdict: dict[str, Any] = orjson.loads(done.stdout)
    return verdict


def _lasting(shown: dict[str, Any]) -> dict[str, Any]:
    """Return what two runs of one stream must agree on: not the versions, nor when an ad changed."""
    return {
        "sku": shown["sku"],
        "available": shown["available"],
        "unrouted": shown["unrouted"],
        "positions": shown["positions"],
        "levels": shown["levels"],
        "ads": [[ad["rule"], ad["state"]] for ad in shown["ads"]],
    }
