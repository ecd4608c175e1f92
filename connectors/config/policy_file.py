"""`penstock.yaml`: read into a policy, or into the exact list of what is wrong with it.

A problem prints as `penstock.yaml:12: channels[0].share_bp: expected integer 0..10000, got 20000`.
All problems of the file, and of the code tables that it names, come out of one run.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from connectors.config import schema as config_shape
from connectors.config.category_file import read_skus
from connectors.config.checks import CHANNEL_SIDE, check_rows
from connectors.config.codes_file import read_csv
from connectors.config.yaml_reader import FILE_BYTES_MAX, Lint, Problem, Row, absent, compose, read
from state.events.codes import Mapping
from state.policy.categories import Category
from state.policy.document import (
    AdRule,
    Campaign,
    Channel,
    ChannelOverride,
    FloorOverride,
    Floors,
    Location,
    Pack,
    Policy,
    Source,
    Unknown,
)

DEFAULT_PATH = Path("penstock.yaml")
CODES_BYTES_MAX = 64 << 20
COVER_GAP_MDAYS = 1_000


class ConfigError(Exception):
    """The configuration cannot be used. `problems` says why, in the order of the files' lines."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def load(path: Path | None = None) -> Policy:
    """Return the policy of a file; None = `./penstock.yaml`, or the default policy without it.

    Raises:
        ConfigError: the file is missing or has problems.
    """
    return load_with_codes(path)[0]


def load_with_codes(path: Path | None = None) -> tuple[Policy, tuple[Mapping, ...]]:
    """Return the policy of a file, and the rows of the code tables that it names.

    Raises:
        ConfigError: a file is missing or has problems.
    """
    if path is None:
        if not DEFAULT_PATH.exists():
            return Policy(), ()
        path = DEFAULT_PATH
    lint = Lint(path.name)
    text = _text_of(path, FILE_BYTES_MAX, lint)
    policy, mappings, problems = (
        _read(text, lint, path.parent)
        if text is not None
        else (
            Policy(),
            (),
            lint.problems,
        )
    )
    if problems:
        raise ConfigError(problems)
    return policy, mappings


def check(text: str, name: str = DEFAULT_PATH.name, folder: Path = Path()) -> list[Problem]:
    """Return every problem of a configuration, by line. `folder` is where its code tables are."""
    return _read(text, Lint(name), folder)[2]


def warnings(text: str, name: str = DEFAULT_PATH.name, folder: Path = Path()) -> list[Problem]:
    """Return what is probably a mistake, and no reason to refuse the configuration."""
    lint = Lint(name)
    _read(text, lint, folder)
    return sorted(lint.warnings)


def _read(text: str, lint: Lint, folder: Path) -> tuple[Policy, tuple[Mapping, ...], list[Problem]]:
    node: yaml.Node | None = compose(text, lint)
    if lint.problems:
        return Policy(), (), lint.problems
    root: Row = (
        absent(config_shape.FILE) if node is None else read(config_shape.FILE, node, "", lint)
    )
    check_rows(root, lint)
    tables = {row["codes"]: row for row in root["sources"] if row["codes"]}
    mappings: list[Mapping] = []
    others: list[Problem] = []
    for name, row in tables.items():
        codes_lint = Lint(Path(name).name)
        codes_text = None
        if not (folder / name).is_file():
            lint.add_at(row, "codes", f"expected a file, got {name!r}")
        else:
            codes_text = _text_of(folder / name, CODES_BYTES_MAX, codes_lint)
        mappings += read_csv(codes_text, codes_lint) if codes_text is not None else []
        others += codes_lint.problems
    members = _members(root, folder, lint, others)
    problems = [*sorted(lint.problems), *sorted(others)]
    return Policy() if problems else _policy(root, members), tuple(mappings), problems


def _members(
    root: Row, folder: Path, lint: Lint, others: list[Problem]
) -> dict[str, tuple[str, ...]]:
    """Return the SKUs of each category that names a file; what is wrong in these goes to `others`."""
    members: dict[str, tuple[str, ...]] = {}
    for row in root["categories"]:
        name = row["file"]
        if not name:
            continue
        if not (folder / name).is_file():
            lint.add_at(row, "file", f"expected a file, got {name!r}")
            continue
        file_lint = Lint(Path(name).name)
        text = _text_of(folder / name, CODES_BYTES_MAX, file_lint)
        if text is not None:
            members[row["id"]] = read_skus(text, file_lint)
        others += file_lint.problems
    return members


def _text_of(path: Path, bytes_max: int, lint: Lint) -> str | None:
    try:
        with path.open("rb") as file:
            raw = file.read(bytes_max + 1)
    except OSError as error:
        lint.add(1, "", f"expected a readable file, got {error.strerror or error}")
        return None
    if len(raw) > bytes_max:
        lint.add(1, "", f"expected at most {bytes_max} bytes, got more")
        return None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        lint.add(line, "", f"expected UTF-8, got byte 0x{raw[error.start]:02x}")
        return None


def _policy(root: Row, members: dict[str, tuple[str, ...]]) -> Policy:
    """Build the policy of a file without problems."""
    policies = root["policies"]
    return Policy(
        version=root["version"],
        timezone=root["timezone"],
        unknown=Unknown(**root["unknown"].values),
        sources=tuple(
            Source(row["prefix"], row["system"], bool(row["codes"])) for row in root["sources"]
        ),
        locations=_each(Location, root["locations"]),
        floors=Floors(**policies["floors"].values),
        network_threshold=policies["network_threshold"],
        zero_guard_pct=policies["zero_guard_pct"],
        zero_guard_min=policies["zero_guard_min"],
        overrides=tuple(_floor_overrides(policies["overrides"])),
        channel_overrides=tuple(_channel_overrides(policies["overrides"])),
        categories=tuple(
            Category(row["id"], tuple(row["skus"]), members.get(row["id"], ()))
            for row in root["categories"]
        ),
        channels=tuple(_channel(row) for row in root["channels"]),
        campaigns=tuple(
            Campaign(row["id"], row["channel"], row["sku"], row["lock"], row["start"], row["end"])
            for row in root["campaigns"]
        ),
        ads=tuple(_ad_rule(row) for row in root["ads"]),
    )


def _each(make: Any, rows: Iterable[Row]) -> tuple[Any, ...]:
    return tuple(make(**row.values) for row in rows)


def _floor_overrides(rows: Iterable[Row]) -> Iterable[FloorOverride]:
    for row in rows:
        if row.given("floor") or not any(row.given(name) for name in CHANNEL_SIDE):
            yield FloorOverride(row["sku"], row["location"], row["floor"] or 0, row["category"])


def _channel_overrides(rows: Iterable[Row]) -> Iterable[ChannelOverride]:
    for row in rows:
        if any(row.given(name) for name in CHANNEL_SIDE):
            buffer = row["buffer"]
            by_units = row.given("buffer") and buffer["risk"] is None
            yield ChannelOverride(
                sku=row["sku"],
                category=row["category"],
                channel=row["channel"],
                share_bp=row["share_bp"],
                buffer_units=buffer["units"] if by_units else None,
                buffer_risk_ppm=buffer["risk"],
                cutoff=row["cutoff"],
                cap=row["cap"],
            )


def _channel(row: Row) -> Channel:
    where = row["locations"]
    return Channel(
        id=row["id"],
        mode=row["mode"],
        kinds=tuple(dict.fromkeys(where["kinds"])),
        regions=None if where["regions"] == "all" else tuple(dict.fromkeys(where["regions"])),
        exclude=tuple(dict.fromkeys(where["exclude"])),
        share_bp=row["share_bp"],
        buffer_units=row["buffer"]["units"],
        cutoff=row["cutoff"],
        cap=row["cap"],
        opening=row["opening"],
        zero_guard_pct=row["zero_guard_pct"],
        buffer_risk_ppm=row["buffer"]["risk"],
        push_lag_ms=row["push_lag_s"] * 1000,
        packs=_each(Pack, row["packs"]),
    )


def _ad_rule(row: Row) -> AdRule:
    pause_cover, resume_cover = row["pause_cover_days"], row["resume_cover_days"]
    if pause_cover is not None and resume_cover is None:
        resume_cover = pause_cover + COVER_GAP_MDAYS
    return AdRule(
        rule=row["rule"],
        channel=row["channel"],
        platform=row["platform"],
        scope=row["scope"],
        pause_at=row["pause_at"],
        resume_at=row["pause_at"] + 1 if row["resume_at"] is None else row["resume_at"],
        pause_cover_mdays=pause_cover,
        resume_cover_mdays=resume_cover,
        dwell_s=row["dwell_s"],
        max_changes_per_day=row["max_changes_per_day"],
    )
