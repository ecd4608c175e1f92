"""A message that cannot be used goes to the *dead-letter queue*, whole, with its reason; the messages around it go on.

An error of one message is a value on its way through the flow, never an exception that stops it. The dead
letter is written, and confirmed by the log, before the watermark passes the message, so that no crash loses it.
It holds the bytes, the key, the headers, and where the message was in the log. After a fix (here: the policy
learns of a new store) a *replay* appends the same bytes to the same topic again. A second replay does no harm:
the duplicate guard drops an event that took effect before.
"""

from pathlib import Path

from connectors.messages import dead_letters
from flows.runtime.clock import now_ms
from flows.services.policy.activate import activate
from state.store.policy_history import By
from tests.flows.harness import Engine
from tests.flows.shop import lines
from tests.fundamentals.story import run_flows


def test_a_bad_message_is_kept_with_its_reason_and_counts_once_it_is_fixed_and_replayed(
    penstock: Engine, policy: Path
) -> None:
    penstock.send("wms.receipt", location="s9", reference="delivery-1", lines=lines(A=10))
    penstock.send("wms.receipt", location="wh", reference="delivery-2", lines=lines(A=1))
    run_flows(penstock)
    assert penstock.on_hand("A") == {"wh": 1}
    (listed,) = dead_letters.listing(penstock.run.log)
    assert listed.letter.reason == "location: unknown location 's9'"

    policy.write_text(
        policy.read_text().replace("channels:", "  - {id: s9, kind: store}\nchannels:")
    )
    activate(penstock.run, policy, By("ana", "a new store"))
    dead_letters.replay(penstock.run.log, [listed.letter.id], now_ms())
    run_flows(penstock)
    assert penstock.on_hand("A") == {"s9": 10, "wh": 1}

    dead_letters.replay(penstock.run.log, [listed.letter.id], now_ms())
    run_flows(penstock)
    assert penstock.on_hand("A") == {"s9": 10, "wh": 1}
