"""`python -m tests.faults`: run the scenarios, tell what they proved, and judge.

Exit codes: 0 all harm was real and did none, 1 otherwise, 2 usage, or a server that cannot be had. With
`--break all` 0 means that every missing rule was found.
"""

import random
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path

import orjson

from tests.faults.check import Verdict, left_open
from tests.faults.report import Hunt, Outcome, Report, table
from tests.faults.stage import Maker, NoProof, NotIdle, NotRun, Scenario, Wrong
from tests.rules.catalogue import by_id
from tests.rules.means import InWorker
from tests.servers.fixtures import AT_ONCE
from tests.servers.kafka import Kafka, ServerMissing, running_kafka

SEED = 1
SHORT_SCALE = 0.1
IDLE_S = 180.0
IDLE_BROKEN_S = 45.0
"""A worker without a rule may never become idle."""
RULES = tuple(by_id(InWorker))
ALL = "all"
USAGE = 2


@cache
def scenarios() -> tuple[type[Scenario], ...]:
    """Return the scenarios: one class in each module `scenario_*.py`."""
    found: list[type[Scenario]] = []
    for path in sorted(Path(__file__).parent.glob("scenario_*.py")):
        module = import_module(f"tests.faults.{path.stem}")
        found += [
            each
            for each in vars(module).values()
            if isinstance(each, type)
            and each.__module__ == module.__name__
            and hasattr(each, "short")
        ]
    return tuple(found)


def main(words: Sequence[str] | None = None) -> int:
    """Run what was asked for. Return the exit code."""
    given = _parsed(words)
    try:
        return _main(given)
    except ServerMissing as error:
        sys.stderr.write(f"faults: missing service: {error}\n")
        return USAGE


def _main(given: Namespace) -> int:
    chosen = [s for s in scenarios() if given.scenario is None or s.name in given.scenario]
    with _servers() as kafka:
        if given.without == ALL:
            return _hunt_all(given, kafka)
        if given.without is not None and given.scenario is None:
            chosen = _hunters(given.without)
        if given.short and given.scenario is None and given.without is None:
            chosen = [s for s in chosen if s.short]
        report = _run(chosen, given, given.without, kafka)
    if given.report is not None:
        given.report.write_bytes(orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2))
    if given.without is not None:
        _print(table([_hunted(given.without, report)]))
    _print(report.line())
    return 0 if report.is_good else 1


def _parsed(words: Sequence[str] | None) -> Namespace:
    names = [s.name for s in scenarios()]
    parser = ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--scenario", nargs="+", choices=names, help="only these")
    parser.add_argument("--break", dest="without", choices=[*RULES, ALL], metavar="RULE",
                        help=f"take a rule out of the workers: {', '.join(RULES)}; {ALL} = each in turn")  # fmt: skip
    parser.add_argument(
        "--short", action="store_true", help="a tenth of the events and of the harm"
    )
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--report", type=Path, metavar="FILE", help="write all figures as JSON")
    return parser.parse_args(words)


def _hunters(rule: str) -> list[type[Scenario]]:
    """Return the scenarios that say they find a rule that is missing."""
    return [s for s in scenarios() if rule in getattr(s, "finds", ())]


def _hunt_all(given: Namespace, kafka: Callable[[], Kafka]) -> int:
    hunts = []
    for rule in RULES:
        hunts.append(_hunted(rule, _run(_hunters(rule), given, rule, kafka)))
        _print(table(hunts[-1:]).splitlines()[-1])
    _print("\n" + table(hunts))
    return 0 if all(hunt.found for hunt in hunts) else 1


def _hunted(rule: str, report: Report) -> Hunt:
    """Say whether the check itself has found what is wrong: a proof that is missing does not count."""
    for outcome in report.outcomes:
        if not outcome.verdict:
            v = outcome.verdict
            words = f"lost={v.lost} doubled={v.doubled} stale={v.stale}"
            return Hunt(rule, found=True, scenario=outcome.name, words=words)
    return Hunt(rule, found=False, scenario="-", words="")


def _run(
    chosen: Sequence[type[Scenario]],
    given: Namespace,
    without: str | None,
    kafka: Callable[[], Kafka],
) -> Report:
    report = Report(given.seed)
    for kind in chosen:
        if sys.stdout.isatty():
            sys.stdout.write(f"{kind.name} ...\r")
            sys.stdout.flush()
        outcome = _outcome(kind, given, without, kafka)
        _print(outcome.line())
        if outcome.not_run:
            continue
        report.outcomes.append(outcome)
        if without is not None and not outcome.verdict:
            break
    return report


def _outcome(
    kind: type[Scenario], given: Namespace, without: str | None, kafka: Callable[[], Kafka]
) -> Outcome:
    """Run one scenario in a folder of its own, and make the check."""
    began_s = time.monotonic()
    scale = SHORT_SCALE if given.short or without is not None else 1.0
    verdict, proof, failure, not_run = Verdict(), None, "", ""
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix=f"faults-{kind.name}-"))
        )
        maker = Maker(folder, without, given.seed, kafka)
        stack.enter_context(maker.stack)
        try:
            proof = kind().run(maker, random.Random(f"{given.seed}{kind.name}"), scale)
        except NotRun as error:
            not_run = str(error)
        except NoProof as error:
            failure = f"no proof: {error}"
        except NotIdle as error:
            left_open(verdict, max(1, error.lag), error.due, str(error))
        except Wrong as error:
            verdict += error.verdict
        except (TimeoutError, RuntimeError) as error:
            failure = f"it did not go on: {error}"
        idle_s = IDLE_S if without is None else IDLE_BROKEN_S
        try:
            # Without a proof nothing was shown, and who would finish the work may be gone.
            is_shown = not (failure.startswith("no proof") or not_run)
            judged = maker.stages if verdict and is_shown else []
            for stage in judged:
                verdict += stage.noted
                if proof is None:
                    stage.stop_feeding()
                verdict += stage.check(idle_s)
        except TimeoutError as error:
            failure = failure or f"it did not go on: {error}"
    return Outcome(kind.name, time.monotonic() - began_s, verdict, proof, failure, not_run)


@contextmanager
def _servers() -> Iterator[Callable[[], Kafka]]:
    """Yield what returns the broker that scenarios share, started when the first one asks."""
    with ExitStack() as stack:

        @cache
        def kafka() -> Kafka:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-kafka-")))
            return stack.enter_context(contextmanager(running_kafka)(folder, AT_ONCE))

        yield kafka


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
