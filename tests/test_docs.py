"""The documents keep their promises: links, lists of files, the example, the table of costs."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from engine_kit import base_port

from engine.costs import COSTS

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")] + [
    ROOT / folder / "README.md"
    for folder in ("engine", "protocols", "models", "parties", "bench", "tests")
])
EXAMPLE = ROOT / "docs" / "examples" / "first.py"

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def _prose(page: Path) -> str:
    """A page without its fenced blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)


def _anchors(page: Path) -> set[str]:
    """What a link can point to within a page, by GitHub's rule for headings."""
    headings = re.findall(r"^#+ +(.+?) *$", _prose(page), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pages
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{target} does not exist"
        assert not anchor or anchor in _anchors(file), f"{target}: no such heading"


@pages
def test_no_page_names_a_place_on_somebodys_machine(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"(?<![\w.])/(home|root|tmp|work|opt|mnt|Users)/", text)


@pytest.mark.parametrize("folder", ["engine", "protocols", "models", "parties", "bench"])
def test_every_file_is_named_in_the_readme_of_its_folder(folder: str) -> None:
    text = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w./]+)`", text))
    for path in sorted((ROOT / folder).rglob("*.py")):
        name = path.relative_to(ROOT / folder)
        folders = {f"{part.as_posix()}/" for part in name.parents if part.name}
        assert path.name == "__init__.py" or name.as_posix() in named or folders & named, (
            f"{name} is missing"
        )
    for name in named:
        if name.endswith(".py") and "/" not in name:
            assert (ROOT / folder / name).exists(), f"{name} is not there any more"


@pytest.mark.parametrize("folder", ["engine", "protocols", "models", "bench"])
def test_files_are_listed_after_those_they_use(folder: str) -> None:
    text = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    order = re.findall(r"^\| `([\w./]+)\.py`", text, flags=re.M)
    for place, name in enumerate(order):
        tree = ast.parse((ROOT / folder / f"{name}.py").read_text(encoding="utf-8"))
        for used in _imports(tree, folder):
            assert used not in order or order.index(used) < place, f"{name} comes before {used}"


def _imports(tree: ast.Module, package: str) -> set[str]:
    """Modules of a package that are imported at the top of one of them."""
    found = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            head, *rest = node.module.split(".")
            if head == package:
                found |= {"/".join([*rest, name]) for name in (alias.name for alias in node.names)}
                found.add("/".join(rest))
    return found


def test_every_page_is_listed_in_docs() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, f"{page.name} is missing"


def test_every_dependency_has_its_reason() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    required = set(re.findall(r'^ {4}"([a-z0-9-]+)[=<>]', project, flags=re.M))
    assert required
    assert required == set(re.findall(r"^\| `([a-z0-9-]+)` \|", page, flags=re.M))


def test_the_table_of_costs_is_what_the_formulas_give() -> None:
    page = (ROOT / "docs" / "engine.md").read_text(encoding="utf-8")
    section = page.partition("### Predicted costs")[2].partition("\n## ")[0]
    for name, formula in COSTS.items():
        if name in ("permute", "draw_order", "check_range"):  # in prose; not for t = 2
            continue
        costs = [formula(8, m, t) for m, t in ((3, 1), (4, 1), (5, 2))]
        rounds = " / ".join(str(c.rounds) for c in costs)
        total = " / ".join(f"{c.total_bytes / 8:g}" for c in costs)
        row = f"| `{name}` | {rounds} | {total} | {costs[1].total_bytes / 32:g} |"
        assert row in section, f"docs/engine.md should say: {row}"


def test_readme_shows_the_example_as_it_is() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert EXAMPLE.read_text(encoding="utf-8") in readme


@pytest.mark.parametrize(("parties", "said"), [(3, "average 176.58, largest 310.50"), (4, "")])
def test_the_example_prints_what_the_readme_says(parties: int, said: str) -> None:
    command = [sys.executable, str(EXAMPLE), f"-M{parties}", "-B", str(base_port(parties))]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    shown = done.stdout.strip()
    if said:
        assert shown.startswith(said)
    else:
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        assert f"$ python docs/examples/first.py -M4\n{shown}\n" in readme
