"""Reading the policy file again, in one process."""

import threading
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from connectors.redis.embedded import Embedded
from flows.runtime import signals
from flows.services.policy.reload import Reload
from monitoring import metrics
from tests.flows.harness import Engine, engine
from tests.flows.shop import CONFIG
from tests.patience import PATIENCE_S


def reloads(result: str) -> float:
    return float(metrics.POLICY_RELOADS.labels(result)._value.get())


def revisions(e: Engine) -> list[str]:
    return [entry.by for entry in e.run.shared.policy.history()]


def test_a_good_file_comes_in_force_and_the_same_again_changes_nothing(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        reload, before = Reload(e.run), reloads("changed")
        config.write_text(CONFIG.replace("units: 1", "units: 3"))
        reload.read("SIGHUP")
        reload.read("SIGHUP")
        assert reloads("changed") == before + 1
        assert revisions(e) == ["start", "reload"]
        e.ingest(1)
        assert e.run.policy.compiled.channels["shopee"].buffer_units == 3


def test_a_bad_file_changes_nothing_and_is_told(valkey: Embedded, config: Path) -> None:
    with engine(valkey, config) as e:
        reload, before = Reload(e.run), reloads("refused")
        config.write_text("channels: [{id: 7}]\n")
        structlog.reset_defaults()
        with capture_logs() as lines:
            reload.read("SIGHUP")
        assert reloads("refused") == before + 1
        assert revisions(e) == ["start"]
        (line,) = lines
        assert line["event"] == "policy not reloaded"
        assert line["problems"][0].startswith("penstock.yaml:1: channels[0].id: expected string")


def test_a_file_is_read_once_it_has_changed_and_stays_as_it_is(
    valkey: Embedded, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine(valkey, config) as e:
        reload = Reload(e.run)
        assert [reload._has_changed() for _ in range(2)] == [False, False]
        config.write_text(CONFIG + "\n# half wri")
        assert reload._has_changed() is False
        config.write_text(CONFIG + "\n# half written, and the rest\n")
        assert [reload._has_changed() for _ in range(2)] == [False, True]
        config.unlink()
        assert [reload._has_changed() for _ in range(2)] == [False, False]


def test_a_hangup_in_the_moment_in_which_waiting_ends_is_not_lost(
    valkey: Embedded, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TooLate(threading.Event):
        """Is set just after waiting has ended without it."""

        def wait(self, _timeout: float | None = None) -> bool:
            if self.is_set():
                return True
            self.set()
            return False

    asked = TooLate()
    monkeypatch.setattr(signals, "hangup", asked)
    with engine(valkey, config) as e:
        reload, read = Reload(e.run), []

        def note(why: str) -> None:
            read.append(why)
            reload.stop()

        monkeypatch.setattr(reload, "read", note)
        thread = threading.Thread(target=reload.run, daemon=True)
        thread.start()
        thread.join(PATIENCE_S)
        reload.stop()
        assert read == ["SIGHUP"]
