"""What a publisher emits is confirmed in part, never arrives, or is confirmed when it is too late."""

import random

from tests.faults.led_kafka import led_kafka
from tests.faults.load import Trading, one_each
from tests.faults.produce_answers import ProduceAnswers
from tests.faults.proxy import Proxy
from tests.faults.stage import Maker, NoProof, Proof, Stage, Worker, until

EVENTS = 10_000
PER_S = 1_000
SKUS = 200
GOES_ON_S = 120.0
HASTY = '{"delivery.timeout.ms": 3000}'
PATIENT = '{"delivery.timeout.ms": 90000}'
"""A publisher gives an emission up sooner, or later, than it would by default."""


class Emission:
    """Faults between emission and settle."""

    name = "emission"
    short = True
    finds = ("settle", "trust", "token")

    def run(self, maker: Maker, rng: random.Random, scale: float) -> Proof:
        """Harm single emissions of a publisher that reaches the broker through a proxy."""
        answers = ProduceAnswers()
        kafka, proxies = maker.stack.enter_context(
            led_kafka(maker.folder / "kafka", {"SEND": answers})
        )
        stage = maker.stage(kafka=kafka)
        stage.start("ingest").ready()
        emissions = Emissions(stage, proxies["SEND"], answers)
        feeder = stage.feed(Trading(maker.seed).take(round(EVENTS * scale)), PER_S)
        feeder.until_sent(rng.randrange(PER_S))
        emissions.acknowledge_a_part()
        feeder.join()
        emissions.fail()
        emissions.freeze_before_settle()
        emissions.come_back_late()
        return stage.proof(
            self.name,
            emissions.told(),
            refused=emissions.refused,
        )


class Emissions:
    """One publisher at a time, and what is done to what it emits. `send` is its way to the broker."""

    def __init__(self, stage: Stage, send: Proxy, answers: ProduceAnswers) -> None:
        self.stage = stage
        self.send = send
        self.answers = answers
        self.publisher = self._start(PATIENT)
        self.successor = self.publisher
        self.skus = [f"frozen{n}" for n in range(SKUS)]
        self.failed = 0
        self.unconfirmed = 0
        """Updates that the broker had when the publisher froze, without having heard of it."""
        self.refused = 0
        """Claims that were not settled, for another publisher had claimed the SKU since."""

    def acknowledge_a_part(self) -> None:
        """Let one answer to a produced batch arrive, and keep others back; then cut the connection."""
        self.answers.keep_back(after=1)
        if not self.answers.wait(1, GOES_ON_S) or self.answers.passed != 1:
            raise NoProof(f"expected one answer and none behind it, got {self.answers.passed}")
        self.send.cut()
        self.answers.let_pass()
        self.send.mend()

    def fail(self) -> None:
        """Let nothing that is emitted reach the broker, until the publisher gives up; it is lost on the way."""
        stage, send = self.stage, self.send
        self.publisher.stop()
        self.publisher = self._start(HASTY)
        skus = [f"fails{n}" for n in range(SKUS)]
        self._change(skus, "wms.receipt", "stock", 100)
        stage.settle()
        send.freeze("asked")
        self._change(skus, "pos.sale", "fails", 1)
        until(self._has_failed, "emissions that failed", GOES_ON_S)
        self.failed = round(self.publisher.metrics()["penstock_emitted_failed_total"])
        send.cut()
        send.mend()
        stage.settle()

    def freeze_before_settle(self) -> None:
        """Freeze the publisher between emission and settle; the levels go back, and another one takes over."""
        stage = self.stage
        self.publisher.stop()
        self.publisher = self._start(PATIENT)
        # It has nothing to do yet, and is there when it is wanted.
        self.successor = stage.start("publish").ready()
        self.successor.freeze()
        self._change(self.skus, "wms.receipt", "stock", 100)
        stage.settle()
        before = self._logged()
        self.answers.hold()
        self._change(self.skus, "pos.sale", "off", 1)
        until(lambda: self._logged() > before, "updates that the broker has", GOES_ON_S)
        self.publisher.freeze()
        self.unconfirmed = self._logged() - before
        if self.publisher.record.in_hand == 0:
            raise NoProof("the publisher had settled when it froze")
        self.answers.let_pass()
        self._change(self.skus, "pos.return", "on", 1)
        self.successor.wake()
        stage.settle()

    def come_back_late(self) -> None:
        """Let half of the levels change once more, to what the sleeper has emitted, and wake it."""
        self.successor.stop()
        self._change(self.skus[::2], "pos.sale", "late", 1)
        self.publisher.wake()
        until(lambda: self.publisher.record.in_hand == 0, "an answer to its settle", GOES_ON_S)
        self.refused = round(self.publisher.metrics()["penstock_refused_settles_total"])

    def told(self) -> str:
        """What happened, in figures."""
        return (
            f"answers_passed={self.answers.passed} answers_kept_back={self.answers.kept_back} "
            f"emissions_failed={self.failed} emitted_unconfirmed={self.unconfirmed} settles_refused={self.refused}"
        )

    def _change(self, skus: list[str], kind: str, name: str, quantity: int) -> None:
        self.stage.feed(one_each(skus, kind, name, quantity)).join()
        until(lambda: self.stage.lag() == 0, f"{kind} that is applied", GOES_ON_S)

    def _start(self, options: str) -> Worker:
        env = {"PENSTOCK_KAFKA": self.send.address, "PENSTOCK_KAFKA_OPTIONS": options}
        return self.stage.start("publish", **env).ready()

    def _has_failed(self) -> bool:
        return self.publisher.metrics().get("penstock_emitted_failed_total", 0) > 0

    def _logged(self) -> int:
        return sum(self.stage.run.log.end_offsets("stock.updates").values())
