"""The policy says what each channel may show; a new one is *rolled out* to all processes without a restart.

Activating a policy file gives it the next revision in the store. Every shard keeps the newest revision and
refuses claims under an older one, so a publisher that is late has to load the new policy first. The rollout
then puts every SKU into the due queue again: SKUs whose level may fall are first, because they can oversell;
all others follow at a limited rate. No stock moves, but every level is derived from the same figures by the new
rules.
"""

from pathlib import Path

from flows.runtime.session import connected
from flows.services.policy.activate import activate
from state.store.policy_history import By
from tests.flows.harness import Engine
from tests.flows.shop import lines
from tests.fundamentals.story import levels, run_flows


def test_a_policy_that_another_process_activates_is_followed_and_changes_levels_but_no_stock(
    penstock: Engine, policy: Path
) -> None:
    penstock.send("wms.receipt", location="s1", reference="delivery-1", lines=lines(A=10))
    run_flows(penstock)
    assert levels(penstock, "A") == {"shop": 10, "shopee": 9}
    before = penstock.run.policy.revision

    policy.write_text(policy.read_text() + "policies: {floors: {store: 3}}\n")
    with connected(penstock.run.settings) as command_line:
        activate(command_line, policy, By("ana", "three pieces stay for walk-in customers"))
    run_flows(penstock)
    assert penstock.run.policy.revision > before
    assert penstock.on_hand("A") == {"s1": 10}
    assert levels(penstock, "A") == {"shop": 7, "shopee": 6}
