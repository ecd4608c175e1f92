"""What the simulation takes out: the rules of the catalogue that a run must miss."""

from dataclasses import dataclass, field

from tests.rules.catalogue import taken_out
from tests.rules.means import Simulated
from tests.simulation.consumer import Manner


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that a run goes without, and how."""

    name: str
    says: str
    without: Simulated = field(default_factory=Simulated)

    @property
    def consumer(self) -> Manner:
        """How consumers keep what they hear of."""
        return self.without.consumer


ALL_KEPT = Rule("none", "all rules are kept")
RULES = tuple(Rule(rule.id, rule.says, means) for rule, means in taken_out(Simulated))
BY_NAME = {rule.name: rule for rule in RULES}
