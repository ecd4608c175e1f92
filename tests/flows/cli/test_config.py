"""`penstock config check`."""

from pathlib import Path

from tests.flows.shop import Shop


def test_a_configuration_without_problems_is_ok(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    good = shop.penstock("config", "check")
    assert (good.returncode, good.stdout) == (0, "penstock.yaml: ok\n")
    missing = shop.penstock("config", "check", "other.yaml")
    assert missing.returncode == 2
    assert missing.stderr == "penstock config check: other.yaml: expected a file, got none\n"
