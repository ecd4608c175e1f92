"""What a run of the scenarios comes to: lines for people, one line for machines, JSON for a file."""

from dataclasses import asdict, dataclass, field
from typing import Any

from tests.faults.check import Verdict
from tests.faults.stage import Proof

COUNTS = ("kills", "rewinds", "refused", "recoveries")


@dataclass(slots=True)
class Outcome:
    """What one scenario came to. Without a proof, `failure` says why it has shown nothing."""

    name: str
    seconds: float
    verdict: Verdict
    proof: Proof | None = None
    failure: str = ""
    not_run: str = ""
    """Why this machine does not allow the fault. Such an outcome is told, and never counted."""

    @property
    def is_good(self) -> bool:
        """Whether the harm was real, and did none."""
        return bool(self.verdict) and self.proof is not None and not self.failure

    def line(self) -> str:
        """Tell it in a line, and in one more for each example of what is wrong."""
        if self.not_run:
            return f"{self.name}: not run: {self.not_run}"
        words = self.proof.words if self.proof is not None else ""
        found = f"{self.name}: {words or 'no proof'} ({self.seconds:.0f} s)"
        wrong = [f"  {text}" for text in self.verdict.examples]
        return "\n".join([found, *([f"  {self.failure}"] if self.failure else []), *wrong])


@dataclass(slots=True)
class Report:
    """All outcomes of a run."""

    seed: int
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether there was harm, and all of it was proved and did none."""
        return bool(self.outcomes) and all(outcome.is_good for outcome in self.outcomes)

    def line(self) -> str:
        """Return the last line of a run."""
        proofs = [outcome.proof for outcome in self.outcomes if outcome.proof is not None]
        verdicts = [outcome.verdict for outcome in self.outcomes]
        kills, rewinds, refused, recoveries = (
            sum(getattr(proof, name) for proof in proofs) for name in COUNTS
        )
        events, lost, doubled, stale = (
            sum(getattr(verdict, name) for verdict in verdicts)
            for name in ("events", "lost", "doubled", "stale")
        )
        return (
            f"faults: scenarios={len(self.outcomes)} kills={kills} events={events} "
            f"rewinds={rewinds} refused={refused} recoveries={recoveries} "
            f"lost={lost} doubled={doubled} stale={stale}"
        )

    def as_json(self) -> dict[str, Any]:
        """Return all of it, for a file."""
        return {
            "seed": self.seed,
            "good": self.is_good,
            "line": self.line(),
            "scenarios": [asdict(outcome) for outcome in self.outcomes],
        }


@dataclass(frozen=True, slots=True)
class Hunt:
    """Whether a rule that was taken out was found, and by whom."""

    rule: str
    found: bool
    scenario: str
    words: str


def table(hunts: list[Hunt]) -> str:
    """Return the rules taken out as a table."""
    rows = [
        ("rule", "found", "by", "as"),
        *((h.rule, "yes" if h.found else "NO", h.scenario, h.words) for h in hunts),
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    return "\n".join(
        "  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3]])
        for row in rows
    )
