"""The rules of the house hold in this tree, and each of them can fail: on a tree that is made up to break it."""

from pathlib import Path

from tests import house

ROOT = Path(__file__).parents[1]
GERUNDS = ("pipelining", "polling", "sharding")
"""Module names in -ing that are nouns of the field. Three are enough."""


def shown(findings: list[str]) -> str:
    return "\n" + "\n".join(findings)


def grown(root: Path, files: dict[str, str]) -> Path:
    """Return a made-up tree: path of a file -> its text."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_modules_and_folders_are_named_by_nouns() -> None:
    assert len(GERUNDS) <= 3
    found = house.gerunds(ROOT, GERUNDS)
    assert not found, shown(found)


def test_a_class_name_stands_once_in_the_product() -> None:
    found = house.doubled_classes(ROOT)
    assert not found, shown(found)


def test_flows_reach_redis_through_the_typed_wrapper_only() -> None:
    found = house.raw_redis(ROOT)
    assert not found, shown(found)


def test_only_the_engine_folder_and_the_tables_of_contents_import_bytewax() -> None:
    found = house.engine_imports(ROOT)
    assert not found, shown(found)


def test_each_path_that_the_architecture_page_names_exists() -> None:
    found = house.missing_paths(ROOT, "docs/architecture.md")
    assert not found, shown(found)


def test_no_folders_import_each_other_in_a_circle() -> None:
    found = house.circles(ROOT)
    assert not found, shown(found)


def test_a_reader_sees_the_parts_of_flows_at_a_glance() -> None:
    found = house.crowded(ROOT, "flows")
    assert not found, shown(found)


def test_a_module_or_a_folder_in_ing_is_found_unless_it_is_allowed(tmp_path: Path) -> None:
    files = {"flows/juggling.py": "", "state/dancing/step.py": "", "state/ring.py": ""}
    assert house.gerunds(grown(tmp_path, files), ["ring"]) == [
        "flows/juggling.py: expected a noun",
        "state/dancing: expected a noun",
    ]


def test_the_names_of_the_top_folders_are_given(tmp_path: Path) -> None:
    assert house.gerunds(grown(tmp_path, {"monitoring/figure.py": ""}), []) == []


def test_an_allowance_that_no_module_needs_is_found(tmp_path: Path) -> None:
    found = house.gerunds(grown(tmp_path, {"state/ring.py": ""}), ["ring", "string"])
    assert found == ["string: allowed, but no module has this name"]


def test_a_class_name_that_stands_twice_is_found_with_its_places(tmp_path: Path) -> None:
    files = {
        "flows/one.py": "class Row: ...\nclass Once: ...\n",
        "connectors/two.py": "x = 1\ndef f() -> None:\n    class Row: ...\n",
        "tests/three.py": "class Once: ...\n",
    }
    assert house.doubled_classes(grown(tmp_path, files)) == [
        "Row: flows/one.py:1, connectors/two.py:3"
    ]


def test_a_raw_call_to_redis_in_a_flow_is_found_but_not_its_mention_in_a_text(
    tmp_path: Path,
) -> None:
    code = (
        '"""Never `client.pipeline()`, never `keys.due`."""\n'
        "a = run.primaries.client.pipeline()\n"
        "b = send.execute_command('PING')\n"
        "c = keys.shard(7, 'due')\n"
        "d = self.run.store.keys.policy()\n"
        "e = dict(a=1).keys()\n"
        "f = run.store.read('A')\n"
    )
    tree = grown(tmp_path, {"flows/room/one.py": code, "state/room/two.py": code})
    assert house.raw_redis(tree) == [
        "flows/room/one.py:2: run.primaries.client.pipeline",
        "flows/room/one.py:3: send.execute_command",
        "flows/room/one.py:4: keys.shard",
        "flows/room/one.py:5: self.run.store.keys.policy",
    ]


def test_bytewax_is_found_where_neither_the_engine_nor_a_table_of_contents_is(
    tmp_path: Path,
) -> None:
    files = {
        "flows/engine/part.py": "from bytewax.inputs import DynamicSource\n",
        "flows/room/flow.py": "import bytewax.operators as op\n",
        "flows/room/step.py": "def f():\n    from bytewax.inputs import DynamicSource, Source\n",
        "flows/room/corner/flow.py": "import bytewax\n",
        "flows/flow.py": "import bytewax\n",
        "state/engine/part.py": "import bytewax\n",
        "connectors/other.py": "import bytewax_like\n",
    }
    assert house.engine_imports(grown(tmp_path, files)) == [
        "flows/flow.py:1: import bytewax",
        "flows/room/corner/flow.py:1: import bytewax",
        "flows/room/step.py:2: from bytewax.inputs import DynamicSource, Source",
        "state/engine/part.py:1: import bytewax",
    ]


def test_a_path_or_a_link_that_leads_nowhere_is_found_with_its_line(tmp_path: Path) -> None:
    page = (
        "`flows/room/flow.py`, `flows/room/`, [this](page.md#part), [there](https://x.example/y)\n"
        "`state/gone.py` (`python -m x > docs/away.md`), see [0001](adr/0001.md).\n"
    )
    tree = grown(tmp_path, {"flows/room/flow.py": "", "docs/page.md": page})
    assert house.missing_paths(tree, "docs/page.md") == [
        "docs/page.md:2: state/gone.py",
        "docs/page.md:2: docs/away.md",
        "docs/page.md:2: adr/0001.md",
    ]


def test_a_circle_of_folders_is_found_with_an_import_for_each_step(tmp_path: Path) -> None:
    files = {
        "flows/door/bell.py": "from flows.hall import lamp\nfrom flows.door import key\n",
        "flows/door/key.py": "",
        "flows/hall/lamp.py": "import state.attic\ndef f():\n    from ..cellar.wine import red\n",
        "flows/cellar/wine.py": "red = 1\nimport flows.door.key\n",
        "state/attic/__init__.py": "import json\n",
    }
    (found,) = house.circles(grown(tmp_path, files))
    assert found == (
        "flows/cellar -> flows/door -> flows/hall -> flows/cellar "
        "(flows/cellar/wine.py:2, flows/door/bell.py:1, flows/hall/lamp.py:3)"
    )


def test_each_of_several_circles_is_found(tmp_path: Path) -> None:
    files = {
        "state/attic/box.py": "from state.hall.lamp import light\n",
        "state/hall/lamp.py": "from state.attic import box\n",
        "flows/door/bell.py": "import flows.cellar.wine\n",
        "flows/cellar/wine.py": "import flows.door\n",
        "connectors/stair/step.py": "import flows.cellar.wine, state.attic.box\n",
    }
    found = house.circles(grown(tmp_path, files))
    assert sorted({frozenset(each.split(" (")[0].split(" -> ")) for each in found}, key=min) == [
        {"flows/cellar", "flows/door"},
        {"state/attic", "state/hall"},
    ]


def test_a_folder_with_more_entries_than_a_glance_takes_in_is_found(tmp_path: Path) -> None:
    files = {f"flows/part{n}/flow.py": "" for n in range(house.ENTRIES_MAX)}
    tree = grown(tmp_path, {"flows/__init__.py": "", "flows/__pycache__/x.pyc": "", **files})
    assert house.crowded(tree, "flows") == []
    (found,) = house.crowded(grown(tree, {"flows/sliver.py": ""}), "flows")
    assert found.startswith("flows/: expected at most 10 entries, got 11: part0, part1, ")
    assert found.endswith(", sliver.py")
