"""Rules of style that no linter knows, over the files that git tracks or would track."""

import ast
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINES_MAX = 400
FUNCTION_LINES_MAX = 70
REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")
LOCKS = (*REQUIREMENTS, "requirements-bench.txt")

# A bracket in the middle of a word keeps a pattern from finding itself.
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:[w]ork|[r]oot|[h]ome|[U]sers|tmp/[p])/")
REGISTRY_HOSTS = re.compile(
    r"pypi\.org|pythonhosted\.org|[a]rtifactory|[d]evpi|-[-](?:extra-)?index-url|-[-]find-links"
)


@cache
def tracked(*suffixes: str) -> tuple[Path, ...]:
    """The project's files that end in one of `suffixes` (all, when none is given)."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout: what belongs to the project cannot be told")
    files = (ROOT / name for name in sorted(set(listed.stdout.splitlines())))
    return tuple(path for path in files if path.is_file() and path.name.endswith(suffixes or ("",)))


@cache
def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def shown(findings: list[str]) -> str:
    return "\n" + "\n".join(findings)


def lines_of(*suffixes: str) -> list[tuple[str, str]]:
    """("path:line", text) of each line of those files."""
    return [
        (f"{path.relative_to(ROOT)}:{number}", line)
        for path in tracked(*suffixes)
        for number, line in enumerate(text_of(path).splitlines(), 1)
    ]


def test_every_file_is_text_in_utf_8() -> None:
    for path in tracked():
        assert "\r" not in text_of(path), path


def test_no_source_file_outgrows_one_idea() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in tracked(".py", ".lua", ".sh")
        if (lines := text_of(path).count("\n")) > LINES_MAX
    ]
    assert not found, shown(found)


def test_no_function_is_longer_than_a_screen() -> None:
    found = []
    for path in tracked(".py"):
        for node in ast.walk(ast.parse(text_of(path))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES_MAX:
                    found.append(
                        f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}, {lines} lines"
                    )
    assert not found, shown(found)


def test_no_comment_is_a_banner() -> None:
    banner = re.compile(r"^\s*(?:#|--)\s*(?:[-=#*~_]\s*){4,}")
    found = [
        f"{place}: {line}"
        for place, line in lines_of(".py", ".lua", ".sh", ".toml")
        if banner.match(line)
    ]
    assert not found, shown(found)


def test_no_error_is_passed_over_in_silence() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in tracked(".py")
        for node in ast.walk(ast.parse(text_of(path)))
        if isinstance(node, ast.ExceptHandler)
        and all(isinstance(statement, ast.Pass) for statement in node.body)
    ]
    assert not found, shown(found)


def test_nothing_names_a_place_on_one_machine() -> None:
    found = [f"{place}: {line.strip()}" for place, line in lines_of() if MACHINE_PATHS.search(line)]
    assert not found, shown(found)


def test_nothing_names_the_host_of_a_package_registry() -> None:
    found = [
        f"{place}: {line.strip()}" for place, line in lines_of() if REGISTRY_HOSTS.search(line)
    ]
    assert not found, shown(found)


@pytest.mark.parametrize("name", LOCKS)
def test_every_requirement_is_pinned_with_a_hash(name: str) -> None:
    body = re.sub(r"^\s*#.*\n", "", text_of(ROOT / name), flags=re.MULTILINE)
    entries = re.split(r"(?<!\\)\n", body.strip())
    assert len(entries) > 5
    for entry in entries:
        first, *rest = (line.strip(" \\") for line in entry.split("\\\n"))
        assert re.fullmatch(r"[a-z0-9.-]+(\[[a-z,-]+\])?==[\w.]+( ; .+)?", first), first
        assert rest, f"{first} has no hash"
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in rest), first


def test_the_two_requirement_files_pin_the_same_versions() -> None:
    run, dev = (
        dict(
            re.findall(r"^([a-z0-9.-]+)(?:\[.*?\])?==([\w.]+)", text_of(ROOT / name), re.MULTILINE)
        )
        for name in REQUIREMENTS
    )
    apart = {
        name: (run[name], dev[name]) for name in run.keys() & dev.keys() if run[name] != dev[name]
    }
    assert not apart


def test_every_requirement_asked_for_is_in_its_lock() -> None:
    for name in LOCKS:
        asked = re.findall(
            r"^([A-Za-z][\w.-]*)", text_of((ROOT / name).with_suffix(".in")), re.MULTILINE
        )
        lock = text_of(ROOT / name)
        missing = [
            one for one in asked if not re.search(rf"^{one.lower()}(\[|==)", lock, re.MULTILINE)
        ]
        assert not missing, f"{name}: run `make lock`"


def test_every_make_target_says_what_it_does() -> None:
    makefile = text_of(ROOT / "Makefile")
    phony = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split()
    targets = re.findall(r"^([a-z][a-z-]*):(?!=)(.*)$", makefile, re.MULTILINE)
    assert sorted(phony) == sorted(name for name, _ in targets)
    assert not [name for name, rest in targets if not re.search(r"## \w", rest)]


def test_make_help_lists_every_target() -> None:
    answer = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    phony = re.findall(r"^\.PHONY: (.*)$", text_of(ROOT / "Makefile"), re.MULTILINE)[0].split()
    assert [line.split()[0:2] for line in answer.splitlines()] == [["make", name] for name in phony]


def test_every_setting_in_the_code_is_on_the_page_of_settings() -> None:
    page = text_of(ROOT / "docs" / "reference" / "settings.md")
    known = set(re.findall(r"PENSTOCK_[A-Z_]*[A-Z]", page))
    found = [
        f"{place}: {name}"
        for place, line in lines_of(".py", ".sh", "Makefile")
        if not place.startswith("tests/")
        for name in re.findall(r"\bPENSTOCK_[A-Z_]*[A-Z]\b", line)
        if name not in known
    ]
    assert not found, shown(found)


def test_the_changelog_has_a_place_for_what_is_not_released() -> None:
    assert re.search(r"^## \[Unreleased\]$", text_of(ROOT / "CHANGELOG.md"), re.MULTILINE)


def test_each_decision_record_has_its_five_parts() -> None:
    records = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(len(records)))
    for path in records:
        heads = re.findall(r"^## (.*)$", text_of(path), re.MULTILINE)
        assert heads == ["Context", "Decision", "Consequences", "Revisit when"], path.name
        assert re.match(rf"# {path.name[:4]}: \w", text_of(path)), path.name


@pytest.mark.parametrize(
    ("python", "said"),
    [("no-such-python", "no-such-python: does not run"), ("false", "false: does not run")],
)
def test_a_missing_python_is_told_with_what_to_do(python: str, said: str) -> None:
    answer = subprocess.run(
        ["sh", "tools/find-python.sh"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "PYTHON": python},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 2
    assert said in answer.stderr
    assert "make PYTHON=" in answer.stderr
