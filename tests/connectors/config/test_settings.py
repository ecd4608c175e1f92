"""Settings from the environment, and the page that tells them."""

import os
from pathlib import Path

import pytest

from connectors.config.settings import Settings, SettingsError, load, unknown_variables, variable
from tools.pages.settings import page

ROOT = Path(__file__).parents[3]
REDIS = "redis://, rediss://, redis+cluster://, rediss+cluster:// or unix:// URL, got another form"


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PENSTOCK_"):
            monkeypatch.delenv(name)


def test_an_empty_environment_gives_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_TICK_MS", "")
    settings = load()
    assert (settings.redis, settings.kafka, settings.kafka_options) == (None, None, {})
    assert (settings.config, settings.data) == (None, Path(".penstock"))
    assert (settings.partitions, settings.shards, settings.tick_ms) == (4, 16, 20)
    assert (settings.log_retention_ms, settings.dedup_h) == (7 * 86_400_000, 24)
    assert (settings.clock, settings.namespace) == ("system", "")
    assert settings.metrics_address == ("127.0.0.1", 9464)


def test_each_variable_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "CONFIG": "/etc/p.yaml",
        "REDIS": "redis+cluster://h:7000",
        "KAFKA": "a:1, b:2",
        "KAFKA_OPTIONS": '{"security.protocol": "SSL"}',
        "CLOCK": "event",
        "NAMESPACE": "x-1",
        "TICK_MS": "50",
        "LOG_RETENTION": "36h",
        "METRICS": "[::1]:0",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"PENSTOCK_{name}", value)
    settings = load()
    assert settings.config == Path("/etc/p.yaml")
    assert (settings.redis, settings.kafka) == ("redis+cluster://h:7000", "a:1,b:2")
    assert settings.kafka_options == {"security.protocol": "SSL"}
    assert (settings.clock, settings.namespace, settings.tick_ms) == ("event", "x-1", 50)
    assert settings.log_retention_ms == 129_600_000
    assert settings.metrics_address == ("::1", 0)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("TICK_MS", "x", "integer 1..10000, got 'x'"),
        ("TICK_MS", "0", "integer 1..10000, got '0'"),
        ("TICK_MS", "1.5", "integer 1..10000, got '1.5'"),
        ("SHARDS", "9999", "integer 1..1024, got '9999'"),
        ("CLOCK", "wall", "system or event, got 'wall'"),
        ("LOG_RETENTION", "7", "whole number and unit (ms s m h d w), 1m..3650d, got '7'"),
        ("LOG_RETENTION", "1s", "whole number and unit (ms s m h d w), 1m..3650d, got '1s'"),
        ("METRICS", "9464", "host:port or off, got '9464'"),
        ("METRICS", "h:70000", "host:port or off, got 'h:70000'"),
        ("REDIS", "redis://a,b", REDIS),
        ("REDIS", "redis+cluster://a:1,:2", REDIS),
        ("REDIS", "redis+cluster://a:1,b:x", REDIS),
        ("REDIS", "redis+cluster://", REDIS),
        ("KAFKA", "kafka", "host:port, separated by commas, got 'another form'"),
        ("NAMESPACE", "{a}", "0..64 of A-Z a-z 0-9 . _ -, got '{a}'"),
    ],
)
def test_a_wrong_value_is_told_exactly(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(f"PENSTOCK_{name}", value)
    with pytest.raises(SettingsError) as caught:
        load()
    expected = expected.replace("'another form'", repr(value))
    assert caught.value.problems == [f"PENSTOCK_{name}: expected {expected}"]


def test_all_wrong_values_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_SHARDS", "a")
    monkeypatch.setenv("PENSTOCK_TICK_MS", "b")
    with pytest.raises(SettingsError) as caught:
        load()
    assert len(caught.value.problems) == 2


def test_no_text_of_settings_or_of_their_errors_shows_a_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PENSTOCK_REDIS", "rediss://user:hush@h:6379/1?password=hush")
    monkeypatch.setenv("PENSTOCK_KAFKA_OPTIONS", '{"sasl.password": "hush"}')
    settings = load()
    assert settings.shown()["PENSTOCK_REDIS"] == "rediss://user:***@h:6379/1?password=***"
    monkeypatch.setenv("PENSTOCK_REDIS", "http://:hush@h")
    monkeypatch.setenv("PENSTOCK_KAFKA_OPTIONS", '{"sasl.password": "hush"')
    with pytest.raises(SettingsError) as caught:
        load()
    assert len(caught.value.problems) == 2
    assert "hush" not in f"{settings!r}{settings}{settings.shown()}{caught.value}"


def test_every_node_of_a_cluster_is_shown_and_its_password_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = "rediss+cluster://user:hush@a:7000,[::1]:7001,c?password=hush"
    monkeypatch.setenv("PENSTOCK_REDIS", url)
    settings = load()
    assert settings.redis == url
    assert settings.shown()["PENSTOCK_REDIS"] == url.replace("hush", "***")
    assert "hush" not in repr(settings)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().shards = 3


def test_an_unknown_variable_is_a_warning_with_the_nearest_name() -> None:
    names = ["PENSTOCK_TICKS_MS", "PENSTOCK_SHARDS", "HOME", "PENSTOCK_QQQQQQQQ"]
    assert unknown_variables(names) == [
        "PENSTOCK_QQQQQQQQ: expected a known variable",
        "PENSTOCK_TICKS_MS: expected a known variable: did you mean PENSTOCK_TICK_MS?",
    ]


def test_every_variable_is_described_with_what_is_expected() -> None:
    text = page()
    for name, field in Settings.model_fields.items():
        assert field.description
        assert f"| `{variable(name)}` |" in text


def test_the_settings_page_is_current() -> None:
    told = (ROOT / "docs" / "settings.md").read_text()
    assert told == page(), "run `make pages`"
