"""The reference pages are what the program writes, and their links lead somewhere."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from connectors.log.base import OUTPUT_TOPICS
from connectors.log.kafka.topics import COMPACTED
from tools.pages import FOLDER, ROOT, outdated, pages
from tools.pages.__main__ import main
from tools.pages.examples import COLUMNS, incoming, outgoing, shaped
from tools.pages.markdown import filled, linked, named, table

each_page = pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.name))


def test_the_pages_on_disk_are_what_the_program_writes() -> None:
    assert {path.name for path in pages()} == {
        "settings.md",
        "metrics.md",
        "logs.md",
        "messages.md",
    }
    assert not [path.name for path in outdated()], "run `make pages`"


@each_page
def test_a_page_says_that_it_is_written_by_the_program(path: Path) -> None:
    assert "`python -m tools.pages`" in path.read_text(encoding="utf-8").partition("\n## ")[0]


@each_page
def test_every_link_of_a_page_leads_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        target = path.parent / name if name else path
        assert target.exists(), link
        heads = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
        anchors = {re.sub(r"[^\w-]", "", head.lower().replace(" ", "-")) for head in heads}
        assert not anchor or anchor in anchors, link


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another folder for the pages, with links that fit it."""
    monkeypatch.setattr("tools.pages.FOLDER", tmp_path)
    return tmp_path


def test_the_program_writes_what_is_missing_and_then_nothing_more(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 0
    assert capsys.readouterr().out.count("written") == len(pages())
    assert main([]) == 0
    assert main(["--check"]) == 0
    assert capsys.readouterr().out == ""
    text = (folder / "logs.md").read_text(encoding="utf-8")
    (link,) = set(re.findall(r"\]\((\S+/runbook\.md)#", text))
    assert (folder / link).resolve() == ROOT / "docs" / "runbook.md"


def test_a_page_that_is_out_of_date_is_named_and_left_as_it_is(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([])
    capsys.readouterr()
    (folder / "metrics.md").write_text("changed by hand\n")
    assert main(["--check"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert "metrics.md: out of date, run `make pages`" in line
    assert (folder / "metrics.md").read_text() == "changed by hand\n"
    assert main([]) == 0
    assert main(["--check"]) == 0


def test_the_program_runs_by_its_name_and_explains_itself() -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "tools.pages", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--check" in answer.stdout
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^pages: .*##.*\n\t@\$\(BIN\)/python -m tools\.pages", makefile, re.MULTILINE)


def test_a_part_without_a_place_and_a_place_without_a_part_are_errors(tmp_path: Path) -> None:
    template = tmp_path / "page.md"
    template.write_text("# Page\n\n<!-- rows -->\n")
    assert filled(template, rows="| a |\n") == "# Page\n\n| a |\n"
    with pytest.raises(ValueError, match="expected one <!-- more -->, got 0"):
        filled(template, rows="", more="")
    with pytest.raises(ValueError, match="expected a part for each place"):
        filled(template)


def test_a_bar_in_a_cell_does_not_end_it() -> None:
    assert table(("a", "b"), [("x|y", "z")]) == "| a | b |\n|---|---|\n| x\\|y | z |\n"


def test_words_that_can_only_be_names_are_marked_as_code() -> None:
    assert named("Put on dead.letters after silent_after_s. Then 1.5 s.") == (
        "Put on `dead.letters` after `silent_after_s`. Then 1.5 s."
    )


def test_a_link_from_the_root_is_made_to_fit_the_folder() -> None:
    text = "[a](/docs/adr/0001.md#head), [b](metrics.md), [c](https://example.org/x)"
    assert linked(text, ROOT, ROOT / "docs" / "reference") == (
        "[a](../adr/0001.md#head), [b](metrics.md), [c](https://example.org/x)"
    )


def test_examples_fit_a_line_where_they_can_and_say_the_same() -> None:
    for event in incoming().values():
        assert json.loads(shaped(event)) == event
        assert max(map(len, shaped(event).splitlines())) <= COLUMNS
    assert shaped({"a": [], "b": "x" * 200}).count("\n") == 1
    assert set(incoming()) & set(outgoing()) == set()


def test_each_output_topic_says_whether_it_is_compacted() -> None:
    page = (FOLDER / "messages.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w.]+)` \| .*? \| .*? \| (.*?) \| ", page, re.MULTILINE))
    assert {topic: rows[topic].startswith("compacted") for topic in OUTPUT_TOPICS} == {
        topic: topic in COMPACTED for topic in OUTPUT_TOPICS
    }
