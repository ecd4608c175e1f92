"""Every line that Penstock logs: its event, level and fields, and what an operator does about it.

Pure data. A test holds it to the calls of the loggers; `python -m tools.pages` writes docs/reference/logs.md from it.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple


class LogLine(NamedTuple):
    """One line of the log. `fields` are those beside event, level and timestamp: name -> meaning."""

    event: str
    level: Literal["warning", "error"]
    fields: Mapping[str, str]
    action: str


LINES: Final = (
    LogLine(
        "unknown setting",
        "warning",
        {"problem": "the variable, and the nearest one that exists"},
        "Correct the name of the variable: as it stands it has no effect.",
    ),
    LogLine(
        "metrics port taken",
        "warning",
        {"configured": "the port of the settings", "used": "the port that was free"},
        "Give each process a port of its own (`PENSTOCK_METRICS`), or scrape the one that is used.",
    ),
    LogLine(
        "server away",
        "warning",
        {"server": "`store` (Redis) or `log` (Kafka, or Redis)", "error": "what it answered"},
        "Look at that server: it does not answer, or refuses for the reason given. The call is retried until it works; "
        "it is logged once for each call, and `penstock_retries_total` counts the retries.",
    ),
    LogLine(
        "shard went back",
        "warning",
        {"shard": "its number", "marks": "its watermarks: pairs of log id/partition and offset"},
        "Nothing for the flow: it reads the log again from these watermarks. Look why the store lost what it had: a "
        "failover, a restore, a cut append-only file.",
    ),
    LogLine(
        "shard recovers",
        "warning",
        {
            "shard": "its number",
            "repetition": "`true` for the second pass, a minute after the first",
        },
        "Nothing for the flow: it republishes all SKUs of the shard, and once more after a minute. Look why the server "
        "of the shard changed, if you did not change it.",
    ),
    LogLine(
        "policy not reloaded",
        "warning",
        {"problems": "at most 20 texts: file, line and field, or the error of a server"},
        "The policy file was read again and not taken. Correct what the problems name, line by line; the policy before "
        "stays active. If a server was unavailable, the flow tries again by itself.",
    ),
    LogLine(
        "flow failed",
        "error",
        {"flow": "`ingest` or `publish`", "exception": "type, text and stack"},
        "An unforeseen error: report it with its stack. The process ends; start it again, nothing is lost.",
    ),
    LogLine(
        "invariant broken",
        "warning",
        {
            "sku": "the SKU",
            "invariant": "which one",
            "expected": "what its figures should be",
            "found": "what they are",
        },
        "See [metrics.md](metrics.md#the-walk) for the invariant, `penstock stock SKU` for the figures. Logged once, "
        "when the walk finds it.",
    ),
    LogLine(
        "more invariants broken",
        "warning",
        {"faults": "how many"},
        "So many more were found in the same round than have lines of their own.",
    ),
    LogLine(
        "walk failed",
        "error",
        {"exception": "type, text and stack"},
        "Something in the store cannot be read as what it should be: report it with its stack. The walk begins again "
        "after a minute; stock flows on.",
    ),
    LogLine(
        "channel frozen",
        "error",
        {"channel": "its id", "why": "how many SKUs of how many would have gone to zero"},
        "The circuit breaker stopped too much of the channel from going to zero: see "
        "[runbook.md](/docs/reference/runbook.md#penstockchannelfrozen).",
    ),
    LogLine(
        "location left out",
        "warning",
        {"location": "its id", "heard_ms": "time of its last event, ms since 1970"},
        "The location has been silent for longer than it may be: its stock counts as nothing. Ask there what is wrong.",
    ),
    LogLine(
        "location counts again",
        "warning",
        {"location": "its id"},
        "Nothing: an event came from it, or it is not watched any more.",
    ),
)
