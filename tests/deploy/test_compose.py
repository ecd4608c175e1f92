"""docker-compose.yml and what belongs to it: held against the specification and our own rules."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

import monitoring.rules
from tests.deploy.compose import FILE, ROOT, document, mounts, seconds, services, waits_for
from tests.servers.kafka import POM

DEPLOY = ROOT / "deploy"
DOCKERFILE = ROOT / "Dockerfile"
DASHBOARDS = sorted((ROOT / "monitoring" / "dashboards").glob("*.json"))
RUNNING = {name: told for name, told in services().items() if told["restart"] != "no"}
OURS = ("init", "ingest", "publish")

each_service = pytest.mark.parametrize("name", services())
each_running = pytest.mark.parametrize("name", RUNNING)


def parsed(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def dockerfile(word: str) -> list[str]:
    """What follows each instruction of that name."""
    text = DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(rf"^{word} (.*)$", text, re.MULTILINE)


def test_the_file_holds_against_the_compose_specification() -> None:
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*checker, str(FILE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_image_is_pinned_to_an_exact_version() -> None:
    images = {told["image"] for told in services().values()} | set(
        re.findall(r"^(\S+)", "\n".join(dockerfile("FROM")), re.MULTILINE)
    )
    for image in images:
        assert re.fullmatch(r"[\w/.-]+:v?\d+\.\d+\.\d+(-[a-z-]+)?", image), image


def test_kafka_is_the_version_that_is_tested_with() -> None:
    (version,) = re.findall(r"<kafka\.version>(.*)</kafka\.version>", POM.read_text())
    assert services()["kafka"]["image"] == f"apache/kafka:{version}"


def test_our_image_is_named_by_the_version_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for name in OURS:
        assert services()[name]["image"] == f"penstock:{project['version']}"


@each_service
def test_a_service_gives_away_nothing_that_it_does_not_need(name: str) -> None:
    told = services()[name]
    user, _, group = told["user"].partition(":")
    assert user.isdigit()
    assert group.isdigit()
    assert int(user) > 0
    assert told["cap_drop"] == ["ALL"]
    assert told["security_opt"] == ["no-new-privileges:true"]
    assert told["read_only"] is True
    assert not {"privileged", "network_mode", "pid", "cap_add"} & told.keys()
    for _source, target, mode in mounts(told):
        assert mode == "ro" or target in {
            "/var/lib/kafka/data",
            "/data",
            "/prometheus",
            "/var/lib/grafana",
        }


@each_service
def test_a_service_cannot_use_up_the_machine(name: str) -> None:
    told = services()[name]
    assert told["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert told["logging"]["options"].keys() == {"max-size", "max-file"}


@each_running
def test_a_service_that_stays_has_a_health_check_and_comes_back(name: str) -> None:
    told = RUNNING[name]
    assert told["restart"] == "unless-stopped"
    check = told["healthcheck"]
    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert seconds(check["timeout"]) <= seconds(check["interval"])
    assert seconds(told["stop_grace_period"]) >= 30


@each_running
def test_ports_are_opened_on_loopback_alone(name: str) -> None:
    for port in RUNNING[name].get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port), port


def test_a_service_waits_until_what_it_needs_is_healthy_or_done() -> None:
    found = services()
    for name, told in found.items():
        for other, condition in waits_for(told).items():
            ends = found[other]["restart"] == "no"
            expected = "service_completed_successfully" if ends else "service_healthy"
            assert condition == expected, name
    assert waits_for(found["ingest"]).keys() == {"init", "kafka", "valkey"}


def test_every_named_volume_is_declared_and_used() -> None:
    used = {
        source
        for told in services().values()
        for source, _target, _mode in mounts(told)
        if not source.startswith(".")
    }
    assert used == document()["volumes"].keys()


def test_everything_mounted_from_the_project_is_there() -> None:
    for told in services().values():
        for source, _target, _mode in mounts(told):
            assert not source.startswith(".") or (ROOT / source).exists(), source


def test_no_secret_is_written_down() -> None:
    for path in (FILE, DOCKERFILE, *DEPLOY.rglob("*.y*ml")):
        for line in path.read_text(encoding="utf-8").splitlines():
            told = line.partition("# ")[0]
            if re.search(r"(?i)passw|secret|token", told):
                assert re.search(r"\$\{\w+:\?|/etc/kafka/secrets:", told), f"{path.name}: {line}"
    assert ".env" in (ROOT / ".gitignore").read_text().split()


def test_compose_does_not_start_without_a_password_for_grafana() -> None:
    told = document()["services"]["grafana"]["environment"]
    assert told["GF_SECURITY_ADMIN_PASSWORD"].startswith("${GRAFANA_ADMIN_PASSWORD:?")
    assert told["GF_AUTH_ANONYMOUS_ENABLED"] == "false"


def test_kafka_and_valkey_are_set_not_to_lose_what_they_confirmed() -> None:
    kafka = services()["kafka"]["environment"]
    assert kafka["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert kafka["KAFKA_UNCLEAN_LEADER_ELECTION_ENABLE"] == "false"
    command = services()["valkey"]["command"]
    told = dict(zip(command[1::2], command[2::2], strict=True))
    assert told["--maxmemory-policy"] == "noeviction"
    assert (told["--appendonly"], told["--appendfsync"]) == ("yes", "everysec")


def test_the_policy_is_one_that_penstock_takes() -> None:
    checker = [
        sys.executable,
        "-m",
        "flows.cli",
        "config",
        "check",
        str(DEPLOY / "penstock.yaml"),
    ]
    done = subprocess.run(checker, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_is_probed_as_compose_does() -> None:
    (check,) = dockerfile("HEALTHCHECK")
    probe = orjson.loads(check.partition("CMD ")[2])
    for name in ("ingest", "publish"):
        assert services()[name]["healthcheck"]["test"] == ["CMD", *probe]
        assert services()[name]["user"] == dockerfile("USER")[-1]


def test_what_the_image_copies_is_enough_to_install_penstock(tmp_path: Path) -> None:
    copied = [line.split()[:-1] for line in dockerfile("COPY") if not line.startswith("--from")]
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    source, target = tmp_path / "src", tmp_path / "target"
    source.mkdir()
    for name in (name for names in copied for name in names):
        assert f"!{name}" in sent, f"{name} is copied but not sent"
        subprocess.run(["cp", "-R", str(ROOT / name), str(source)], check=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    (recipe,) = [line for line in dockerfile("RUN") if line.endswith(" .")]
    options = recipe.partition("pip install ")[2].split()[:-1]
    subprocess.run([*install, *options, "--target", str(target), str(source)], check=True)
    done = subprocess.run(
        [sys.executable, "-P", "-m", "flows.cli", "config", "check", str(DEPLOY / "penstock.yaml")],
        cwd=tmp_path, env={"PYTHONPATH": str(target)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list((target / "state" / "functions").glob("*.lua"))


def test_prometheus_scrapes_every_flow_where_it_serves() -> None:
    jobs = parsed(DEPLOY / "prometheus.yml")["scrape_configs"]
    looked_up = {job["job_name"]: job["dns_sd_configs"] for job in jobs}
    assert looked_up.keys() == {"ingest", "publish"}
    for name, (found,) in looked_up.items():
        assert found["names"] == [name]
        assert found["type"] == "A"
        assert services()[name]["expose"] == [str(found["port"])]
        assert services()[name]["environment"]["PENSTOCK_METRICS"] == f"0.0.0.0:{found['port']}"
        assert set(services()[name]["networks"]) & set(services()["prometheus"]["networks"])


def test_prometheus_finds_the_rules_where_they_are_mounted() -> None:
    (pattern,) = parsed(DEPLOY / "prometheus.yml")["rule_files"]
    folder, _, names = pattern.rpartition("/")
    mounted = {target: source for source, target, _mode in mounts(services()["prometheus"])}
    assert {path.name for path in (ROOT / mounted[folder]).glob(names)} == {
        path.name for path in monitoring.rules.FILES
    }


def test_grafana_is_told_of_prometheus_and_of_the_folder_of_dashboards() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    sources = parsed(provisioning / "datasources" / "prometheus.yml")
    assert sources["apiVersion"] == 1
    (source,) = sources["datasources"]
    assert (source["type"], source["access"]) == ("prometheus", "proxy")
    host, port = source["url"].removeprefix("http://").split(":")
    assert services()[host]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert (
        source["jsonData"]["timeInterval"]
        == (parsed(DEPLOY / "prometheus.yml")["global"]["scrape_interval"])
    )
    boards = parsed(provisioning / "dashboards" / "penstock.yml")
    assert boards["apiVersion"] == 1
    (provider,) = boards["providers"]
    mounted = {target: source for source, target, _mode in mounts(services()["grafana"])}
    assert (ROOT / mounted[provider["options"]["path"]]) == DASHBOARDS[0].parent
    for kind in ("datasources", "dashboards"):
        assert (ROOT / mounted[f"/etc/grafana/provisioning/{kind}"]) == provisioning / kind
    home = services()["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (DASHBOARDS[0].parent / Path(home).name).exists()


def test_the_page_tells_of_every_service_and_where_it_is_reached() -> None:
    page = (DEPLOY / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)`.*?\|.*\| (.*?)\|$", page, re.MULTILINE))
    assert rows.keys() == services().keys()
    for name, told in services().items():
        opened = [port.rpartition(":")[0] for port in told.get("ports", [])]
        assert re.findall(r"[\d.]+:\d+", rows[name]) == opened, name
