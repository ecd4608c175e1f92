"""Health checks as values, on a running store."""

from pathlib import Path

import redis

from connectors.redis.embedded import Embedded
from flows.services.queries.health_checks import SERVER_CHECKS, problems_of, server_checks
from tests.flows.harness import engine


def test_every_check_of_a_server_comes_to_a_status_and_a_detail(
    valkey: Embedded, config: Path
) -> None:
    with engine(valkey, config) as e:
        checks = list(server_checks(e.run))
    assert [each.check for each in checks] == [*SERVER_CHECKS]
    assert {each.status for each in checks} <= {"ok", "warn"}
    assert all(each.detail for each in checks)


def test_a_library_that_is_gone_fails_its_check_alone(
    valkey: Embedded, config: Path, redis_client: redis.Redis
) -> None:
    with engine(valkey, config) as e:
        redis_client.function_flush()
        failed = [each for each in server_checks(e.run) if each.status == "fail"]
    assert [(each.check, each.detail) for each in failed] == [
        ("functions", "not loaded; run `penstock init`")
    ]


def test_a_policy_file_has_problems_or_warnings(tmp_path: Path) -> None:
    file = tmp_path / "penstock.yaml"
    file.write_text("version: 2\n")
    problems, warnings = problems_of(file)
    assert (len(problems), warnings) == (1, [])
    file.write_text("version: 1\n")
    assert problems_of(file)[0] == []
