"""The engine guided by coverage: libFuzzer changes messages, and keeps those that reach new code.

Runs in a process of its own, because libFuzzer ends it:

    python -m tests.fuzz.guided SECONDS FOLDER SEED CORPUS [planted]
"""

import os
import random
import sys
from pathlib import Path

import atheris

from tests.fuzz import FOUND, NOTHING

INSTRUMENTED = [
    "connectors.messages.limits",
    "connectors.messages.cloudevents",
    "connectors.messages.dead_letters",
    "state.events.messages",
    "state.events.normalise",
    "state.protocol.apply",
    "state.protocol.pack",
    "state.events.rejection",
    "state.events.timestamps",
    "state.events.validation",
]
AFRESH = 0.5
"""How often a seed is changed, and not what it became after many changes: most of that is refused early."""
SLOW_S = 10
BLINDLY = 0.3
"""How often bytes are changed, and not the JSON that they are."""
MESSAGE_BYTES_MAX = 131_072


def main(seconds: int, folder: Path, seed: int, corpus: Path, *, is_planted: bool) -> None:
    """Fuzz until the time is up; print the findings, and end the process with `FOUND` if there are any."""
    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz.findings import Findings, planted
        from tests.fuzz.mutate import mutated
        from tests.fuzz.properties import check
        from tests.fuzz.seeds import seeds
    findings = Findings("atheris", seconds, folder, planted if is_planted else check)
    texts = seeds()

    def one(text: bytes) -> None:
        if findings.is_over:
            print(findings, flush=True)
            os._exit(FOUND if findings.crashes else NOTHING)
        findings.take(text)

    def mutator(text: bytes, size_max: int, number: int) -> bytes:
        chance = random.Random(number)
        if chance.random() < BLINDLY:
            return bytes(atheris.Mutate(text, size_max))
        if chance.random() < AFRESH:
            text = chance.choice(texts)
        return mutated(text, chance, lambda: chance.choice(texts))[:size_max]

    for number, text in enumerate(texts):
        (corpus / f"seed-{number}").write_bytes(text)
    folder.mkdir(parents=True, exist_ok=True)
    options = [
        f"-seed={seed}", f"-timeout={SLOW_S}", f"-max_len={MESSAGE_BYTES_MAX}", f"-artifact_prefix={folder}/",
    ]  # fmt: skip
    atheris.Setup([sys.argv[0], *options, str(corpus)], one, custom_mutator=mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main(
        int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]),
        is_planted="planted" in sys.argv[5:],
    )  # fmt: skip
